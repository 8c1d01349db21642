//! How many replicas there may and must be, and which go when there are too many.
//!
//! A change of the count is taken at once, also during a rollout: it moves the bounds, and the rollout goes on in them.

use super::census::{Census, CountedReplica, has_ended};
use super::{ReplicaView, ServiceView};
use crate::model::{Pace, Revision};

/// The bounds a move keeps, from the count that is wanted now.
///
/// With 10 wanted, `maxSurge: 25%` and `maxUnavailable: 25%`: at most 10 + 3 run (2.5 up), at least 10 - 2 are available
/// (2.5 down).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Replicas wanted.
    pub wanted: usize,
    /// No move leaves fewer available.
    pub floor: usize,
    /// No move leaves more meant to run. Replicas on their way out do not count: they take no new request, and how long
    /// they drain must not hold up a rollout.
    pub ceiling: usize,
    /// Replicas on their way out that do count for the ceiling: none that takes their place runs beside them.
    pub held: usize,
}

impl Bounds {
    /// The bounds while replicas of `made` are made: policy and count are the Service's, and whether the old must be gone
    /// first is said by the revision that is made and those that are there.
    ///
    /// With 1 wanted and a volume that both write to: no surge, so the old one goes (0 left, 0 must be). Until it is gone
    /// it holds the only place; then the new one is started.
    pub fn of(view: &ServiceView, made: &Revision) -> Self {
        let spec = &view.service.spec;
        let waited_for = view.replicas.iter().filter(|r| is_waited_for(view, made, r));
        let (running, leaving): (Vec<_>, Vec<_>) = waited_for.partition(|r| r.replica.runs());
        let Pace { surge, missing } = spec.pace(!running.is_empty());
        let surge = if leaving.is_empty() { surge } else { 0 };
        let count = spec.replica_count();
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            wanted: size(count),
            floor: size(count.saturating_sub(missing)),
            ceiling: size(count.saturating_add(surge)),
            held: leaving.len(),
        }
    }
}

/// Whether a replica of `made` that takes the place of this one is started only when it is gone. One that is to run and
/// has the template of `made` gives its place to nobody.
pub(super) fn is_waited_for(view: &ServiceView, made: &Revision, replica: &ReplicaView) -> bool {
    let own = view.revisions.get(&replica.replica.revision);
    let stays = replica.replica.runs()
        && (replica.replica.revision == made.number || own.is_some_and(|own| own.same_template(made)));
    let spec = own.map_or(&made.spec, |own| &own.spec);
    !stays && !has_ended(replica) && made.spec.waits_for(spec, view.service.spec.replica_count())
}

/// The replicas that are too many for the bounds, whatever the rollout does.
///
/// First those of the target above the count: idle ones first, then those in the highest slots, so that the places stay
/// 1, 2, 3 … Then, where old and new together are above the ceiling: old ones that are idle, old ones as far as the floor
/// lets, and new ones that are idle.
pub(super) fn surplus<'a>(census: &Census<'a>, bounds: Bounds) -> Vec<CountedReplica<'a>> {
    let mut target: Vec<CountedReplica<'a>> =
        census.current.iter().chain(&census.matching).copied().collect();
    target.sort_by_key(|s| (s.available, s.may_serve, std::cmp::Reverse(s.is.replica.slot)));
    let kept = target.split_off(target.len().saturating_sub(bounds.wanted));
    let mut surplus = target;
    let excess = (kept.len() + census.old.len()).saturating_sub(bounds.ceiling);
    if excess == 0 {
        return surplus;
    }
    let mut old = census.old.clone();
    old.sort_by_key(|s| (s.available, s.is.replica.slot));
    let available = super::census::available(&kept) + super::census::available(&old);
    let spare = available.saturating_sub(bounds.floor);
    let (serving, others): (Vec<_>, Vec<_>) = old.into_iter().partition(|s| s.available);
    let idle = |s: &CountedReplica<'_>| !s.may_serve;
    let candidates = others.into_iter().filter(idle).chain(serving.into_iter().take(spare));
    surplus.extend(candidates.chain(kept.into_iter().filter(idle)).take(excess));
    surplus
}
