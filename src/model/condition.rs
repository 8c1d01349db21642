//! Conditions: what is true of an object right now, from closed lists.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::balancer_reports::BalancerLag;
use super::described::described;

described! {
    /// What a condition is about.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub enum ConditionKind {
        /// Every wanted replica is available.
        Ready,
        /// A rollout or scale is under way.
        Progressing,
        /// Something is wrong.
        Degraded,
    }
}

described! {
    /// Why a condition holds or not.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub enum Reason {
        /// All wanted replicas are available.
        AllAvailable,
        /// Fewer replicas are available than wanted.
        TooFewAvailable,
        /// A replica is not available, but enough others are.
        ReplicaHeldUp,
        /// A rollout is under way.
        RollingOut,
        /// A user paused the rollout; its deadline does not run.
        RolloutPaused,
        /// A failed rollout is being undone.
        RollingBack,
        /// The last rollout completed.
        RolledOut,
        /// The last rollout failed and was undone.
        RolledBack,
        /// The last rollout failed and was not undone.
        RolloutFailed,
        /// The service is being deleted.
        Deleting,
        /// The Engine does not answer (missing, stopped or denied); nothing is changed and no deadline runs.
        EngineUnavailable,
        /// Deletion guard tripped; `ctl confirm` allows the removals.
        DeletionHeld,
        /// The manifests directory is not applied: one of its documents or files is invalid, or the apply was refused.
        ManifestsRefused,
        /// A volume that held data no longer exists; replicas that mount it wait until it is restored or `ctl confirm` lets them
        /// start with an empty one.
        VolumeMissing,
        /// A volume that is to be deleted with its service is still in use.
        VolumeInUse,
        /// A balancer is disconnected, or has not acknowledged a table, for a while: nothing new is routed, and no container is
        /// stopped before it does. While it is disconnected no deadline runs.
        BalancerUnacknowledged,
        /// A container still runs after SIGKILL; what takes its place waits for its end.
        KillFailed,
        /// A balancer refused a table.
        TableRefused,
        /// The store cannot be opened, or must not be used: traffic is served from the last routing table, and nothing is changed.
        StoreUnavailable,
        /// The disk of the state directory is full: the store writes into space that it kept for that, or waits for space. Traffic and
        /// reads continue.
        StoreFull,
        /// Probes cannot be made, because the machine or the daemon is short of descriptors, memory or ports; replicas keep their state.
        ProbesNotMade,
        /// All replicas of a service stopped answering their health checks within moments; the last known good ones stay in rotation.
        AllSilent,
        /// Containers of a replica failed three times within ten minutes, and the last time is less than ten minutes ago; the rollout is
        /// over. `ctl get` shows the restarts, `ctl why` how the last container ended.
        CrashLooping,
        /// A replica was ready and then failed its health check three times within ten minutes, and the last time is less than ten
        /// minutes ago.
        ReadinessFlapping,
        /// Containers of an app cannot connect to the balancer at the address that `balancer.url` names, as when a firewall of the node
        /// drops their packets.
        BalancerUnreachable,
        /// A TCP port of the node that the service listens on is not open: another program uses it, or the daemon may not open it. It is
        /// tried again; the replicas are not concerned.
        PortUnavailable,
        /// The certificate of an HTTPS route cannot be read, does not match its key, is out of date or for another host. An earlier one
        /// keeps serving, if there is one; `ctl get certificates` shows which.
        CertificateInvalid,
        /// A process of the daemon, controller or balancer, ends again and again and is restarted each time.
        DaemonCrashLooping,
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One statement about an object or the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    pub status: bool,
    pub reason: Reason,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Condition {
    /// Something is wrong.
    pub fn degraded(reason: Reason, message: String) -> Self {
        Self { kind: ConditionKind::Degraded, status: true, reason, message }
    }

    /// A balancer is not connected, or has not acknowledged the last table, for a while. How long is left out: a condition that
    /// changes each second would be reported each second.
    pub fn balancer_lag(lag: &BalancerLag) -> Self {
        let effect = match lag {
            BalancerLag::NoneRuns | BalancerLag::Disconnected(_) => {
                "nothing new is routed, nothing is stopped, and no deadline runs"
            }
            BalancerLag::Unacknowledged(_) => "no container is stopped before it does",
        };
        let message = format!("{lag}; {effect}");
        Self::degraded(Reason::BalancerUnacknowledged, message)
    }
}
