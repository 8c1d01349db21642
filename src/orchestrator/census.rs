//! Every replica in exactly one bucket, before any arithmetic.

use super::{ReplicaView, ServiceView};
use crate::model::{ReplicaPhase, Revision};

/// A replica and what a move may rely on it for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassifiedReplica<'a> {
    pub(super) view: &'a ReplicaView,
    /// Whether it serves: acknowledged by every balancer or, without a port, up for `healthyFor`.
    pub(super) available: bool,
    /// Whether it may be serving: a balancer may use a table before its acknowledgement arrives, so unknown does not mean
    /// idle.
    pub(super) may_serve: bool,
    /// Whether it has served for `healthyFor`.
    pub(super) settled: bool,
}

/// The buckets. The first rule that fits decides: ended or leaving (in none), current, matching, old.
#[derive(Debug, Default)]
pub(super) struct Census<'a> {
    /// Meant to run, of the target revision.
    pub(super) current: Vec<ClassifiedReplica<'a>>,
    /// Meant to run, of another revision with the target's template: move over without a restart.
    pub(super) matching: Vec<ClassifiedReplica<'a>>,
    /// Meant to run, of another template.
    pub(super) old: Vec<ClassifiedReplica<'a>>,
}

impl<'a> Census<'a> {
    /// Sorts the replicas of a service whose rollout goes to `target`.
    pub(super) fn take(view: &'a ServiceView, target: &Revision) -> Self {
        let mut census = Self::default();
        for replica in view.replicas.iter().filter(|r| r.replica.runs() && !has_ended(r)) {
            let own = view.revisions.get(&replica.replica.revision);
            let available = is_available(view, replica);
            let ready = replica.status.as_ref().is_some_and(|status| status.is_ready());
            let seen = ClassifiedReplica {
                view: replica,
                available,
                may_serve: available || ready,
                settled: replica.serving_for.is_some_and(|t| t >= view.service.spec.rollout.healthy_for),
            };
            if replica.replica.revision == target.number {
                census.current.push(seen);
            } else if own.is_some_and(|own| own.same_template(target)) {
                census.matching.push(seen);
            } else {
                census.old.push(seen);
            }
        }
        census
    }

    /// Replicas meant to run.
    pub(super) fn running(&self) -> usize {
        self.current.len() + self.matching.len() + self.old.len()
    }
}

/// How many of these are available.
pub(super) fn available(seen: &[ClassifiedReplica<'_>]) -> usize {
    seen.iter().filter(|s| s.available).count()
}

/// Whether nothing of it is left.
pub(super) fn is_gone(replica: &ReplicaView) -> bool {
    replica.status.as_ref().is_some_and(|s| s.phase == ReplicaPhase::Gone)
}

/// Whether it does not run and never will again: its slot is free.
pub(super) fn has_ended(replica: &ReplicaView) -> bool {
    replica.status.as_ref().is_some_and(|s| matches!(s.phase, ReplicaPhase::Gone | ReplicaPhase::Retained))
}

/// Whether a replica serves. Without a port there is nothing to acknowledge: it counts once it ran for `healthyFor`.
pub(super) fn is_available(view: &ServiceView, replica: &ReplicaView) -> bool {
    let Some(serving_for) = replica.serving_for else { return false };
    !is_portless(view, replica) || serving_for >= view.service.spec.rollout.healthy_for
}

/// Whether its revision has no port. One whose revision is unknown is taken to have one.
pub(super) fn is_portless(view: &ServiceView, replica: &ReplicaView) -> bool {
    view.revisions.get(&replica.replica.revision).is_some_and(|r| r.spec.ports.is_empty())
}
