//! In which ways a replica can be unstable although its rollout ended well. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EventReason, Millis, Reason, ReplicaHistory};

/// A way to be unstable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Instability {
    /// Its containers fail again and again.
    CrashLooping,
    /// It is ready and unready in turn.
    ReadinessFlapping,
}

impl Instability {
    /// The worse one first.
    pub const ALL: [Self; 2] = [Self::CrashLooping, Self::ReadinessFlapping];

    /// When what makes it so happened to a replica.
    pub fn times(self, history: &ReplicaHistory) -> &[Timestamp] {
        match self {
            Self::CrashLooping => &history.failed_at,
            Self::ReadinessFlapping => &history.unready_at,
        }
    }

    /// What happened so often to a replica: `failed 3 times within 10m`.
    pub fn repeated(self, times: usize, within: Millis) -> String {
        match self {
            Self::CrashLooping => format!("failed {times} times within {within}"),
            Self::ReadinessFlapping => format!("was ready and then unready {times} times within {within}"),
        }
    }

    /// Why it is over.
    pub fn over(self, after: Millis) -> String {
        match self {
            Self::CrashLooping => format!("no container has failed for {after}"),
            Self::ReadinessFlapping => format!("no replica has become unready for {after}"),
        }
    }

    /// Of the service's condition.
    pub fn reason(self) -> Reason {
        match self {
            Self::CrashLooping => Reason::CrashLooping,
            Self::ReadinessFlapping => Reason::ReadinessFlapping,
        }
    }

    /// When the first replica of a service becomes so.
    pub fn begin(self) -> EventReason {
        match self {
            Self::CrashLooping => EventReason::CrashLooping,
            Self::ReadinessFlapping => EventReason::ReadinessFlapping,
        }
    }

    /// When none is any longer.
    pub fn end(self) -> EventReason {
        match self {
            Self::CrashLooping => EventReason::CrashLoopEnded,
            Self::ReadinessFlapping => EventReason::ReadinessFlappingEnded,
        }
    }
}
