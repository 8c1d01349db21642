//! From the reason of a failed rollout to its code. Pure.

use super::code::Code;
use super::codes;
use super::types::FailureReasonName;

/// The code of a failure reason.
pub fn failure_code(reason: FailureReasonName) -> &'static Code {
    match reason {
        FailureReasonName::DeadlineExceeded => &codes::NO_PROGRESS,
        FailureReasonName::ImageNotFound => &codes::IMAGE_NOT_FOUND,
        FailureReasonName::PullDenied => &codes::PULL_DENIED,
        FailureReasonName::CannotStart => &codes::CANNOT_START,
        FailureReasonName::CrashLoop => &codes::CRASH_LOOP,
        FailureReasonName::Completed => &codes::TASK_COMPLETED,
        FailureReasonName::OutOfMemory => &codes::OUT_OF_MEMORY,
        FailureReasonName::BadAnswer => &codes::BAD_ANSWER,
        FailureReasonName::WrongPort => &codes::WRONG_PORT,
        FailureReasonName::NeverHealthy => &codes::NEVER_HEALTHY,
        FailureReasonName::Aborted => &codes::ABORTED,
    }
}
