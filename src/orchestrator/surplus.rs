//! Which replicas go when there are more than the bounds allow, whatever the rollout does.

use super::census::{ClassifiedReplica, available};
use super::moves::Move;
use super::pass::Pass;
use super::replica_count;
use crate::model::Cause;

/// Removes the replicas that are too many; says whether there were any.
pub(super) fn remove(pass: &mut Pass<'_>) -> bool {
    if pass.census.running() <= pass.bounds.wanted {
        return false;
    }
    let replicas = surplus(pass);
    pass.take(Move::Remove { replicas, cause: Cause::ScaledDown })
}

/// First those of the target above the count: idle ones first, then those in the highest slots, so that the places stay
/// 1, 2, 3 … Then, where old and new together are above the ceiling: old ones that are idle, old ones as far as the floor
/// allows, and new ones that are idle.
fn surplus<'a>(pass: &Pass<'a>) -> Vec<ClassifiedReplica<'a>> {
    let census = &pass.census;
    let bounds = pass.bounds;
    let mut target: Vec<ClassifiedReplica<'a>> =
        census.current.iter().chain(&census.matching).copied().collect();
    target.sort_by_key(|s| (s.available, s.may_serve, std::cmp::Reverse(s.view.replica.slot)));
    let kept = target.split_off(target.len().saturating_sub(bounds.wanted));
    let mut surplus = target;
    let excess = (kept.len() + census.old.len()).saturating_sub(replica_count::ceiling(pass));
    if excess == 0 {
        return surplus;
    }
    let mut old = census.old.clone();
    old.sort_by_key(|s| (s.available, s.view.replica.slot));
    let serving = available(&kept) + available(&old);
    let spare = serving.saturating_sub(bounds.floor);
    let (serving, others): (Vec<_>, Vec<_>) = old.into_iter().partition(|s| s.available);
    let idle = |s: &ClassifiedReplica<'_>| !s.may_serve;
    let candidates = others.into_iter().filter(idle).chain(serving.into_iter().take(spare));
    surplus.extend(candidates.chain(kept.into_iter().filter(idle)).take(excess));
    surplus
}
