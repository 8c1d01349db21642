//! Replicas.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::ObjectImage;
use crate::controller::ReplicaSnapshot;
use crate::model::{
    AppName, Cause, ContainerId, Desired, Diagnosis, LastExit, Millis, NodeId, NotReadyCause, Replica,
    ReplicaName, ReplicaPhase, ReplicaStatus, RevisionNumber, ServiceName, signal_of,
};

/// A replica; `ctl get replicas -o json` puts `available`, `inFlight` and `image` into its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaObject {
    pub spec: ReplicaSpec,
    /// As its agent reports it; `None` before the first report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ReplicaState>,
    /// Whether it is ready and every balancer has acknowledged it.
    pub available: bool,
    /// Requests in flight to it.
    pub in_flight: u64,
    /// The image of its revision.
    pub image: ObjectImage,
}

/// What the orchestrator wants of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaSpec {
    pub name: ReplicaName,
    pub service: ServiceName,
    pub app: AppName,
    /// Its position in the service, from 1.
    pub slot: u32,
    pub revision: RevisionNumber,
    pub node: NodeId,
    pub desired: DesiredName,
    /// Why it is removed or retained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// The desired state of a replica, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DesiredName {
    Run,
    Retain,
    Remove,
}

impl ReplicaSpec {
    /// Whether it is meant to be in rotation.
    pub fn runs(&self) -> bool {
        self.desired == DesiredName::Run
    }
}

impl From<Replica> for ReplicaSpec {
    fn from(replica: Replica) -> Self {
        let Replica { name, service, app, slot, revision, hash: _, node, created_at: _, desired } = replica;
        let (desired, cause) = match desired {
            Desired::Run => (DesiredName::Run, None),
            Desired::Retain { cause } => (DesiredName::Retain, Some(cause)),
            Desired::Remove { cause } => (DesiredName::Remove, Some(cause)),
        };
        Self { name, service, app, slot, revision, node, desired, cause }
    }
}

/// The phase of a replica, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReplicaPhaseName {
    Waiting,
    Pulling,
    Starting,
    Ready,
    Unready,
    BackOff,
    Draining,
    Stopping,
    Retained,
    Gone,
}

impl From<&ReplicaPhase> for ReplicaPhaseName {
    fn from(phase: &ReplicaPhase) -> Self {
        match phase {
            ReplicaPhase::Waiting { .. } => Self::Waiting,
            ReplicaPhase::Pulling => Self::Pulling,
            ReplicaPhase::Starting { .. } => Self::Starting,
            ReplicaPhase::Ready => Self::Ready,
            ReplicaPhase::Unready { .. } => Self::Unready,
            ReplicaPhase::BackOff { .. } => Self::BackOff,
            ReplicaPhase::Draining => Self::Draining,
            ReplicaPhase::Stopping => Self::Stopping,
            ReplicaPhase::Retained => Self::Retained,
            ReplicaPhase::Gone => Self::Gone,
        }
    }
}

/// Why a replica is not ready, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NotReadyReason {
    ImageNotFound,
    PullDenied,
    ImageUnavailable,
    CannotStart,
    Exited,
    Completed,
    OutOfMemory,
    Unhealthy,
    VolumeMissing,
    NoFreeAddress,
    OffNetwork,
    ContainerPaused,
}

impl From<&NotReadyCause> for NotReadyReason {
    fn from(cause: &NotReadyCause) -> Self {
        match cause {
            NotReadyCause::ImageNotFound { .. } => Self::ImageNotFound,
            NotReadyCause::PullDenied { .. } => Self::PullDenied,
            NotReadyCause::ImageUnavailable { .. } => Self::ImageUnavailable,
            NotReadyCause::CannotStart { .. } => Self::CannotStart,
            NotReadyCause::Exited { .. } => Self::Exited,
            NotReadyCause::Completed { .. } => Self::Completed,
            NotReadyCause::OutOfMemory { .. } => Self::OutOfMemory,
            NotReadyCause::Unhealthy { .. } => Self::Unhealthy,
            NotReadyCause::VolumeMissing { .. } => Self::VolumeMissing,
            NotReadyCause::NoFreeAddress => Self::NoFreeAddress,
            NotReadyCause::OffNetwork { .. } => Self::OffNetwork,
            NotReadyCause::ContainerPaused => Self::ContainerPaused,
        }
    }
}

/// The state of a replica, as its agent reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaState {
    pub phase: ReplicaPhaseName,
    /// Why it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<NotReadyReason>,
    /// The reason with its details, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the next attempt comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<jiff::Timestamp>,
    /// When this phase began.
    pub since: jiff::Timestamp,
    /// Number of the current container, from 1.
    pub attempt: u32,
    /// Containers that failed so far.
    pub failures: u32,
    /// How often the agent started another container in place of one that ended or disappeared; a new replica begins with 0.
    #[serde(default)]
    pub restart_count: u32,
    /// How its last container ended that was not asked to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<ContainerExit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// Its address on the app's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Ports of the container that are published on 127.0.0.1, with the port there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub published: BTreeMap<u16, u16>,
    /// From the start of the container to ready, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_after: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<ReplicaDiagnosis>,
}

impl ReplicaState {
    /// Whether its endpoint is registered as ready.
    pub fn is_ready(&self) -> bool {
        self.phase == ReplicaPhaseName::Ready
    }
}

impl From<ReplicaStatus> for ReplicaState {
    fn from(status: ReplicaStatus) -> Self {
        let cause = status.phase.cause();
        Self {
            restart_count: status.restart_count(),
            phase: (&status.phase).into(),
            reason: cause.map(NotReadyReason::from),
            message: cause.map(ToString::to_string),
            retry_at: match &status.phase {
                ReplicaPhase::BackOff { retry_at, .. } => Some(*retry_at),
                _ => None,
            },
            since: status.since,
            attempt: status.attempt,
            failures: status.failures,
            last_exit: status.history.last_exit.map(ContainerExit::from),
            container: status.container,
            address: status.address,
            published: status.published,
            ready_after: status.ready_after,
            diagnosis: status.diagnosis.map(ReplicaDiagnosis::from),
        }
    }
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerExit {
    pub at: jiff::Timestamp,
    /// Its exit code; `None` where it could not be started, or was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The signal that ended it, by its exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    pub reason: NotReadyReason,
    /// The reason with its details, in one line.
    pub message: String,
    pub container: ContainerId,
}

impl From<LastExit> for ContainerExit {
    fn from(exit: LastExit) -> Self {
        let message = exit.to_string();
        let LastExit { at, cause, container } = exit;
        let code = cause.exit_code();
        Self {
            at,
            code,
            signal: code.and_then(signal_of).map(str::to_owned),
            reason: (&cause).into(),
            message,
            container,
        }
    }
}

/// What was observed of a replica that is not healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaDiagnosis {
    /// `exited with code 1 before its first healthy check, 3 times in 14s`.
    pub message: String,
    /// The last lines that the container wrote, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl From<Diagnosis> for ReplicaDiagnosis {
    fn from(diagnosis: Diagnosis) -> Self {
        Self { message: diagnosis.to_string(), log: diagnosis.evidence.log }
    }
}

impl From<ReplicaSnapshot> for ReplicaObject {
    fn from(snapshot: ReplicaSnapshot) -> Self {
        let ReplicaSnapshot { replica, status, available, stats, image } = snapshot;
        Self {
            spec: replica.into(),
            status: status.map(ReplicaState::from),
            available,
            in_flight: stats.in_flight,
            image: image.into(),
        }
    }
}
