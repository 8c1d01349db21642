//! The rolling strategy: replica by replica, within the bounds.
//!
//! Old and new are counted, never paired. With 3 wanted, surge 1 and nothing to be missing: 3 old run; a new one is
//! started (4 run); when it has served for `healthyFor`, 4 can be relied on, so one old may go (3 run); and again.

use super::census::{CountedReplica, available};
use super::pass::Pass;
use super::{Blocker, Bounds, deadline, intervention, scale};
use crate::model::{Cause, Replica, Revision, RolloutState};

/// Takes the first move that is due; says whether there was one.
pub(super) fn take_move(pass: &mut Pass<'_>) -> bool {
    if remove_surplus(pass) {
        return true;
    }
    if let RolloutState::Failed { failure } = &pass.rollout.state {
        let revision = failure.revision;
        pass.changes.blockers.push(Blocker::Paused { revision });
        return fill_up(pass);
    }
    if intervention::pause(pass.view, &pass.rollout).is_some() {
        pass.changes.blockers.push(Blocker::PausedByUser { revision: pass.rollout.target });
        return keep_count(pass);
    }
    move_over(pass) || start_new(pass) || remove_old(pass)
}

fn remove_surplus(pass: &mut Pass<'_>) -> bool {
    let census = &pass.census;
    if census.running() <= pass.bounds.wanted {
        return false;
    }
    let surplus = scale::surplus(census, pass.bounds);
    for seen in &surplus {
        pass.remove(seen, Cause::ScaledDown);
    }
    !surplus.is_empty()
}

/// Keeps the count of a service whose rollout is paused, replacing nothing. New ones are of the revision that is known
/// to run; replicas of the failed one count only while they serve, or may.
fn fill_up(pass: &mut Pass<'_>) -> bool {
    let (census, bounds) = (&pass.census, pass.bounds);
    let stable = pass.rollout.stable.filter(|s| *s != pass.target.number);
    let target = census.current.iter().chain(&census.matching);
    let (revision, counted) = match stable.and_then(|s| pass.view.revisions.get(&s)) {
        Some(stable) => (stable, target.filter(|s| s.may_serve).count() + census.old.len()),
        None => (pass.target, census.running()),
    };
    let missing = bounds.wanted.saturating_sub(counted);
    make(pass, revision, missing)
}

/// Makes up for what is missing of a service that the user paused. What is made is of the revision that is known to run,
/// at a first creation of the target.
fn keep_count(pass: &mut Pass<'_>) -> bool {
    let missing = pass.bounds.wanted.saturating_sub(pass.census.running());
    let stable = pass.rollout.stable.and_then(|stable| pass.view.revisions.get(&stable));
    make(pass, stable.unwrap_or(pass.target), missing)
}

/// Replicas of the same template go over to the target as they are. Where the target is probed in another way they go
/// in steps, and the next step comes when the changed check had time to fail.
fn move_over(pass: &mut Pass<'_>) -> bool {
    let at_once = match deadline::probation(pass) {
        None => usize::MAX,
        Some(left) if left.0 > 0 && !pass.census.current.is_empty() => {
            if !pass.census.matching.is_empty() {
                pass.changes.blockers.push(Blocker::OnProbation { left });
            }
            0
        }
        Some(_) if available(&pass.census.current) < pass.census.current.len() => 0,
        Some(_) => (pass.bounds.wanted - pass.bounds.floor).max(1),
    };
    // What does not serve loses nothing by another check.
    let (serving, idle): (Vec<CountedReplica<'_>>, Vec<CountedReplica<'_>>) =
        pass.census.matching.iter().partition(|s| s.available);
    let moving: Vec<CountedReplica<'_>> = idle.into_iter().chain(serving.into_iter().take(at_once)).collect();
    for seen in &moving {
        pass.put(Replica { revision: pass.target.number, ..seen.is.replica.clone() });
    }
    !moving.is_empty()
}

/// Starts as many of the target as are missing and the ceiling lets: all of them at a first creation.
fn start_new(pass: &mut Pass<'_>) -> bool {
    let (census, bounds) = (&pass.census, pass.bounds);
    let missing = bounds.wanted.saturating_sub(census.current.len() + census.matching.len());
    make(pass, pass.target, missing)
}

/// Makes as many of what is missing as the ceiling lets; says whether any.
fn make<'a>(pass: &mut Pass<'a>, revision: &'a Revision, missing: usize) -> bool {
    let bounds = Bounds::of(pass.view, revision);
    let room = bounds.ceiling.saturating_sub(pass.census.running() + bounds.held);
    let count = missing.min(room);
    pass.create(revision, count);
    count > 0
}

/// Takes old ones out: first those that serve nothing, then as many as those that can be relied on leave spare.
fn remove_old(pass: &mut Pass<'_>) -> bool {
    let going = removable(pass);
    let cause = pass.rollout.state.back_from().map_or(Cause::Replaced, |_| Cause::RolledBack);
    for seen in &going {
        pass.remove(seen, cause);
    }
    !going.is_empty()
}

fn removable<'a>(pass: &Pass<'a>) -> Vec<CountedReplica<'a>> {
    let (census, bounds) = (&pass.census, pass.bounds);
    let mut old = census.old.clone();
    old.sort_by_key(|s| s.is.replica.slot);
    let (serving, others): (Vec<_>, Vec<_>) = old.into_iter().partition(|s| s.available);
    let target = census.current.iter().chain(&census.matching);
    let relied_on = target.filter(|s| pass.is_relied_on(s)).count();
    // One that may serve is spared until the others that surely do are enough.
    let enough = relied_on + serving.len() >= bounds.wanted;
    let idle: Vec<_> = others.into_iter().filter(|s| !s.may_serve || enough).collect();
    let idle_spare = if may_drop_idle(pass) {
        idle.len()
    } else {
        // An old replica may be idle for a moment only, and the new ones are unproven: keep as many as must serve. With
        // 3 wanted, 3 idle old and 1 new that starts: 4 - 3 - 1 = none may go until the new one serves.
        let unproven = census.current.len() + census.matching.len() - relied_on;
        census.running().saturating_sub(bounds.floor + unproven)
    };
    if !idle.is_empty() && idle_spare > 0 {
        return idle.into_iter().take(idle_spare).collect();
    }
    let spare = (serving.len() + relied_on).saturating_sub(bounds.floor);
    serving.into_iter().take(spare).collect()
}

/// Whether old replicas that serve nothing may all go at once: nothing of the service ever ran, or they are what
/// failed.
fn may_drop_idle(pass: &Pass<'_>) -> bool {
    pass.rollout.stable.is_none() || matches!(pass.rollout.state, RolloutState::RollingBack { .. })
}
