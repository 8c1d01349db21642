//! When a dead child is started again. Pure.
//!
//! Invariants: the first two deaths of a quiet child cost nothing, because its successor must serve within 200 ms; a child
//! that dies over and over is started ever more slowly, but never given up.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Mono;

/// This many deaths within [`WINDOW`] slow the restarts down.
const DEATHS: usize = 3;
/// The time in which deaths add up, and also the age at which a child counts as sound again.
const WINDOW: Duration = Duration::from_secs(10);
/// First delay; it doubles with each death.
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// Longest delay: a cause that goes away (a full disk, a port) should be noticed within seconds.
const LAST_DELAY: Duration = Duration::from_secs(8);

/// What is remembered of one role's deaths.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    recent: VecDeque<Mono>,
    delay: Option<Duration>,
}

impl Deaths {
    /// Notes that a child died which was started at `born`; gives how long to wait before the next one.
    pub(super) fn note(&mut self, born: Mono, now: Mono) -> Duration {
        if since(born, now) >= WINDOW {
            *self = Self::default();
        }
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|&death| since(death, now) > WINDOW) {
            self.recent.pop_front();
        }
        self.delay = match self.delay {
            Some(delay) => Some(LAST_DELAY.min(delay * 2)),
            None if self.recent.len() >= DEATHS => Some(FIRST_DELAY),
            None => None,
        };
        self.delay.unwrap_or_default()
    }
}

fn since(then: Mono, now: Mono) -> Duration {
    Duration::from_millis(now.0.saturating_sub(then.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deaths given as (born, died) in milliseconds, and the delay after each.
    fn check(lives: &[(u64, u64)], delays: &[u64]) {
        let mut deaths = Deaths::default();
        let got: Vec<u64> = lives
            .iter()
            .map(|&(born, died)| deaths.note(Mono(born), Mono(died)).as_millis().try_into().unwrap())
            .collect();
        assert_eq!(got, delays);
    }

    #[test]
    fn two_deaths_are_free_and_the_third_within_ten_seconds_is_not() {
        check(&[(0, 9_000), (9_000, 9_500), (9_500, 10_000)], &[0, 0, 500]);
    }

    #[test]
    fn rare_deaths_stay_free() {
        check(&[(0, 6_000), (6_000, 12_000), (12_000, 18_000), (18_000, 24_000)], &[0, 0, 0, 0]);
    }

    #[test]
    fn the_delay_doubles_up_to_its_end_although_the_delays_stretch_the_window() {
        let lives: Vec<(u64, u64)> = (0..9).map(|i| (i * 9_000, i * 9_000 + 1)).collect();
        let mut quick = vec![(0, 1), (1, 2)];
        quick.extend(lives.iter().map(|&(born, died)| (born + 2, died + 2)));
        check(&quick, &[0, 0, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000]);
    }

    #[test]
    fn a_child_that_lived_ten_seconds_clears_the_record() {
        check(&[(0, 1), (1, 2), (2, 3), (600, 10_600), (10_600, 10_601)], &[0, 0, 500, 0, 0]);
    }
}
