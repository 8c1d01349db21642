//! Seeded runs with faults of every kind.

use super::quick;
use super::removal::REMOVE;
use super::rig::Rig;
use crate::engine::fake::Behaviour;
use crate::model::ReplicaPhase;

/// The guard checks what must never happen; once the faults stop, exactly the wanted replicas run.
#[tokio::test(start_paused = true)]
async fn agent_stays_sound_and_converges_under_random_faults() {
    for seed in 0..24 {
        let mut random = fastrand::Rng::with_seed(seed);
        let rig = Rig::new(Behaviour::default());
        let names: Vec<String> = (0..5).map(|n| format!("users-1-{n}")).collect();
        let mut removed = std::collections::BTreeSet::new();
        rig.declare(&names.iter().map(String::as_str).collect::<Vec<_>>(), quick).await;
        rig.disturb_calls(seed);
        for _ in 0..40 {
            let name = random.choice(&names).unwrap();
            let container = random.choice(rig.engine.containers());
            match (random.u8(..10), container) {
                (0, Some(c)) => rig.engine.exit(&c.id, 1),
                (1, Some(c)) => rig.engine.remove_by_hand(&c.id),
                (2, Some(c)) => rig.engine.pause_by_hand(&c.id),
                (3, Some(c)) => rig.engine.unpause_by_hand(&c.id),
                (4, _) => rig.engine.go_away(),
                (5, _) => rig.engine.come_back(),
                (6, _) => rig.engine.break_events(),
                (7, _) => rig.engine.silence_events(random.bool()),
                (8, _) => {
                    let mut balancer = rig.balancer.lock().unwrap();
                    balancer.connected = random.bool();
                    balancer.acknowledges = random.bool();
                    balancer.in_flight = random.u64(..2);
                }
                _ => {
                    rig.want(name, REMOVE).await;
                    removed.insert(name.clone());
                }
            }
            rig.pass_millis(random.u64(..4000)).await;
        }
        rig.end_faults();
        rig.until(&format!("seed {seed} converges"), 240, |rig| {
            names.iter().all(|name| match removed.contains(name) {
                true => rig.phase(name) == Some(ReplicaPhase::Gone),
                false => rig.is_ready(name),
            }) && rig.running().len() == names.len() - removed.len()
        })
        .await;
    }
}
