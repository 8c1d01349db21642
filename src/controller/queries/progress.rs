//! The state of an operation on a service, for the client that waits for it. Pure.

use super::snapshots::{Awaited, OperationEnd, ProgressSnapshot, ReplicaSnapshot};
use crate::controller::service_state::ServiceState;
use crate::model::{
    BalancerReports, Condition, CutRequests, EndpointStats, Generation, Incarnation, Millis, Mono,
    ReplicaName, ReplicaPhase, RolloutState, ServiceName,
};
use crate::orchestrator::Assessment;
use crate::registry::Barrier;

/// `ctl` watches the replicas of a first release for so long before it reports success: a program that crashes on its first
/// steps has done so by then, and a longer wait would be felt with each first apply.
const FIRST_RELEASE_WATCHED: Millis = Millis::secs(3);

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
        cut: cut_since(stored, generation),
        end: end(stored, &replicas, generation, awaited, assessment.served_for),
        replicas,
    }
}

/// Requests that were cut since that generation was written, by replica: as collected in the rollout, and of replicas that
/// no pass has seen since.
pub(super) fn cut_since(stored: &ServiceState, generation: Generation) -> Vec<CutRequests> {
    let mut collected = stored.rollout.as_ref().map(|rollout| rollout.cut.clone()).unwrap_or_default();
    let current = stored.service.metadata.generation;
    stored
        .statuses
        .values()
        .filter_map(|status| status.cut.as_ref())
        .for_each(|cut| collected.add(current, cut));
    let mut cut: Vec<CutRequests> = collected.since(generation).cloned().collect();
    cut.sort_by(|a, b| a.replica.cmp(&b.replica));
    cut
}

/// A service that is gone, with what its deletion cut.
pub(super) fn deleted(service: &ServiceName, cut: Vec<CutRequests>) -> ProgressSnapshot {
    ProgressSnapshot {
        service: service.clone(),
        deleting: true,
        rollout: None,
        wanted: 0,
        stops_first: false,
        available: 0,
        replicas: Vec::new(),
        held_by: Vec::new(),
        counted: None,
        failed_requests: None,
        cut,
        end: Some(OperationEnd::Deleted),
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

/// A first release serves, and is not complete. Who waits for it may go before it is, but not before each replica stayed up
/// for a moment: one that crashes at once is no success.
fn watched(healthy_for: Millis, served_for: Millis, awaited: Awaited) -> Option<OperationEnd> {
    match awaited {
        Awaited::Count => Some(OperationEnd::Done),
        Awaited::Release if served_for >= FIRST_RELEASE_WATCHED && healthy_for > served_for => {
            Some(OperationEnd::Watched { left: Millis(healthy_for.0 - served_for.0).whole_seconds_up() })
        }
        Awaited::Release | Awaited::Deletion => None,
    }
}

/// How the operation that wrote `generation` ended, if it did.
fn end(
    stored: &ServiceState,
    replicas: &[ReplicaSnapshot],
    generation: Generation,
    awaited: Awaited,
    served_for: Option<Millis>,
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
        RolloutState::Progressing { .. } if rollout.stable.is_none() && !rollout.paused && settled => {
            watched(stored.service.spec.rollout.healthy_for, served_for?, awaited)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watched_ends_the_wait_for_a_first_release_once_it_stayed_up_for_a_moment() {
        let left = |seconds| Some(OperationEnd::Watched { left: Millis::secs(seconds) });
        for (healthy_for, served_for, awaited, expected) in [
            (10_000, 2_999, Awaited::Release, None),
            (10_000, 3_000, Awaited::Release, left(7)),
            (10_000, 9_900, Awaited::Release, left(1)),
            (10_000, 10_000, Awaited::Release, None),
            // Not worth it: it is complete in a moment.
            (2_000, 1_900, Awaited::Release, None),
            (10_000, 0, Awaited::Count, Some(OperationEnd::Done)),
        ] {
            let end = watched(Millis(healthy_for), Millis(served_for), awaited);
            assert_eq!(end, expected, "{served_for} of {healthy_for}");
        }
    }
}
