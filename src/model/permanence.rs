//! Which failures of a container cannot pass by themselves. Pure.

use super::{Diagnosis, NotReadyCause};

/// A shell's exit codes for a command that is there and cannot be executed, and for one that is not there.
const NO_COMMAND: [i64; 2] = [126, 127];

/// What the kernel says of a program for another processor, or of a script without an interpreter.
const WRONG_FORMAT: &str = "exec format error";

impl Diagnosis {
    /// Whether another attempt ends in the same way, however long one waits: the image or the manifest is wrong. Any other exit
    /// may be that of a program whose database is not up yet.
    pub fn cannot_pass(&self) -> bool {
        match &self.cause {
            NotReadyCause::ImageNotFound { .. }
            | NotReadyCause::PullDenied { .. }
            | NotReadyCause::CannotStart { .. }
            | NotReadyCause::Completed { .. }
            // Waiting gives it no more memory.
            | NotReadyCause::OutOfMemory { .. } => true,
            NotReadyCause::Exited { code, .. } => {
                let wrong_format = |line: &String| line.to_ascii_lowercase().contains(WRONG_FORMAT);
                NO_COMMAND.contains(code) || self.evidence.log.iter().any(wrong_format)
            }
            NotReadyCause::ImageUnavailable { .. }
            | NotReadyCause::Unhealthy { .. }
            | NotReadyCause::VolumeMissing { .. }
            | NotReadyCause::NoFreeAddress
            | NotReadyCause::OffNetwork { .. }
            | NotReadyCause::ContainerPaused => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Evidence;

    #[test]
    fn cannot_pass_for_what_is_wrong_with_image_or_manifest() {
        let exited = |code| NotReadyCause::Exited { code, was_healthy: false };
        let message = || "m".to_owned();
        for (cause, log, expected) in [
            (exited(1), "connection to db refused", false),
            (exited(1), "exec /app: Exec format error", true),
            (exited(126), "", true),
            (exited(127), "sh: migrate: not found", true),
            (exited(137), "", false),
            (NotReadyCause::Completed { was_healthy: false }, "", true),
            (NotReadyCause::OutOfMemory { limit: None, code: None }, "", true),
            (NotReadyCause::CannotStart { message: message() }, "", true),
            (NotReadyCause::ImageNotFound { message: message() }, "", true),
            (NotReadyCause::ImageUnavailable { message: message() }, "", false),
            (NotReadyCause::unhealthy("GET / → 503"), "", false),
            (NotReadyCause::ContainerPaused, "", false),
        ] {
            let evidence = Evidence { log: vec![log.to_owned()], ..Evidence::default() };
            let diagnosis = Diagnosis { cause, evidence };
            assert_eq!(diagnosis.cannot_pass(), expected, "{diagnosis:?}");
        }
    }
}
