//! Where an operation on a service stands, for the one who waits for it. Pure.

use std::collections::BTreeMap;

use super::objects::{Awaited, Counted, OperationOutcome, OperationProgress, ReplicaProgress};
use crate::controller::service_state::ServiceState;
use crate::model::{
    BalancerReports, Condition, EndpointStats, Generation, Incarnation, Millis, ReplicaName, ReplicaPhase,
    RolloutState,
};
use crate::registry::Barrier;

/// A snapshot for one who waits for `generation`.
pub(crate) fn progress(
    stored: &ServiceState,
    serving: &BTreeMap<ReplicaName, Millis>,
    barrier: &Barrier,
    generation: Generation,
    awaited: Awaited,
    held_by: Vec<Condition>,
    failed_requests: Option<u64>,
) -> OperationProgress {
    let counted = counted(&barrier.reports);
    let deleted = stored.service.deleted_at.is_some();
    let replicas: Vec<ReplicaProgress> = stored
        .replicas
        .iter()
        .map(|replica| ReplicaProgress {
            name: replica.name.clone(),
            revision: replica.revision,
            runs: replica.runs() && !deleted,
            available: serving.contains_key(&replica.name),
            status: stored.statuses.get(&replica.name).cloned(),
            in_flight: stats(stored, barrier, &replica.name).in_flight,
            drained: stats(stored, barrier, &replica.name).drained,
            counters: counted.as_ref().map(|_| stats(stored, barrier, &replica.name)),
        })
        .collect();
    let target = stored.rollout.as_ref().map(|rollout| rollout.target).unwrap_or_default();
    let from = stored.rollout.as_ref().and_then(|rollout| match &rollout.state {
        RolloutState::RollingBack { failure, .. } => Some(failure.revision),
        _ => rollout.stable,
    });
    let available = replicas.iter().filter(|r| r.runs && r.available && r.revision == target).count();
    OperationProgress {
        service: stored.service.name().clone(),
        observed: stored.rollout.as_ref().map(|rollout| rollout.observed_generation).unwrap_or_default(),
        from: from.filter(|from| *from != target),
        target,
        wanted: if deleted { 0 } else { stored.service.spec.replica_count() },
        available: u32::try_from(available).unwrap_or(u32::MAX),
        outcome: outcome(stored, &replicas, generation, awaited),
        replicas,
        held_by,
        counted,
        failed_requests,
    }
}

/// The counters of a replica's endpoint, summed over all balancers.
pub(crate) fn stats(stored: &ServiceState, barrier: &Barrier, replica: &ReplicaName) -> EndpointStats {
    let endpoint = stored.endpoints.get(replica);
    endpoint.map(|endpoint| barrier.reports.stats(&endpoint.id())).unwrap_or_default()
}

/// Which processes counted, and when; `None` until every balancer reports counters. Their clocks run alike, so the latest
/// reading is of the same process each time.
fn counted(reports: &BalancerReports) -> Option<Counted> {
    if !reports.all(|report| report.counted.is_some()) {
        return None;
    }
    let processes: Vec<&str> = reports.connected().map(|(_, report)| report.incarnation.0.as_str()).collect();
    let at = reports.connected().filter_map(|(_, report)| report.counted).max()?;
    Some(Counted { by: Incarnation(processes.join(",")), at })
}

/// How the operation that wrote `generation` ended, if it did.
fn outcome(
    stored: &ServiceState,
    replicas: &[ReplicaProgress],
    generation: Generation,
    awaited: Awaited,
) -> Option<OperationOutcome> {
    // Generations of a name only rise: a lower one is another service, made after the one that was written is gone.
    if stored.service.metadata.generation < generation {
        return Some(OperationOutcome::Deleted);
    }
    if stored.service.deleted_at.is_some() {
        return None; // `Deleted` once nothing is left to read
    }
    let rollout = stored.rollout.as_ref().filter(|rollout| rollout.observed_generation >= generation)?;
    // A later write that only edits the count of a rollout does not supersede it; one that releases something does.
    let newest = stored.revisions.values().max_by_key(|revision| revision.generation);
    if let Some(newest) = newest.filter(|newest| newest.generation > generation) {
        return Some(OperationOutcome::Superseded {
            by: newest.generation,
            revision: newest.number,
            author: newest.created_by.clone(),
        });
    }
    let wanted = stored.service.spec.replica_count() as usize;
    let is_kept = |r: &&ReplicaProgress| r.status.as_ref().is_some_and(|s| s.phase == ReplicaPhase::Retained);
    let mut left = replicas.iter().filter(|r| !is_kept(r));
    let settled = left.clone().count() == wanted && left.all(|r| r.runs && r.available);
    match &rollout.state {
        // A pause keeps the count; whoever waits for no more than that need not wait for its end.
        RolloutState::Progressing { .. } if rollout.paused && awaited == Awaited::Count => {
            let serving = replicas.iter().filter(|r| r.runs && r.available).count();
            (serving >= wanted).then_some(OperationOutcome::Done)
        }
        RolloutState::Progressing { .. } | RolloutState::RollingBack { .. } => None,
        // Whoever asks for the release that failed, first or once more, is told of it.
        RolloutState::RolledBack { failure } if awaited == Awaited::Release => {
            Some(OperationOutcome::RolledBack { failure: failure.clone() })
        }
        // A change of the count is done where what stands still serves all the same.
        RolloutState::Failed { .. } if settled && awaited == Awaited::Count => Some(OperationOutcome::Done),
        RolloutState::Failed { failure } => Some(OperationOutcome::Failed { failure: failure.clone() }),
        RolloutState::Complete | RolloutState::RolledBack { .. } => settled.then_some(OperationOutcome::Done),
    }
}
