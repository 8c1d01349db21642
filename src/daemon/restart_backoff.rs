//! When a child that ended is started again. Pure.
//!
//! Invariants: the first two exits within ten seconds cost no wait, because the successor must serve within 200 ms; a
//! crash-looping child is started ever more slowly, but always started again.

use std::collections::VecDeque;

use crate::model::{Backoff, Millis, Mono};

/// This many exits within [`WINDOW`] slow the restarts down.
const EXITS: usize = 3;
/// The time in which exits add up, and also the uptime after which a child counts as healthy again.
const WINDOW: Millis = Millis::secs(10);
/// At most eight seconds: the restart must follow soon after the cause (a full disk, a port) is gone.
const BACKOFF: Backoff = Backoff::new(Millis(500), Millis::secs(8));

/// The exits of one role that count against its next start.
#[derive(Debug, Default)]
pub(super) struct RestartBackoff {
    recent: VecDeque<Mono>,
    /// Restarts in a row that were delayed.
    delayed: u32,
}

impl RestartBackoff {
    /// Records that a child ended; returns how long to wait before the next start.
    pub(super) fn record_exit(&mut self, started_at: Mono, now: Mono) -> Millis {
        if now.since(started_at) >= WINDOW {
            *self = Self::default();
        }
        self.recent.push_back(now);
        self.recent.retain(|exit| now.since(*exit) <= WINDOW);
        if self.delayed == 0 && self.recent.len() < EXITS {
            return Millis(0);
        }
        self.delayed = self.delayed.saturating_add(1);
        BACKOFF.wait(self.delayed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs given as (started, ended) in milliseconds, and the wait after each.
    fn check(runs: &[(u64, u64)], waits: &[u64]) {
        let mut backoff = RestartBackoff::default();
        let got: Vec<u64> =
            runs.iter().map(|&(start, end)| backoff.record_exit(Mono(start), Mono(end)).0).collect();
        assert_eq!(got, waits);
    }

    #[test]
    fn third_exit_within_ten_seconds_is_the_first_that_costs_a_wait() {
        check(&[(0, 9_000), (9_000, 9_500), (9_500, 10_000)], &[0, 0, 500]);
    }

    #[test]
    fn rare_exits_cost_no_wait() {
        check(&[(0, 6_000), (6_000, 12_000), (12_000, 18_000), (18_000, 24_000)], &[0, 0, 0, 0]);
    }

    #[test]
    fn wait_doubles_up_to_its_maximum_although_the_waits_stretch_the_window() {
        let runs: Vec<(u64, u64)> = (0..9).map(|i| (i * 9_000, i * 9_000 + 1)).collect();
        let mut quick = vec![(0, 1), (1, 2)];
        quick.extend(runs.iter().map(|&(start, end)| (start + 2, end + 2)));
        check(&quick, &[0, 0, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000]);
    }

    #[test]
    fn child_that_ran_for_ten_seconds_clears_the_record() {
        check(&[(0, 1), (1, 2), (2, 3), (600, 10_600), (10_600, 10_601)], &[0, 0, 500, 0, 0]);
    }
}
