//! How long a replica has been trying to serve, against `startWithin`. Pure.

use serde::{Deserialize, Serialize};

use super::Millis;

/// The time that a replica has had to show that it serves. As counted by its agents: time in which none ran, or the Engine
/// did not answer, does not count, except for the moment since the last write that an agent may have counted and not stored.
/// Stored with the status, so that a restart of the controller does not give it all again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// Since its first container, or since the last failure after it had served for `healthyFor`; all containers and the waits
    /// between them. No more than `startWithin` is counted.
    pub total: Millis,
    /// Of this, the current container's.
    pub container: Millis,
    /// When it was last counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<jiff::Timestamp>,
}

impl Trial {
    /// Before its first container.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
