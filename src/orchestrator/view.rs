//! What a pass sees, and what it decides.

use std::collections::BTreeMap;

use super::Blocker;
use crate::model::{
    Event, Millis, NodeId, OutcomeRecord, Replica, ReplicaName, ReplicaStatus, Revision, RevisionNumber,
    Rollout, Service, Traffic,
};

/// One replica with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaView {
    /// What the orchestrator wants.
    pub replica: Replica,
    /// What its agent reported; `None` before the first report.
    pub status: Option<ReplicaStatus>,
    /// How long, as seen by this controller, it has been ready without a break and (where its revision has a port)
    /// acknowledged by every balancer. `None` while it is not.
    pub serving_for: Option<Millis>,
}

/// How far the removal of a deleted service's volumes has come. Kept in memory only: after a restart it starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VolumeRemovalState {
    /// No plan has asked for it.
    #[default]
    NotRequested,
    InProgress,
    /// The last attempt failed; the next one is due after this long.
    Failed {
        retry_after: Millis,
    },
    /// None of the volumes is left.
    Done,
}

/// One service with all that is known of it: the whole input of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceView {
    pub service: Service,
    /// Its rollout; `None` before the first pass.
    pub rollout: Option<Rollout>,
    /// Its kept revisions.
    pub revisions: BTreeMap<RevisionNumber, Revision>,
    /// What became of them; none for one made by an earlier version.
    pub outcomes: BTreeMap<RevisionNumber, OutcomeRecord>,
    /// Its replicas in the order of their names.
    pub replicas: Vec<ReplicaView>,
    /// Its traffic record; `None` before the first pass.
    pub traffic: Option<Traffic>,
    /// Nodes that replicas may be placed on; never empty.
    pub nodes: Vec<NodeId>,
    /// Time that counts and is not yet in the stored rollout's `waited`: grown by at most 30 s a pass, and only while
    /// the last plan said that its clock runs and the Engine answered. Zero after a start of the controller.
    pub unsaved_wait: Millis,
    /// The removal of its volumes, for a service that is deleted with them.
    pub volume_removal: VolumeRemovalState,
}

/// The plan of one pass: what to write, in one transaction, and when to plan again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// A new revision.
    pub new_revision: Option<Revision>,
    /// What became of revisions.
    pub outcomes: BTreeMap<RevisionNumber, OutcomeRecord>,
    /// The rollout, where it is to be written (also every few seconds to save `waited`).
    pub rollout: Option<Rollout>,
    /// The traffic record, where it is to be written.
    pub traffic: Option<Traffic>,
    /// Replicas to write: new ones and ones whose desired state or revision changes.
    pub put_replicas: Vec<Replica>,
    /// Replicas that are gone: deleted with their status.
    pub delete_replicas: Vec<ReplicaName>,
    /// Revisions that are no longer kept: deleted with their records.
    pub drop_revisions: Vec<RevisionNumber>,
    /// The service is deleted and nothing of it is left: all its keys go.
    pub forget_service: bool,
    /// The service is deleted with its volumes and no replica is left: request the removal of the volumes.
    pub remove_volumes: bool,
    /// What happened, for people.
    pub events: Vec<Event>,
    /// Plan again after this long, even if nothing changes.
    pub wake_after: Option<Millis>,
    /// Whether time until the next pass counts towards the deadline.
    pub clock_runs: bool,
    /// What is waited for, where something is; nothing to write.
    pub blockers: Vec<Blocker>,
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        let Self {
            new_revision,
            outcomes,
            rollout,
            traffic,
            put_replicas,
            delete_replicas,
            drop_revisions,
            forget_service,
            remove_volumes,
            events,
            wake_after: _,
            clock_runs: _,
            blockers: _,
        } = self;
        new_revision.is_none()
            && outcomes.is_empty()
            && rollout.is_none()
            && traffic.is_none()
            && put_replicas.is_empty()
            && delete_replicas.is_empty()
            && drop_revisions.is_empty()
            && !forget_service
            && !remove_volumes
            && events.is_empty()
    }
}
