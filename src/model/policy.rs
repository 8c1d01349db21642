//! How a Service is rolled and stopped. Pure.

use serde::{Deserialize, Serialize};

use super::{Millis, NumberOrPercent};

/// How a new revision replaces the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// Replica by replica, within `maxSurge` and `maxUnavailable`.
    #[default]
    Rolling,
    /// A full second set that all requests are switched to at once. Only the orchestrator's tests know it.
    #[cfg(test)]
    BlueGreen,
}

/// What happens when a rollout fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// Back to the last revision whose rollout completed.
    #[default]
    Rollback,
    /// Stay as it is until the user writes again.
    Pause,
}

/// The `rollout` block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutPolicy {
    /// How a new revision replaces the old one.
    pub strategy: Strategy,
    /// Replicas above the wanted number that a rollout may have; a percentage is rounded up.
    pub max_surge: NumberOrPercent,
    /// Replicas below the wanted number that a rollout may be; a percentage is rounded down.
    pub max_unavailable: NumberOrPercent,
    /// Ready for this long before the next move of a rollout that replaces a revision.
    pub healthy_for: Millis,
    /// Without progress for this long a rollout has failed; time spent pulling, or waiting for a container to stop, counts apart.
    pub deadline: Millis,
    /// Whether a replica that fails three times fails the rollout before `startWithin` has passed, whatever the cause.
    pub fail_fast: bool,
    /// From the acknowledged removal of an endpoint, how long its requests in flight may take to end.
    pub drain: Millis,
    pub on_failure: OnFailure,
    /// Revisions kept to go back to.
    pub keep_revisions: u32,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self {
            strategy: Strategy::Rolling,
            max_surge: NumberOrPercent::Number(1),
            max_unavailable: NumberOrPercent::Number(0),
            healthy_for: Millis::secs(10),
            deadline: Millis::secs(300),
            fail_fast: false,
            drain: Millis::secs(20),
            on_failure: OnFailure::Rollback,
            keep_revisions: 10,
        }
    }
}

/// The `stop` block: how a container is asked to end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StopPolicy {
    /// Name of the signal, `SIGTERM` or `TERM`; the image's STOPSIGNAL where it is missing, else SIGTERM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// From the signal to SIGKILL.
    pub grace: Millis,
}

impl Default for StopPolicy {
    fn default() -> Self {
        Self { signal: None, grace: Millis::secs(30) }
    }
}
