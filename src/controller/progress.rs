//! Where an operation on a service stands, for the one who waits for it. Pure.

use std::collections::BTreeMap;

use super::read::Stored;
use super::{Outcome, Progress, ReplicaProgress};
use crate::model::{Condition, Generation, Millis, Phase, ReplicaName, RolloutState};
use crate::registry::Barrier;

/// A snapshot for one who waits for `generation`.
pub(crate) fn progress(
    stored: &Stored,
    serving: &BTreeMap<ReplicaName, Millis>,
    barrier: &Barrier,
    generation: Generation,
    held_by: Vec<Condition>,
) -> Progress {
    let replicas: Vec<ReplicaProgress> = stored
        .replicas
        .iter()
        .map(|replica| ReplicaProgress {
            name: replica.name.clone(),
            revision: replica.revision,
            runs: replica.runs(),
            available: serving.contains_key(&replica.name),
            status: stored.statuses.get(&replica.name).cloned(),
            in_flight: in_flight(stored, barrier, &replica.name),
        })
        .collect();
    let target = stored.rollout.as_ref().map(|rollout| rollout.target).unwrap_or_default();
    let deleted = stored.service.deleted_at.is_some();
    let from = stored.rollout.as_ref().and_then(|rollout| match &rollout.state {
        RolloutState::RollingBack { failure, .. } => Some(failure.revision),
        _ => rollout.stable,
    });
    let available = replicas.iter().filter(|r| r.runs && r.available && r.revision == target).count();
    Progress {
        service: stored.service.name().clone(),
        observed: stored.rollout.as_ref().map(|rollout| rollout.observed).unwrap_or_default(),
        from: from.filter(|from| *from != target),
        target,
        wanted: if deleted { 0 } else { stored.service.spec.replica_count() },
        available: u32::try_from(available).unwrap_or(u32::MAX),
        outcome: outcome(stored, &replicas, generation),
        replicas,
        held_by,
    }
}

/// Requests in flight to a replica, by the balancer's last word.
pub(crate) fn in_flight(stored: &Stored, barrier: &Barrier, replica: &ReplicaName) -> u64 {
    let endpoint = stored.endpoints.get(replica);
    endpoint.zip(barrier.report.as_ref()).map_or(0, |(endpoint, report)| report.in_flight(&endpoint.id()))
}

/// How the operation that wrote `generation` ended, if it did.
fn outcome(stored: &Stored, replicas: &[ReplicaProgress], generation: Generation) -> Option<Outcome> {
    // Generations of a name only rise: a lower one is another service, made after the one that was written is gone.
    if stored.service.metadata.generation < generation {
        return Some(Outcome::Deleted);
    }
    if stored.service.deleted_at.is_some() {
        return None; // `Deleted` once nothing is left to read
    }
    let rollout = stored.rollout.as_ref().filter(|rollout| rollout.observed >= generation)?;
    let of = |number| stored.revisions.get(&number).map(|revision| revision.generation);
    // A later write that only edits the count of a rollout does not supersede it; one that releases something does.
    if let Some(by) = stored.revisions.values().map(|r| r.generation).max().filter(|by| *by > generation) {
        return Some(Outcome::Superseded { by, command: stored.service.written_by.clone() });
    }
    let wanted = stored.service.spec.replica_count() as usize;
    let is_kept = |r: &&ReplicaProgress| r.status.as_ref().is_some_and(|s| s.phase == Phase::Kept);
    let mut left = replicas.iter().filter(|r| !is_kept(r));
    let settled = left.clone().count() == wanted && left.all(|r| r.runs && r.available);
    match &rollout.state {
        RolloutState::Progressing { .. } | RolloutState::RollingBack { .. } => None,
        RolloutState::RolledBack { failure } if of(failure.revision) == Some(generation) => {
            Some(Outcome::RolledBack { failure: failure.clone() })
        }
        // A later change of the count is done where what is paused serves all the same.
        RolloutState::Failed { failure } if settled && of(failure.revision) != Some(generation) => {
            Some(Outcome::Done)
        }
        RolloutState::Failed { failure } => Some(Outcome::Failed { failure: failure.clone() }),
        RolloutState::Complete | RolloutState::RolledBack { .. } => settled.then_some(Outcome::Done),
    }
}
