//! The error type of the command line and its exit codes.

use coxswain::api::codes::Code;
use coxswain::api::types::{ApiError, ErrorDetail};

/// Why a command failed. Only `output::error` prints it.
#[derive(Debug)]
pub(crate) enum CliError {
    /// Errors from the daemon or from `ctl`; at least one.
    Failed(Vec<ApiError>),
    /// Problems in manifests, rendered with their snippets.
    Manifests {
        reports: Vec<String>,
        /// The error that sums them up.
        error: ApiError,
    },
    /// The user answered no to a prompt.
    Declined(&'static str),
    /// `diff --exit-code` found differences, which it has already printed.
    Differs,
    /// Ctrl-C while waiting. The text says how to attach again.
    Detached(String),
    /// Writing to standard output failed.
    Output(std::io::Error),
    /// The reader of standard output closed the pipe, which is not an error.
    BrokenPipe,
}

/// If several services failed differently, the first of these that occurs.
const EXIT_PRIORITY: [u8; 8] = [5, 4, 8, 6, 7, 3, 2, 1];
/// A check whose answer is no.
const EXIT_NO: u8 = 1;
const EXIT_DETACHED: u8 = 130;
const EXIT_OUTPUT: u8 = 2;
/// Exit codes that do not come from an error code.
#[cfg(test)]
pub(crate) const OTHER_EXITS: [u8; 3] = [EXIT_NO, EXIT_DETACHED, EXIT_OUTPUT];

impl CliError {
    /// An error with this code and message.
    pub(crate) fn of(code: &Code, what: impl Into<String>) -> Self {
        code.error(what).into()
    }

    /// The exit code of the process.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Failed(errors) => {
                let exits: Vec<u8> = errors.iter().map(|error| error.exit).collect();
                let worst = EXIT_PRIORITY.iter().find(|exit| exits.contains(exit));
                worst.or(exits.first()).copied().unwrap_or(1)
            }
            Self::Manifests { error, .. } => error.exit,
            Self::Declined(_) | Self::Differs => EXIT_NO,
            Self::Detached(_) => EXIT_DETACHED,
            Self::Output(_) => EXIT_OUTPUT,
            Self::BrokenPipe => 0,
        }
    }
}

impl From<ApiError> for CliError {
    fn from(error: ApiError) -> Self {
        Self::Failed(vec![error])
    }
}

impl From<ErrorDetail> for CliError {
    fn from(detail: ErrorDetail) -> Self {
        ApiError::from(detail).into()
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe { Self::BrokenPipe } else { Self::Output(error) }
    }
}

#[cfg(test)]
mod tests {
    use coxswain::api::codes;

    use super::*;

    #[test]
    fn exit_of_several_errors_is_the_worst() {
        let exit = |list: &[&Code]| CliError::Failed(list.iter().map(|c| c.error("x")).collect()).exit();
        assert_eq!(exit(&[&codes::ROLLED_BACK, &codes::ROLLOUT_FAILED]), 5);
        assert_eq!(exit(&[&codes::TIMED_OUT, &codes::ROLLED_BACK]), 4);
        assert_eq!(exit(&[&codes::SUPERSEDED, &codes::TIMED_OUT]), 6);
        assert_eq!(exit(&[&codes::NOT_FOUND]), 2);
    }
}
