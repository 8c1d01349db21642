//! The state of an operation on a service, for the client that waits for it. Pure.

use super::snapshots::{Awaited, OperationEnd, ProgressSnapshot, ReplicaSnapshot};
use crate::controller::service_state::ServiceState;
use crate::model::{
    BalancerReports, Condition, EndpointStats, Generation, Incarnation, Mono, ReplicaName, ReplicaPhase,
    RolloutState,
};
use crate::orchestrator::Assessment;
use crate::registry::Barrier;

/// The replicas of a service.
pub(super) fn replicas(
    stored: &ServiceState,
    assessment: &Assessment,
    barrier: &Barrier,
) -> Vec<ReplicaSnapshot> {
    let image =
        |number| stored.revisions.get(number).map_or(&stored.service.image, |revision| &revision.image);
    let replicas = stored.replicas.iter();
    replicas
        .map(|replica| ReplicaSnapshot {
            replica: replica.clone(),
            status: stored.statuses.get(&replica.name).cloned(),
            available: assessment.available_replicas.contains(&replica.name),
            stats: stats(stored, barrier, &replica.name),
            image: image(&replica.revision).clone(),
        })
        .collect()
}

/// The counters of a replica's endpoint, summed over all balancers.
fn stats(stored: &ServiceState, barrier: &Barrier, replica: &ReplicaName) -> EndpointStats {
    let endpoint = stored.endpoints.get(replica.as_str());
    endpoint.map(|endpoint| barrier.reports.stats(&endpoint.id())).unwrap_or_default()
}

/// Which processes counted, and when; `None` until every balancer reports counters. Their clocks run alike, so the latest
/// reading is of the same process each time.
fn counted(reports: &BalancerReports) -> Option<(Incarnation, Mono)> {
    if !reports.all(|report| report.counted.is_some()) {
        return None;
    }
    let processes: Vec<&str> = reports.connected().map(|(_, report)| report.incarnation.0.as_str()).collect();
    let at = reports.connected().filter_map(|(_, report)| report.counted).max()?;
    Some((Incarnation(processes.join(",")), at))
}

/// A snapshot for a client that waits for `generation`.
pub(super) fn progress(
    stored: &ServiceState,
    assessment: &Assessment,
    barrier: &Barrier,
    generation: Generation,
    awaited: Awaited,
    held_by: Vec<Condition>,
    failed_requests: Option<u64>,
) -> ProgressSnapshot {
    let deleting = stored.service.deleted_at.is_some();
    let replicas = replicas(stored, assessment, barrier);
    ProgressSnapshot {
        service: stored.service.name().clone(),
        deleting,
        rollout: stored.rollout.clone(),
        wanted: assessment.wanted,
        stops_first: stops_first(stored, assessment.wanted),
        available: if deleting { 0 } else { assessment.of_target },
        held_by,
        counted: counted(&barrier.reports),
        failed_requests,
        end: end(stored, &replicas, generation, awaited),
        replicas,
    }
}

/// Whether the replicas of the revision that is replaced are removed before their replacements start.
fn stops_first(stored: &ServiceState, wanted: u32) -> bool {
    let release = |number| stored.revisions.get(&number).map(|revision| revision.release());
    let Some(rollout) = &stored.rollout else { return false };
    match (rollout.replaced().and_then(release), release(rollout.target)) {
        (Some(replaced), Some(target)) => target.waits_for(replaced, wanted),
        _ => false,
    }
}

fn serves(snapshot: &ReplicaSnapshot) -> bool {
    snapshot.replica.runs() && snapshot.available
}

/// How the operation that wrote `generation` ended, if it did.
fn end(
    stored: &ServiceState,
    replicas: &[ReplicaSnapshot],
    generation: Generation,
    awaited: Awaited,
) -> Option<OperationEnd> {
    // Generations of a name only rise: a lower one is another service, made after the one that was written is gone.
    if stored.service.metadata.generation < generation {
        return Some(OperationEnd::Deleted);
    }
    if stored.service.deleted_at.is_some() {
        return None; // `Deleted` once nothing is left to read
    }
    let rollout = stored.rollout.as_ref().filter(|rollout| rollout.observed_generation >= generation)?;
    // A later write that only edits the count of a rollout does not supersede it; one that releases something does.
    let newest = stored.revisions.values().max_by_key(|revision| revision.generation);
    if let Some(newest) = newest.filter(|newest| newest.generation > generation) {
        return Some(OperationEnd::Superseded {
            by: newest.generation,
            revision: newest.number,
            author: newest.created_by.clone(),
        });
    }
    let wanted = stored.service.spec.replica_count() as usize;
    let is_kept = |r: &&ReplicaSnapshot| r.status.as_ref().is_some_and(|s| s.phase == ReplicaPhase::Retained);
    let mut left = replicas.iter().filter(|r| !is_kept(r));
    let settled = left.clone().count() == wanted && left.all(serves);
    match &rollout.state {
        // A pause keeps the count: who waits for the count need not wait for the end of the pause.
        RolloutState::Progressing { .. } if rollout.paused && awaited == Awaited::Count => {
            let serving = replicas.iter().filter(|replica| serves(replica)).count();
            (serving >= wanted).then_some(OperationEnd::Done)
        }
        RolloutState::Progressing { .. } | RolloutState::RollingBack { .. } => None,
        // Who asks for the failed release, the first time or again, gets its failure.
        RolloutState::RolledBack { failure } if awaited == Awaited::Release => {
            Some(OperationEnd::RolledBack { failure: failure.clone() })
        }
        // A change of the count is done once all replicas serve, although the rollout failed.
        RolloutState::Failed { .. } if settled && awaited == Awaited::Count => Some(OperationEnd::Done),
        RolloutState::Failed { failure, .. } => Some(OperationEnd::Failed { failure: failure.clone() }),
        RolloutState::Complete | RolloutState::RolledBack { .. } => settled.then_some(OperationEnd::Done),
    }
}
