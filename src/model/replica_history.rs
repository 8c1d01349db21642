//! What happened to the containers of a replica, stored with its status so that it survives a restart of the controller. Pure.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ContainerId, Diagnosis, Evidence, NotReadyCause};

/// How a container of a replica ended that neither the orchestrator nor a user of Coxswain had asked to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastExit {
    /// By the Engine's clock, where it ran.
    pub at: Timestamp,
    /// Why it ended; of one that the agent replaced, why it did.
    #[serde(flatten)]
    pub cause: NotReadyCause,
    pub container: ContainerId,
}

/// Without its subject, the replica: `exited with code 139 (SIGSEGV)`.
impl fmt::Display for LastExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Diagnosis { cause: self.cause.clone(), evidence: Evidence::default() }.fmt(f)
    }
}

/// What happened to a replica so far; another replica in its slot begins with none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaHistory {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<LastExit>,
}

impl ReplicaHistory {
    /// Before its first container ended.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
