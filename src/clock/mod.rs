//! The only place that asks the machine for time, randomness and ids.
//!
//! Purpose: everything else takes them as arguments, so that a test sets the clock and a seed replays.
//! Invariants: `mono` never goes back within a process; under tokio's paused clock it follows the virtual time.
//! Deliberately absent: sleeping (`tokio::time` does that, and follows the same clock).

#![allow(clippy::disallowed_methods)] // this module is what the ban points to

use parking_lot::Mutex;

use crate::model::{Mono, Now};

/// Time, randomness and ids.
pub trait Clock: Send + Sync {
    /// Monotonic time, for decisions.
    fn mono(&self) -> Mono;
    /// Monotonic time in microseconds since the same start, to measure what is shorter than a [`Mono`].
    fn micros(&self) -> u64 {
        self.mono().0.saturating_mul(1000)
    }
    /// Wall time, for display.
    fn wall(&self) -> jiff::Timestamp;
    /// A random number; never used for secrets.
    fn random(&self) -> u64;
    /// A new UUID (version 4), as text.
    fn uuid(&self) -> String;

    /// Both times.
    fn now(&self) -> Now {
        Now { mono: self.mono(), wall: self.wall() }
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct RealClock {
    start: tokio::time::Instant,
}

impl RealClock {
    /// A clock whose monotonic half starts at zero.
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn mono(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn random(&self) -> u64 {
        fastrand::u64(..)
    }

    fn uuid(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}

/// Microseconds of the system's monotonic clock, for a service manager on the same machine.
pub fn monotonic_micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
    u64::try_from(micros).unwrap_or_default()
}

/// A new id for a write that the command line sends.
pub fn request_id() -> String {
    RealClock::new().uuid()
}

/// The machine's wall time, for the ages that the command line shows.
pub fn wall_time() -> jiff::Timestamp {
    RealClock::new().wall()
}

/// A clock for tests: only `advance` moves it; random numbers and ids follow from a seed.
#[derive(Debug)]
pub struct VirtualClock {
    state: Mutex<VirtualState>,
}

#[derive(Debug)]
struct VirtualState {
    mono: u64,
    rng: fastrand::Rng,
}

/// 2026-01-01T00:00:00Z, where a virtual wall clock starts.
const VIRTUAL_START_SECOND: i64 = 1_767_225_600;

impl VirtualClock {
    /// A clock at zero; random numbers follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new(VirtualState { mono: 0, rng: fastrand::Rng::with_seed(seed) }) }
    }

    /// Moves the clock by that many milliseconds.
    pub fn advance(&self, millis: u64) {
        self.locked(|state| state.mono += millis);
    }

    fn locked<T>(&self, f: impl FnOnce(&mut VirtualState) -> T) -> T {
        f(&mut self.state.lock())
    }
}

impl Clock for VirtualClock {
    fn mono(&self) -> Mono {
        self.locked(|state| Mono(state.mono))
    }

    fn wall(&self) -> jiff::Timestamp {
        let millis = self.mono().0;
        let start = jiff::Timestamp::from_second(VIRTUAL_START_SECOND).unwrap_or_default();
        start + std::time::Duration::from_millis(millis)
    }

    fn random(&self) -> u64 {
        self.locked(|state| state.rng.u64(..))
    }

    fn uuid(&self) -> String {
        self.locked(|state| {
            uuid::Builder::from_random_bytes(state.rng.u128(..).to_be_bytes()).into_uuid().to_string()
        })
    }
}
