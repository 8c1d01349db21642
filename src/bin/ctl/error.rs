//! Why a command did not succeed.

use coxswain::api::codes::Code;
use coxswain::api::types::ApiError;

/// The one error type of the command line. It is printed in one place, `output::error`.
#[derive(Debug)]
pub(crate) enum CliError {
    /// What the daemon, or `ctl` in its place, has to say; at least one.
    Failed(Vec<ApiError>),
    /// Problems in manifests, rendered with their snippets, then the error they add up to.
    Manifests {
        /// One rendered report per problem.
        reports: Vec<String>,
        /// The sum of it.
        error: Box<ApiError>,
    },
    /// Someone who was asked said no.
    Declined(&'static str),
    /// What was compared differs, and that was asked for as an exit code; what differs has been shown.
    Differs,
    /// Ctrl-C while waiting; says how to attach again.
    Detached(String),
    /// Standard output cannot be written.
    Output(std::io::Error),
    /// Whoever read standard output has gone: nothing is wrong.
    BrokenPipe,
}

/// Where several services failed differently, the first of these that occurs.
const GRAVEST_FIRST: [u8; 8] = [5, 4, 8, 6, 7, 3, 2, 1];
/// Asked, and the answer is no.
const EXIT_NO: u8 = 1;
const EXIT_DETACHED: u8 = 130;
const EXIT_OUTPUT: u8 = 2;
/// Those that no error's code brings.
#[cfg(test)]
pub(crate) const EXITS_OF_ITS_OWN: [u8; 3] = [EXIT_NO, EXIT_DETACHED, EXIT_OUTPUT];

impl CliError {
    /// An error of this code without more to say.
    pub(crate) fn of(code: &Code, what: impl Into<String>) -> Self {
        code.error(what).into()
    }

    /// What the process ends with.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Failed(errors) => {
                let exits: Vec<u8> = errors.iter().map(|error| error.exit).collect();
                let gravest = GRAVEST_FIRST.iter().find(|exit| exits.contains(exit));
                gravest.or(exits.first()).copied().unwrap_or(1)
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
    fn of_several_errors_the_gravest_decides() {
        let exit = |list: &[&Code]| CliError::Failed(list.iter().map(|c| c.error("x")).collect()).exit();
        assert_eq!(exit(&[&codes::ROLLED_BACK, &codes::ROLLOUT_FAILED]), 5);
        assert_eq!(exit(&[&codes::TIMED_OUT, &codes::ROLLED_BACK]), 4);
        assert_eq!(exit(&[&codes::SUPERSEDED, &codes::TIMED_OUT]), 6);
        assert_eq!(exit(&[&codes::NOT_FOUND]), 2);
    }
}
