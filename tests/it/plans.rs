//! Golden plans and properties of the orchestrator: scripts over a small pure world, no engine, no clock.
//!
//! A case is `tests/plans/orchestrator/<case>/`: `script.txt` is what the user and the world do, `plan.snap` every plan
//! that wrote something, up to "the next plan is empty". The grammar is in `tests/README.md`.

mod world;

use coxswain::model::{
    Cause, ConditionKind, Desired, EventReason, Millis, Reason, Replica, ReplicaName, RevisionNumber,
    RevisionOutcome, RolloutState,
};
use coxswain::orchestrator::{
    Blocker, Changes, ReplicaView, SAVE_WAIT_EVERY, ServiceView, Violation, assess, invariants, plan,
};
use proptest::prelude::*;
use world::World;

#[test]
fn orchestrator_plans_match_their_snapshots() {
    crate::golden::check("orchestrator", 72, |script| {
        let mut world = World::new();
        for line in script.lines() {
            world.command(line);
        }
        Ok(world.transcript())
    });
}

/// What a user or the world does in a random history.
#[derive(Debug, Clone)]
enum Step {
    Command(String),
    Break(usize),
    Mend(usize),
    Vanish(usize),
    Advance(u64),
    Pass,
    RestartController,
}

fn step() -> impl Strategy<Value = Step> {
    let images = prop::sample::select(vec![
        "users:1",
        "users:2",
        "users:3",
        "users:bad",
        "users:crash",
        "users:noimage",
        "users:late",
    ]);
    let limits = prop::sample::select(vec![(1, "0"), (0, "1"), (2, "25%"), (1, "1"), (3, "0"), (0, "10%")]);
    let failure = prop::sample::select(vec!["rollback", "pause"]);
    let deadline = prop::sample::select(vec!["30s", "10m"]);
    let apply = (images, 0..6_u32, limits, failure, deadline).prop_map(
        |(image, n, (surge, missing), failure, deadline)| {
            let policy =
                format!("surge={surge} unavailable={missing} onFailure={failure} deadline={deadline}");
            Step::Command(format!("apply {image} replicas={n} {policy}"))
        },
    );
    let health = prop::sample::select(vec!["/healthz", "/other", "/typo"]);
    prop_oneof![
        2 => apply,
        2 => (0..7_u32).prop_map(|n| Step::Command(format!("scale {n}"))),
        1 => health.prop_map(|path| Step::Command(format!("set health={path}"))),
        1 => Just(Step::Command("restart".into())),
        2 => prop::sample::select(vec!["pause", "resume", "abort"]).prop_map(|c| Step::Command(c.into())),
        1 => prop::sample::select(vec!["noport", "port"]).prop_map(|p| Step::Command(format!("set {p}"))),
        2 => prop::sample::select(vec!["volume=data", "volume=own", "novolume"])
            .prop_map(|v| Step::Command(format!("set {v}"))),
        2 => any::<usize>().prop_map(Step::Break),
        2 => any::<usize>().prop_map(Step::Mend),
        1 => any::<usize>().prop_map(Step::Vanish),
        8 => (1..20_u64).prop_map(Step::Advance),
        14 => Just(Step::Pass),
        1 => Just(Step::RestartController),
    ]
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Command(text) => world.command(text),
        Step::Break(n) => world.nth(*n, |live| live.broken = true),
        Step::Mend(n) => world.nth(*n, |live| live.broken = false),
        Step::Vanish(n) => world.nth(*n, |live| live.gone = true),
        Step::Advance(secs) => world.advance(secs * 1_000),
        Step::Pass => {
            world.pass();
        }
        Step::RestartController => world.restart_controller(),
    }
}

fn serving_of(view: &ServiceView, revision: u64) -> Vec<ReplicaName> {
    let serves = |r: &&ReplicaView| {
        r.replica.runs() && r.serving_for.is_some() && r.replica.revision == RevisionNumber(revision)
    };
    view.replicas.iter().filter(serves).map(|r| r.replica.name.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: no plan breaks a rule (`World::pass` checks each one, its determinism and that
    /// no name is issued twice), and once the faults stop the plans come to an end with the wanted count.
    #[test]
    fn random_histories_converge_within_invariants(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        world.command("apply users:1 replicas=3");
        for step in &steps {
            take(&mut world, step);
        }
        world.command("resume");
        world.heal_all();
        world.command("run");
        let view = world.view();
        let rollout = view.rollout.as_ref().unwrap();
        for number in view.revisions.keys() {
            prop_assert!(world.outcome(*number).is_some_and(|o| *o != RevisionOutcome::InProgress));
        }
        // A first release that was replaced while it was still watched did not complete.
        let stable = rollout.stable.map(|stable| world.outcome(stable));
        let served = matches!(
            stable,
            None | Some(Some(RevisionOutcome::Complete | RevisionOutcome::Superseded { .. }))
        );
        prop_assert!(served, "{stable:?}");
        let wanted = view.service.spec.replica_count();
        let running: Vec<_> = view.replicas.iter().filter(|r| r.replica.runs()).collect();
        match &rollout.state {
            RolloutState::Complete | RolloutState::RolledBack { .. } => {
                prop_assert_eq!(u32::try_from(running.len()).unwrap(), wanted);
                prop_assert!(running.iter().all(|r| r.replica.revision == rollout.target));
                prop_assert_eq!(rollout.stable, Some(rollout.target));
            }
            // A first creation recovers; one that was to replace another, unfinished one is paused as any other.
            RolloutState::Failed { .. } => {
                let others = running.iter().any(|r| r.replica.revision != rollout.target);
                // Without replicas there is nothing that could show it.
                prop_assert!(rollout.stable.is_some() || others || wanted == 0, "a first creation recovers");
            }
            other => prop_assert!(false, "still {:?}", other),
        }
        prop_assert!(assess(&view).available >= wanted);
        let kept = view.replicas.iter().filter(|r| matches!(r.replica.desired, Desired::Retain { .. }));
        prop_assert!(kept.count() <= 1, "one failure is shown at most");
        let shown = |r: &ReplicaView| matches!(r.replica.desired, Desired::Retain { .. });
        prop_assert!(view.replicas.iter().all(|r| r.replica.runs() || shown(r)), "something is left");
    }

    /// While nothing in the world changes the plans come to an end, whatever state the service is in: no pass undoes what
    /// the one before did.
    #[test]
    fn plans_come_to_rest_while_the_world_does_not_change(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        world.command("apply users:1 replicas=3");
        for step in &steps {
            take(&mut world, step);
            prop_assert!(world.clone().comes_to_rest(), "{}", world.transcript());
        }
    }

    /// A release that fails, however and within whatever bounds, and whatever its users do to the count meanwhile, costs
    /// no replica that served before it but those that its own rolling took: none is taken out once it goes back.
    #[test]
    fn rollback_stops_no_healthy_old_replica(
        tag in prop::sample::select(vec!["crash", "oom", "noimage", "late", "bad"]),
        wanted in 1..8_u32,
        (surge, missing) in prop::sample::select(vec![(1, "0"), (0, "1"), (2, "25%"), (4, "0"), (1, "50%")]),
        seconds in 1..200_u64,
    ) {
        let mut world = World::new();
        world.command(&format!(
            "apply users:1 replicas={wanted} surge={surge} unavailable={missing} deadline=90s startWithin=40s"
        ));
        world.command("run");
        world.command(&format!("apply users:{tag}"));
        let mut before = None;
        for _ in 0..seconds {
            let serving: Vec<ReplicaName> = serving_of(&world.view(), 1);
            world.pass();
            let rollout = world.view().rollout.unwrap();
            if matches!(rollout.state, RolloutState::RollingBack { .. } | RolloutState::RolledBack { .. }) {
                before.get_or_insert(serving);
            }
            world.advance(1_000);
        }
        world.command("run");
        let after = serving_of(&world.view(), 1);
        prop_assert_eq!(u32::try_from(after.len()).unwrap(), wanted);
        for name in before.into_iter().flatten() {
            prop_assert!(after.contains(&name), "{name} served when it went back, and is gone");
        }
    }

    /// A delete ends with nothing, from anywhere.
    #[test]
    fn delete_forgets_service_from_any_state(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        world.command("apply users:1 replicas=3");
        for step in &steps {
            take(&mut world, step);
        }
        world.command("delete");
        world.command("run");
        prop_assert!(world.is_forgotten());
    }
}

/// What `ctl wait` and `ctl get` read, along one rollout that fails and goes back.
#[test]
fn conditions_follow_a_rollout() {
    let mut world = World::new();
    let mut reasons = Vec::new();
    let mut note = |world: &World| {
        let assessment = assess(&world.view());
        let line: Vec<(bool, Reason)> = assessment.conditions.iter().map(|c| (c.status, c.reason)).collect();
        let kinds: Vec<ConditionKind> = assessment.conditions.iter().map(|c| c.kind).collect();
        assert_eq!(kinds, [ConditionKind::Ready, ConditionKind::Progressing, ConditionKind::Degraded]);
        reasons.push((assessment.available, assessment.of_target, line));
    };
    world.command("apply users:1 replicas=2 deadline=30s healthyFor=5s");
    note(&world);
    world.command("run");
    note(&world);
    world.command("apply users:bad replicas=2 deadline=30s healthyFor=5s");
    world.pass();
    world.advance(3_000);
    note(&world);
    world.command("run");
    note(&world);
    world.command("delete");
    note(&world);
    assert_eq!(
        reasons,
        [
            (
                0,
                0,
                vec![
                    (false, Reason::TooFewAvailable),
                    (true, Reason::RollingOut),
                    (false, Reason::AllAvailable)
                ]
            ),
            (
                2,
                2,
                vec![(true, Reason::AllAvailable), (false, Reason::RolledOut), (false, Reason::AllAvailable)]
            ),
            (
                2,
                0,
                vec![(true, Reason::AllAvailable), (true, Reason::RollingOut), (true, Reason::ReplicaHeldUp)]
            ),
            (
                2,
                2,
                vec![(true, Reason::AllAvailable), (false, Reason::RolledBack), (true, Reason::RolledBack)]
            ),
            (2, 2, vec![(false, Reason::Deleting), (true, Reason::Deleting), (false, Reason::Deleting)]),
        ]
    );

    let mut world = World::new();
    world.command("apply users:bad replicas=2 deadline=30s healthyFor=5s");
    world.pass();
    world.advance(3_000);
    let [.., degraded] = assess(&world.view()).conditions;
    assert_eq!((degraded.status, degraded.reason), (true, Reason::TooFewAvailable), "no replica serves");
}

/// A service at rest plans nothing, and a thousand of them cost next to nothing.
#[test]
fn plan_of_an_idle_service_is_empty() {
    let mut world = World::new();
    world.command("apply users:1 replicas=5");
    world.command("run");
    assert_eq!(plan(&world.view(), world.now()), Ok(Changes::default()));
}

/// Time without progress: saved every 5 s, lost at most that much by a restart, and nothing but it runs out.
#[test]
fn plan_saves_the_waited_time_as_it_grows() {
    let waited = |changes: &Changes| match changes.rollout.as_ref().map(|r| r.state.clone()) {
        Some(RolloutState::Progressing { waited, .. }) => Some(waited),
        _ => None,
    };
    let mut world = World::new();
    world.command("apply users:bad replicas=1 deadline=12s");
    assert_eq!(waited(&world.pass()), Some(Millis(0)));
    world.advance(4_000);
    let changes = world.pass();
    assert_eq!((waited(&changes), changes.wake_after), (None, Some(Millis::secs(1))), "5 s - 4 s");
    assert!(changes.clock_runs);
    world.advance(2_000);
    let changes = world.pass();
    assert_eq!((waited(&changes), changes.wake_after), (Some(Millis::secs(6)), Some(SAVE_WAIT_EVERY)));
    world.advance(4_000);
    world.restart_controller();
    assert!(world.pass().is_empty(), "10 s have passed, 6 s of them count");
    world.advance(5_000);
    assert_eq!(waited(&world.pass()), Some(Millis::secs(11)));
    world.advance(1_000);
    let changes = world.pass();
    let observed = "exited with code 1".to_owned();
    let waiting = Blocker::NotAvailable { replica: "users-1-a".into(), observed };
    assert_eq!(changes.blockers, [Blocker::Paused { revision: RevisionNumber(1) }, waiting]);
    assert!(!changes.clock_runs);
    assert_eq!(changes.events.iter().map(|e| e.reason).collect::<Vec<_>>(), [EventReason::RolloutFailed]);
}

/// The planner moves nothing during a pause, whatever is due, and the invariants refuse a plan that does.
#[test]
fn paused_rollout_replaces_no_replica() {
    let mut world = World::new();
    world.command("apply users:1 replicas=2");
    world.command("run");
    world.command("apply users:2");
    world.pass();
    world.command("pause");
    world.advance(3_000);
    world.pass();
    world.advance(3_600_000);
    let (view, changes) = (world.view(), world.pass());
    assert_eq!(changes.blockers, [Blocker::PausedByUser { revision: RevisionNumber(2) }]);
    assert!(changes.is_empty() && !changes.clock_runs, "{changes:?}");
    let old = view.replicas[0].replica.clone();
    let name = old.name.clone();
    for put in [
        Replica { desired: Desired::Remove { cause: Cause::Replaced }, ..old.clone() },
        Replica { revision: RevisionNumber(2), ..old },
    ] {
        let moved = Changes { put_replicas: vec![put], ..Changes::default() };
        let found = invariants::check(&view, &moved);
        assert!(found.contains(&Violation::PausedMoves(name.clone())), "{found:?}");
    }
}

/// The rules see what breaks them: each row spoils a plan for a service of 3 at rest whose fourth replica is leaving.
#[test]
fn invariants_reject_bad_changes() {
    type Spoil = fn(&mut Changes, &coxswain::orchestrator::ServiceView);
    let mut world = World::new();
    world.command("apply users:1 replicas=4");
    world.command("run");
    world.command("scale 3");
    world.pass();
    let view = world.view();
    let removed = |n: usize| ReplicaName::of(&"users".into(), RevisionNumber(1), u32::try_from(n).unwrap());
    let cases: Vec<(Spoil, Violation)> = vec![
        (
            |c, v| {
                let desired = Desired::Remove { cause: Cause::Replaced };
                c.put_replicas.push(Replica { desired, ..v.replicas[0].replica.clone() });
            },
            Violation::BelowFloor { left: 2, floor: 3 },
        ),
        (
            |c, v| {
                let mut rollout = v.rollout.clone().unwrap();
                rollout.issued_names.insert(RevisionNumber(1), 6);
                for (n, slot) in [(4, 5), (5, 6)] {
                    let name = ReplicaName::of(&"users".into(), RevisionNumber(1), n);
                    c.put_replicas.push(Replica { name, slot, ..v.replicas[0].replica.clone() });
                }
                c.rollout = Some(rollout);
            },
            Violation::AboveCeiling { running: 5, ceiling: 4 },
        ),
        (
            |c, v| {
                let mut rollout = v.rollout.clone().unwrap();
                rollout.issued_names.insert(RevisionNumber(1), 5);
                let name = ReplicaName::of(&"users".into(), RevisionNumber(1), 4);
                c.put_replicas.push(Replica { name, ..v.replicas[1].replica.clone() });
                c.rollout = Some(rollout);
            },
            Violation::SlotShared(2),
        ),
        (
            |c, v| {
                let name = ReplicaName::from("users-1-y");
                c.put_replicas.push(Replica { name, slot: 9, ..v.replicas[0].replica.clone() });
            },
            Violation::NameReused("users-1-y".into()),
        ),
        (
            |c, v| {
                let desired = Desired::Run;
                c.put_replicas.push(Replica { desired, ..v.replicas[3].replica.clone() });
            },
            Violation::WayBack(removed(3)),
        ),
        (
            |c, v| c.put_replicas.push(Replica { slot: 7, ..v.replicas[0].replica.clone() }),
            Violation::Altered(removed(0)),
        ),
        (
            |c, v| c.delete_replicas.push(v.replicas[3].replica.name.clone()),
            Violation::DeletedAlive(removed(3)),
        ),
        (|c, _| c.drop_revisions.push(RevisionNumber(1)), Violation::RevisionNeeded(RevisionNumber(1))),
        (
            |c, v| c.new_revision = v.revisions.values().next().cloned(),
            Violation::RevisionNumber(RevisionNumber(1)),
        ),
        (|c, _| c.forget_service = true, Violation::ForgottenAlive),
        (|c, _| c.drop_revisions = (2..120).map(RevisionNumber).collect(), Violation::TooLarge(236)),
    ];
    for (spoil, violation) in cases {
        let mut changes = Changes::default();
        spoil(&mut changes, &view);
        assert_eq!(invariants::check(&view, &changes), std::slice::from_ref(&violation));
        let refused = invariants::validate(&view, changes).unwrap_err();
        assert_eq!(refused.violations, [violation]);
    }
}
