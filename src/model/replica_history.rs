//! What happened to the containers of a replica, stored with its status so that it survives a restart of the controller. Pure.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ContainerId, Diagnosis, Evidence, Millis, NotReadyCause};

/// So many times are kept of each kind: enough to say that it happens again and again. One is an accident, two may be.
pub const REPEATS: usize = 3;

/// How long the last container that ended is kept for its log, with all that it wrote into its own file system: what crashes in
/// the night can be read in the morning.
pub const PREVIOUS_KEPT_FOR: Millis = Millis::secs(24 * 60 * 60);

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
    /// How many containers it has had.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub containers: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<LastExit>,
    /// When its last containers failed, oldest first. Exits that no agent saw, as in a reboot, are left out, and so is what the
    /// program is not to blame for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_at: Vec<Timestamp>,
    /// When it was ready and failed its health check, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unready_at: Vec<Timestamp>,
}

impl ReplicaHistory {
    /// Before anything happened to it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A container failed.
    pub fn failed(&mut self, at: Timestamp) {
        push(&mut self.failed_at, at);
    }

    /// It was ready, and is not any more.
    pub fn became_unready(&mut self, at: Timestamp) {
        push(&mut self.unready_at, at);
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn push(times: &mut Vec<Timestamp>, at: Timestamp) {
    times.push(at);
    let surplus = times.len().saturating_sub(REPEATS);
    times.drain(..surplus);
}
