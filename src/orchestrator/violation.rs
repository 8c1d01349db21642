//! The rules that a plan may break, and the error of a plan that breaks one.

use crate::model::{ReplicaName, RevisionNumber};

/// A rule that a plan broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It removes available replicas although fewer than the floor are left.
    #[error("{left} replicas would be available, at least {floor} required")]
    BelowFloor { left: usize, floor: usize },
    /// It starts replicas above the ceiling.
    #[error("{running} replicas would run, at most {ceiling} allowed")]
    AboveCeiling { running: usize, ceiling: usize },
    /// Two replicas hold one slot.
    #[error("two replicas hold slot {0}")]
    SlotShared(u32),
    /// A new replica has a name that was issued before.
    #[error("the name {0} was issued before")]
    NameReused(ReplicaName),
    /// A replica that is marked for removal is restored, or its cause changes.
    #[error("{0} is restored although it is marked for removal")]
    WayBack(ReplicaName),
    /// A replica is deleted before it is gone.
    #[error("{0} is deleted although it is not gone")]
    DeletedAlive(ReplicaName),
    /// A rollback removes a serving replica of the revision it goes back to.
    #[error("a rollback stops {0}, which serves")]
    RollbackStopsHealthy(ReplicaName),
    /// A replica changes a field that never changes: slot, node, hash or service.
    #[error("{0} changes an immutable field")]
    Altered(ReplicaName),
    /// A revision that is needed is dropped.
    #[error("revision {0} is dropped although it is needed")]
    RevisionNeeded(RevisionNumber),
    /// A new revision does not have the next number.
    #[error("revision {0} is not the next")]
    RevisionNumber(RevisionNumber),
    /// A replica is replaced or moved though the user paused the rollout.
    #[error("{0} is replaced during a pause")]
    PausedMoves(ReplicaName),
    /// A record is written of a revision that is neither kept nor new.
    #[error("revision {0} is recorded although it does not exist")]
    OutcomeOfNothing(RevisionNumber),
    /// The plan does not fit a transaction.
    #[error("{0} operations do not fit a transaction")]
    TooLarge(usize),
    /// A service is forgotten before its replicas are gone.
    #[error("the service is forgotten although replicas are left")]
    ForgottenAlive,
    /// Volumes are removed before the replicas are gone, or although the user keeps them.
    #[error("volumes are removed although they are needed")]
    VolumesNeeded,
}

/// A plan that breaks invariants: nothing of it may be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan breaks an invariant: {}", in_one_line(.violations))]
pub struct InvalidPlan {
    /// The rules that it breaks; at least one.
    pub violations: Vec<Violation>,
}

fn in_one_line(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
