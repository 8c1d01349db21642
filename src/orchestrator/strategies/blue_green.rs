//! A strategy that only tests know: it shows what one that does not replace one by one has to say, and where.
//!
//! A full second set is started next to the old one. Once all of it can be relied on, one write of the traffic record gives it
//! every request. The old set stays until the new one has served for [`HOLD`]; until then the rollout is not complete.

use super::replacement::{self, start_missing};
use super::rollout_strategy::{Completion, RolloutStrategy};
use crate::model::{Cause, Millis, Pace, Revision, RevisionNumber, Traffic};
use crate::orchestrator::bounds::Bounds;
use crate::orchestrator::moves::Move;
use crate::orchestrator::pass::Pass;
use crate::orchestrator::{Blocker, ReplicaView, ServiceView};

const HOLD: Millis = Millis::secs(60);

/// Two full sets, of which one has all requests.
pub(super) struct BlueGreen;

impl RolloutStrategy for BlueGreen {
    fn bounds(&self, view: &ServiceView, _made: &Revision) -> Bounds {
        let spec = &view.service.spec;
        Bounds::of(spec, Pace { surge: spec.replica_count(), missing: 0 })
    }

    fn waits_for(&self, _view: &ServiceView, _made: &Revision, _replica: &ReplicaView) -> bool {
        false
    }

    fn next_move<'a>(&self, pass: &Pass<'a>) -> Option<Move<'a>> {
        let target = only(pass, pass.target.number);
        let is_switched = pass.view.traffic.as_ref() == Some(&target);
        let may_remove = is_switched && !pass.census.old.is_empty() && held(pass).is_empty();
        start_missing(pass).or_else(|| {
            may_remove.then(|| Move::Remove { replicas: pass.census.old.clone(), cause: Cause::Replaced })
        })
    }

    fn completion(&self, pass: &Pass<'_>) -> Completion {
        match held(pass) {
            held if held.is_empty() => replacement::completion(pass),
            held => Completion::Awaits(held),
        }
    }

    fn traffic(&self, pass: &Pass<'_>) -> Traffic {
        let relied_on = pass.census.current.iter().filter(|seen| pass.is_relied_on(seen)).count();
        let stored = pass.view.traffic.clone();
        match stored {
            Some(stored) if relied_on < pass.bounds.wanted => stored,
            _ => only(pass, pass.target.number),
        }
    }
}

fn only(pass: &Pass<'_>, revision: RevisionNumber) -> Traffic {
    let shares = [(revision, Traffic::WHOLE)].into();
    Traffic { shares, ..Traffic::even(pass.view.service.name().clone()) }
}

/// The replicas of the target that have not served for [`HOLD`], where a revision is replaced.
fn held(pass: &Pass<'_>) -> Vec<Blocker> {
    let current = pass.census.current.iter().filter(|_| pass.rollout.stable.is_some());
    let left = current.map(|seen| {
        let served = seen.view.serving_for.unwrap_or_default();
        let left = Millis(HOLD.0.saturating_sub(served.0));
        Blocker::NotSettled { replica: seen.view.replica.name.clone(), left }
    });
    left.filter(|blocker| !matches!(blocker, Blocker::NotSettled { left: Millis(0), .. })).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{
        Author, Cause, Desired, Generation, InterventionKind, Mono, Now, ResolvedImage, RolloutIntervention,
        RolloutState, ServiceSpec, Strategy,
    };
    use crate::orchestrator::{Changes, Violation, VolumeRemovalState, invariants, plan};
    use crate::testing;

    const NOW: Now = Now { mono: Mono(0), wall: jiff::Timestamp::UNIX_EPOCH };

    /// A service of three replicas that is blue/green, after its first revision is complete.
    fn complete() -> ServiceView {
        let mut service = testing::service("users");
        service.spec.replicas = Some(3);
        service.spec.rollout.strategy = Strategy::BlueGreen;
        let mut view = ServiceView {
            service,
            rollout: None,
            revisions: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            replicas: Vec::new(),
            traffic: None,
            nodes: vec!["n".into()],
            unsaved_wait: Millis(0),
            volume_removal: VolumeRemovalState::NotRequested,
        };
        pass(&mut view);
        serve(&mut view, HOLD);
        pass(&mut view);
        assert_eq!(state(&view), &RolloutState::Complete);
        view
    }

    /// That service while revision 2 runs next to revision 1.
    fn two_sets() -> ServiceView {
        let mut view = complete();
        change_image(&mut view);
        pass(&mut view);
        view
    }

    fn change_image(view: &mut ServiceView) {
        let spec = view.service.spec.clone();
        view.service.spec = ServiceSpec { image: "image:2".to_owned(), ..spec };
        view.service.image = ResolvedImage::without_config("image:2", "sha256:bb");
        view.service.metadata.generation = Generation(2);
    }

    /// One pass, whose plan keeps the invariants; what it removes is gone at once.
    fn pass(view: &mut ServiceView) -> Changes {
        let changes = plan(view, NOW).unwrap();
        let written = changes.clone();
        view.revisions.extend(written.new_revision.map(|revision| (revision.number, revision)));
        view.rollout = written.rollout.or(view.rollout.take());
        view.traffic = written.traffic.or(view.traffic.take());
        for replica in written.put_replicas {
            view.replicas.retain(|seen| seen.replica.name != replica.name);
            if replica.runs() {
                view.replicas.push(ReplicaView { replica, status: None, serving_for: None });
            }
        }
        changes
    }

    /// Every replica serves, the ones of the newest revision for so long.
    fn serve(view: &mut ServiceView, newest: Millis) {
        let last = view.rollout.as_ref().unwrap().last_revision;
        for seen in &mut view.replicas {
            seen.serving_for = Some(if seen.replica.revision == last { newest } else { HOLD });
        }
    }

    fn state(view: &ServiceView) -> &RolloutState {
        &view.rollout.as_ref().unwrap().state
    }

    /// How many replicas of each revision run.
    fn running(view: &ServiceView) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for seen in &view.replicas {
            *counts.entry(seen.replica.revision.0).or_default() += 1;
        }
        counts
    }

    /// The revision that a plan gives all requests to.
    fn switch(changes: &Changes) -> Option<u64> {
        let shares = &changes.traffic.as_ref()?.shares;
        assert_eq!(shares.values().collect::<Vec<_>>(), [&Traffic::WHOLE]);
        shares.keys().next().map(|revision| revision.0)
    }

    #[test]
    fn blue_green_starts_a_full_set_switches_once_holds_and_completes() {
        let mut view = two_sets();
        assert_eq!(running(&view), BTreeMap::from([(1, 3), (2, 3)]));
        assert_eq!(pass(&mut view).traffic, None, "nothing of the second set serves");
        serve(&mut view, Millis::secs(10));
        assert_eq!(switch(&pass(&mut view)), Some(2));
        serve(&mut view, Millis::secs(59));
        let held = pass(&mut view);
        assert!(held.is_empty(), "{held:?}");
        assert!(held.blockers.iter().all(|b| matches!(b, Blocker::NotSettled { left: Millis(1_000), .. })));
        assert_eq!(held.blockers.len(), 3);
        assert!(matches!(state(&view), RolloutState::Progressing { .. }));
        serve(&mut view, HOLD);
        let removal = pass(&mut view);
        assert_eq!(removal.traffic, None);
        assert!(removal.put_replicas.iter().all(|r| r.desired == Desired::Remove { cause: Cause::Replaced }));
        assert_eq!(running(&view), BTreeMap::from([(2, 3)]));
        assert_eq!(pass(&mut view).traffic, None);
        assert_eq!(state(&view), &RolloutState::Complete);
    }

    #[test]
    fn blue_green_that_holds_is_not_complete_though_only_the_target_runs() {
        let mut view = two_sets();
        serve(&mut view, Millis::secs(59));
        view.replicas.retain(|seen| seen.replica.revision.0 == 2);
        pass(&mut view);
        assert!(matches!(state(&view), RolloutState::Progressing { .. }));
        view.service.spec.rollout.strategy = Strategy::Rolling;
        pass(&mut view);
        assert_eq!(state(&view), &RolloutState::Complete);
    }

    #[test]
    fn blue_green_that_is_aborted_switches_back_before_it_removes_the_second_set() {
        let mut view = two_sets();
        serve(&mut view, Millis::secs(10));
        pass(&mut view);
        let by = Author::from("abort");
        let at = jiff::Timestamp::UNIX_EPOCH;
        view.service.intervention = Some(RolloutIntervention { kind: InterventionKind::Abort, by, at });
        let back = pass(&mut view);
        assert_eq!(switch(&back), Some(1));
        assert_eq!(running(&view), BTreeMap::from([(1, 3), (2, 3)]));
        pass(&mut view);
        assert_eq!(running(&view), BTreeMap::from([(1, 3)]));
        pass(&mut view);
        assert!(matches!(state(&view), RolloutState::RolledBack { .. }));
    }

    #[test]
    fn invariants_check_a_plan_against_the_bounds_of_its_strategy() {
        let mut view = complete();
        change_image(&mut view);
        let changes = plan(&view, NOW).unwrap();
        assert_eq!(invariants::check(&view, &changes), []);
        let mut rolling = view.clone();
        rolling.service.spec.rollout.strategy = Strategy::Rolling;
        assert_eq!(
            invariants::check(&rolling, &changes),
            [Violation::AboveCeiling { running: 6, ceiling: 4 }]
        );
        view.service.spec.replicas = Some(2);
        assert_eq!(invariants::check(&view, &changes), [Violation::AboveCeiling { running: 6, ceiling: 4 }]);
    }
}
