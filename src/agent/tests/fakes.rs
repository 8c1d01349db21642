//! Clock and probes of a test: tokio's paused clock, and probes that ask the fake Engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::clock::Clock;
use crate::engine::FakeEngine;
use crate::model::{EndpointId, FailedProbe, Mono, ProbeAnswer};
use crate::probe::{ProbeState, ProbeTarget, Probes};

/// Tokio's clock, wall time included.
pub(super) struct PausedClock(tokio::time::Instant);

impl PausedClock {
    pub(super) fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for PausedClock {
    fn mono(&self) -> Mono {
        Mono(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_767_225_600).unwrap() + self.0.elapsed()
    }
    fn random(&self) -> u64 {
        4
    }
    fn uuid(&self) -> String {
        "11111111-2222-4333-8444-555555555555".to_owned()
    }
}

/// Probes that ask the fake.
pub(super) struct FakeProbes {
    engine: FakeEngine,
    clock: Arc<PausedClock>,
    targets: Mutex<BTreeMap<EndpointId, (ProbeTarget, Mono, bool)>>,
}

impl FakeProbes {
    pub(super) fn new(engine: FakeEngine, clock: Arc<PausedClock>) -> Self {
        Self { engine, clock, targets: Mutex::default() }
    }
}

impl Probes for FakeProbes {
    fn watch(&self, target: ProbeTarget) {
        let now = self.clock.mono();
        self.targets.lock().unwrap().entry(target.id.clone()).or_insert((target, now, false));
    }

    fn retain(&self, keep: &BTreeSet<EndpointId>) {
        self.targets.lock().unwrap().retain(|id, _| keep.contains(id));
    }

    fn state(&self, id: &EndpointId) -> Option<ProbeState> {
        let mut targets = self.targets.lock().unwrap();
        let (target, since, passed) = targets.get_mut(id)?;
        let healthy = self.engine.reach(target.place.address).is_some_and(|reached| reached.healthy);
        *passed |= healthy;
        let answer = ProbeAnswer::Refused { port: target.place.port };
        let since = *since;
        let last = FailedProbe { message: "refused".to_owned(), answer };
        Some(match (healthy, *passed) {
            (true, _) => ProbeState::Ready { since },
            (false, true) => ProbeState::Failing { since, last },
            (false, false) if self.clock.mono().since(since) >= target.health.start_within => {
                ProbeState::TooLate { since, last }
            }
            (false, false) => ProbeState::Starting { since, last: Some(last) },
        })
    }
}
