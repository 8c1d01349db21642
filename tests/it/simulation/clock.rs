//! Time and chance: tokio's paused clock and one seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coxswain::clock::Clock;
use coxswain::model::Mono;
use tokio::time::Instant;

/// The one source of chance of a run; clones share it.
#[derive(Clone)]
pub(super) struct Chance(Arc<Mutex<fastrand::Rng>>);

impl Chance {
    pub(super) fn of_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// A number from 0 to below `end`.
    pub(super) fn below(&self, end: u64) -> u64 {
        self.0.lock().unwrap().u64(..end.max(1))
    }

    pub(super) fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Between the two, both included.
    pub(super) fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }

    pub(super) fn pick<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.get(usize::try_from(self.below(of.len() as u64)).unwrap())
    }
}

/// The clock of one daemon: wall time continues over its restarts, monotonic time starts again.
#[derive(Clone)]
pub(super) struct SimClock {
    origin: Instant,
    started: Instant,
    chance: Chance,
}

impl SimClock {
    pub(super) fn new(chance: Chance) -> Self {
        Self { origin: Instant::now(), started: Instant::now(), chance }
    }

    /// The same wall clock in a process that starts now.
    pub(super) fn restarted(&self) -> Self {
        Self { started: Instant::now(), ..self.clone() }
    }

    /// Since the beginning of the run.
    pub(super) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

impl Clock for SimClock {
    fn mono(&self) -> Mono {
        Mono(u64::try_from(self.started.elapsed().as_millis()).unwrap())
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_767_225_600).unwrap() + self.origin.elapsed()
    }

    fn random(&self) -> u64 {
        self.chance.below(u64::MAX)
    }

    fn uuid(&self) -> String {
        let bits = (u128::from(self.random()) << 64) | u128::from(self.random());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
    }
}
