//! From the outcomes of probes to a state. Pure.

use crate::model::{FailedProbe, Health, HealthCheck, Millis, Mono};

/// Before its first success an endpoint is probed this often, or at its interval if that is shorter: a rollout waits
/// for each replica in turn.
const STARTING_INTERVAL: Millis = Millis(200);

/// The state of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeState {
    /// Not ready yet.
    Starting {
        since: Mono,
        last: Option<FailedProbe>,
    },
    Ready {
        since: Mono,
    },
    /// Was ready, and fails.
    Failing {
        since: Mono,
        last: FailedProbe,
    },
    /// Has not passed once within `startWithin`. It is still probed, and a success makes it ready.
    TooLate {
        since: Mono,
        last: FailedProbe,
    },
}

impl ProbeState {
    /// Whether it is `Ready`.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// The last failed probe; `None` for a ready endpoint.
    pub fn last(&self) -> Option<&FailedProbe> {
        match self {
            Self::Starting { last, .. } => last.as_ref(),
            Self::Ready { .. } => None,
            Self::Failing { last, .. } | Self::TooLate { last, .. } => Some(last),
        }
    }
}

/// Counts successes and failures of one endpoint against its thresholds.
#[derive(Debug, Clone)]
pub struct Tracker {
    health: Health,
    state: ProbeState,
    /// When it began; later by the time in which no probe was possible.
    began: Mono,
    /// When a probe last ended, or was not possible.
    asked: Mono,
    has_passed: bool,
    passes: u32,
    failures: u32,
}

impl Tracker {
    /// Starts to track; without a check an endpoint is ready at once.
    pub fn new(health: &Health, now: Mono) -> Self {
        let state = match health.check {
            HealthCheck::None(_) => ProbeState::Ready { since: now },
            _ => ProbeState::Starting { since: now, last: None },
        };
        let health = health.clone();
        Self { health, state, began: now, asked: now, has_passed: false, passes: 0, failures: 0 }
    }

    /// Continues with other timings or another check; the state stays until a probe changes it.
    pub fn set_health(&mut self, health: &Health, now: Mono) {
        self.health = health.clone();
        if matches!(health.check, HealthCheck::None(_)) && !self.state.is_ready() {
            self.state = ProbeState::Ready { since: now };
        }
    }

    /// The state so far.
    pub fn state(&self) -> &ProbeState {
        &self.state
    }

    /// Time between the starts of this probe and the next.
    pub fn interval(&self) -> Millis {
        match self.state {
            ProbeState::Starting { .. } if !self.has_passed => self.health.interval.min(STARTING_INTERVAL),
            _ => self.health.interval,
        }
    }

    /// Records an outcome: passed, or what was observed instead.
    pub fn record(&mut self, outcome: Result<(), FailedProbe>, now: Mono) {
        self.asked = now;
        match outcome {
            Ok(()) => self.passed(now),
            Err(seen) => self.failed(seen, now),
        }
    }

    /// The probe was not possible, through no fault of the endpoint: the state stays, and the time does not count.
    pub fn skip(&mut self, now: Mono) {
        self.began = self.began.after(now.since(self.asked));
        self.asked = now;
    }

    fn passed(&mut self, now: Mono) {
        self.has_passed = true;
        self.failures = 0;
        self.passes = self.passes.saturating_add(1);
        if !self.state.is_ready() && self.passes >= self.health.healthy_after {
            self.state = ProbeState::Ready { since: now };
        }
    }

    fn failed(&mut self, seen: FailedProbe, now: Mono) {
        self.passes = 0;
        self.failures = self.failures.saturating_add(1);
        let late = !self.has_passed && now.since(self.began) >= self.health.start_within;
        match &mut self.state {
            ProbeState::Starting { .. } if late => {
                self.state = ProbeState::TooLate { since: now, last: seen }
            }
            ProbeState::Starting { last, .. } => *last = Some(seen),
            ProbeState::Ready { .. } if self.failures >= self.health.unhealthy_after => {
                self.state = ProbeState::Failing { since: now, last: seen };
            }
            ProbeState::Ready { .. } => {}
            ProbeState::Failing { last, .. } | ProbeState::TooLate { last, .. } => *last = seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(healthy_after: u32, unhealthy_after: u32) -> Health {
        Health {
            start_within: Millis::secs(10),
            healthy_after,
            unhealthy_after,
            ..Health::with(HealthCheck::Http("/healthz".into()))
        }
    }

    /// Outcomes one second apart: `+` passes, `-` fails; the state after each by its first letter.
    fn check(health: &Health, outcomes: &str, expected: &str) {
        let mut tracker = Tracker::new(health, Mono(0));
        let mut seen = String::new();
        for (i, outcome) in outcomes.chars().enumerate() {
            let now = Mono(1000 * u64::try_from(i + 1).unwrap());
            tracker
                .record(if outcome == '+' { Ok(()) } else { Err(format!("seen {i}").as_str().into()) }, now);
            seen.push(match tracker.state() {
                ProbeState::Starting { .. } => 'S',
                ProbeState::Ready { .. } => 'R',
                ProbeState::Failing { .. } => 'F',
                ProbeState::TooLate { .. } => 'L',
            });
        }
        assert_eq!(seen, expected, "{outcomes}");
    }

    #[test]
    fn tracker_thresholds_count_consecutive_outcomes() {
        check(&health(1, 3), "-+--+---+", "SRRRRRRFR");
        check(&health(2, 1), "+-++-+-++", "SSSRFFFFR");
        check(&health(1, 1), "+-+", "RFR");
    }

    #[test]
    fn tracker_is_too_late_only_before_first_success() {
        check(&health(1, 3), "----------+", "SSSSSSSSSLR");
        check(&health(2, 3), "-+-----------", "SSSSSSSSSSSSS");
    }

    #[test]
    fn tracker_keeps_last_observation_and_since() {
        let mut tracker = Tracker::new(&health(1, 2), Mono(5));
        assert_eq!(*tracker.state(), ProbeState::Starting { since: Mono(5), last: None });
        tracker.record(Err("a".into()), Mono(6));
        assert_eq!(*tracker.state(), ProbeState::Starting { since: Mono(5), last: Some("a".into()) });
        tracker.record(Ok(()), Mono(7));
        tracker.record(Ok(()), Mono(8));
        assert_eq!(*tracker.state(), ProbeState::Ready { since: Mono(7) });
        tracker.record(Err("b".into()), Mono(9));
        assert_eq!(*tracker.state(), ProbeState::Ready { since: Mono(7) });
        for (seen, now) in [("c", 10), ("d", 11)] {
            tracker.record(Err(seen.into()), Mono(now));
        }
        assert_eq!(*tracker.state(), ProbeState::Failing { since: Mono(10), last: "d".into() });
    }

    #[test]
    fn tracker_interval_is_short_until_first_success() {
        let mut tracker = Tracker::new(&health(2, 2), Mono(0));
        assert_eq!(tracker.interval(), Millis(200));
        tracker.record(Err("a".into()), Mono(1));
        assert_eq!(tracker.interval(), Millis(200));
        tracker.record(Ok(()), Mono(2));
        assert_eq!(tracker.interval(), Millis::secs(5), "not ready yet, but it answers");
        let short = Health { interval: Millis(50), ..health(1, 1) };
        assert_eq!(Tracker::new(&short, Mono(0)).interval(), Millis(50));
    }

    #[test]
    fn tracker_skip_excludes_time_from_start_within() {
        let mut tracker = Tracker::new(&health(1, 1), Mono(0));
        tracker.record(Err("a".into()), Mono(9_000));
        tracker.skip(Mono(60_000));
        tracker.record(Err("b".into()), Mono(60_900));
        assert!(matches!(tracker.state(), ProbeState::Starting { .. }), "{:?}", tracker.state());
        tracker.record(Err("c".into()), Mono(61_000));
        assert!(matches!(tracker.state(), ProbeState::TooLate { .. }), "{:?}", tracker.state());
        tracker.record(Ok(()), Mono(61_100));
        tracker.skip(Mono(99_000));
        assert!(tracker.state().is_ready());
    }

    #[test]
    fn new_timings_keep_the_state() {
        let mut tracker = Tracker::new(&health(1, 3), Mono(0));
        tracker.record(Ok(()), Mono(1));
        tracker.set_health(&health(5, 1), Mono(2));
        assert!(tracker.state().is_ready());
        tracker.record(Err("a".into()), Mono(3));
        assert!(!tracker.state().is_ready());
        tracker.set_health(&Health::with(HealthCheck::None(true)), Mono(4));
        assert_eq!(*tracker.state(), ProbeState::Ready { since: Mono(4) });
    }
}
