//! The whole daemon against a world that means ill, from a seed: real controller, agent, registry and store over the
//! fake engine and a simulated balancer, in one thread, on virtual time.
//!
//! `SIM_SEED=7` replays one seed and prints its story, `SIM_SEEDS=5000` runs so many.

mod balancer;
mod chaos;
mod clock;
mod daemon;
mod laws;
mod seams;
mod settled;
mod stories;
mod world;

use world::World;

/// Seeds of an ordinary run of the tests: a few seconds of them.
const SEEDS: u64 = 10;

fn on_virtual_time<T>(run: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(run)
}

/// One seed from its beginning to rest; how long its story is and a hash of it, and requests served.
fn run(seed: u64) -> ((usize, u64), u64) {
    on_virtual_time(async {
        let mut world = World::new(seed);
        let lasting = world.chance.millis(10_000, 60_000);
        chaos::disturb(&mut world, lasting).await;
        settled::settle(&mut world).await;
        if number("SIM_SEED").is_some() {
            eprintln!("{}", world.laws.story(usize::MAX));
        }
        let served = world.balancer.lock().unwrap().served;
        (world.laws.fingerprint(), served)
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn random_faults_lose_no_request_and_converge() {
    if let Some(seed) = number("SIM_SEED") {
        run(seed);
        return;
    }
    let begin = number("SIM_FROM").unwrap_or(0);
    let mut served = 0;
    for seed in begin..begin + number("SIM_SEEDS").unwrap_or(SEEDS) {
        served += run(seed).1;
    }
    println!("{served} requests served");
}

#[test]
fn simulation_replays_identically_for_same_seed() {
    assert_eq!(run(3), run(3));
}
