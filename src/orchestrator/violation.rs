//! The rules that a plan may break, and the error of a plan that breaks one.

use std::fmt;

use crate::model::{ReplicaName, RevisionNumber};

/// A rule that a plan broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// It removes available replicas although fewer than the floor are left.
    BelowFloor { left: usize, floor: usize },
    /// It starts replicas above the ceiling.
    AboveCeiling { running: usize, ceiling: usize },
    /// Two replicas hold one slot.
    SlotShared(u32),
    /// A new replica has a name that was issued before.
    NameReused(ReplicaName),
    /// A replica that is being removed is called back, or its cause changes.
    WayBack(ReplicaName),
    /// A replica is deleted before it is gone.
    DeletedAlive(ReplicaName),
    /// A rollback removes a serving replica of the revision it goes back to.
    RollbackStopsHealthy(ReplicaName),
    /// A replica changes a field that never changes: slot, node, hash or service.
    Altered(ReplicaName),
    /// A revision that is needed is dropped.
    RevisionNeeded(RevisionNumber),
    /// A new revision does not have the next number.
    RevisionNumber(RevisionNumber),
    /// A replica is replaced or moved though the user paused the rollout.
    PausedMoves(ReplicaName),
    /// A record is written of a revision that is neither kept nor new.
    OutcomeOfNothing(RevisionNumber),
    /// The plan does not fit a transaction.
    TooLarge(usize),
    /// A service is forgotten before its replicas are gone.
    ForgottenAlive,
    /// Volumes are removed before the replicas are gone, or although the user keeps them.
    VolumesNeeded,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowFloor { left, floor } => write!(f, "{left} available replicas left, {floor} must be"),
            Self::AboveCeiling { running, ceiling } => write!(f, "{running} replicas run, {ceiling} may"),
            Self::SlotShared(slot) => write!(f, "two replicas hold slot {slot}"),
            Self::NameReused(name) => write!(f, "the name {name} was issued before"),
            Self::WayBack(name) => write!(f, "{name} is called back from removal"),
            Self::DeletedAlive(name) => write!(f, "{name} is deleted and not gone"),
            Self::RollbackStopsHealthy(name) => write!(f, "a rollback stops {name}, which serves"),
            Self::Altered(name) => write!(f, "{name} changes what it never may"),
            Self::RevisionNeeded(number) => write!(f, "revision {number} is dropped and needed"),
            Self::RevisionNumber(number) => write!(f, "revision {number} is not the next"),
            Self::PausedMoves(name) => write!(f, "{name} is replaced during a pause"),
            Self::OutcomeOfNothing(number) => write!(f, "revision {number} is recorded and not there"),
            Self::TooLarge(operations) => write!(f, "{operations} operations do not fit a transaction"),
            Self::VolumesNeeded => f.write_str("volumes are removed and needed"),
            Self::ForgottenAlive => f.write_str("the service is forgotten and not gone"),
        }
    }
}

/// A plan that breaks invariants: nothing of it may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPlan {
    /// The rules that it breaks; at least one.
    pub violations: Vec<Violation>,
}

impl fmt::Display for InvalidPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        write!(f, "the plan breaks an invariant: {}", rules.join("; "))
    }
}

impl std::error::Error for InvalidPlan {}
