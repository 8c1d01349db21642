//! When a child that ended is started again, and whether its exits are a crash loop. Pure.
//!
//! Invariants: a child that had served is restarted at once, because one that is killed again and again must not be away for
//! longer than each restart takes; a child that does not come to serve is started ever more slowly, up to
//! the most that its role may be away.

use std::collections::VecDeque;

use super::Role;
use crate::model::{Backoff, Millis, Mono};

/// This many exits within [`WINDOW`] of a child that did not serve slow its restarts down: the first two cost no wait, since
/// the successor must serve within 200 ms.
const EXITS: usize = 3;
/// The time in which such exits add up.
const WINDOW: Millis = Millis::secs(10);
/// The first wait. Starting a child costs some ten milliseconds of processor time.
const FIRST_WAIT: Millis = Millis(100);
/// Clients wait in the queues of the listening sockets while there is no balancer: a second is what they barely notice.
const BALANCER_WAIT_MAX: Millis = Millis::secs(1);
/// Traffic does not need a controller, and opening a large store costs more; commands wait for it.
const CONTROLLER_WAIT_MAX: Millis = Millis::secs(2);
/// This many exits within [`LOOP_WINDOW`] are a crash loop, whatever they cost.
const LOOP_EXITS: usize = 3;
/// A crash loop is over when fewer exits are this recent.
const LOOP_WINDOW: Millis = Millis::secs(60);

/// The exits of one role that count.
#[derive(Debug)]
pub(super) struct RestartBackoff {
    waits: Backoff,
    /// All of the last minute, oldest first.
    recent: VecDeque<Mono>,
    /// Those in a row of children that did not serve.
    unserved: VecDeque<Mono>,
    /// Restarts in a row that were delayed.
    delayed: u32,
}

impl RestartBackoff {
    pub(super) fn new(role: Role) -> Self {
        let longest = match role {
            Role::Balancer => BALANCER_WAIT_MAX,
            Role::Controller => CONTROLLER_WAIT_MAX,
        };
        let waits = Backoff::new(FIRST_WAIT, longest);
        Self { waits, recent: VecDeque::new(), unserved: VecDeque::new(), delayed: 0 }
    }

    /// Records that a child ended that was not asked to; returns how long to wait before the next start.
    pub(super) fn record_exit(&mut self, had_served: bool, now: Mono) -> Millis {
        self.recent.push_back(now);
        self.forget(now);
        if had_served {
            self.unserved.clear();
            self.delayed = 0;
            return Millis(0);
        }
        self.unserved.push_back(now);
        if self.delayed == 0 && self.unserved.len() < EXITS {
            return Millis(0);
        }
        self.delayed = self.delayed.saturating_add(1);
        self.waits.wait(self.delayed)
    }

    /// The exits of the last minute, if they are a crash loop.
    pub(super) fn crash_loop(&mut self, now: Mono) -> Option<usize> {
        self.forget(now);
        Some(self.recent.len()).filter(|exits| *exits >= LOOP_EXITS)
    }

    fn forget(&mut self, now: Mono) {
        self.recent.retain(|exit| now.since(*exit) <= LOOP_WINDOW);
        self.unserved.retain(|exit| now.since(*exit) <= WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exits of a role, each with its time in milliseconds and whether the child had served, and the wait after each.
    fn check(role: Role, exits: &[(u64, bool)], waits: &[u64]) {
        let mut backoff = RestartBackoff::new(role);
        let got: Vec<u64> =
            exits.iter().map(|&(at, had_served)| backoff.record_exit(had_served, Mono(at)).0).collect();
        assert_eq!(got, waits);
    }

    #[test]
    fn child_that_had_served_is_restarted_at_once_however_often_it_ends() {
        let exits: Vec<(u64, bool)> = (0..20).map(|n| (n * 2_000, true)).collect();
        for role in [Role::Balancer, Role::Controller] {
            check(role, &exits, &[0; 20]);
        }
    }

    #[test]
    fn wait_of_child_that_does_not_serve_doubles_up_to_the_most_of_its_role() {
        let exits: Vec<(u64, bool)> = (0..9).map(|n| (n * 3_000, false)).collect();
        check(Role::Balancer, &exits, &[0, 0, 100, 200, 400, 800, 1_000, 1_000, 1_000]);
        check(Role::Controller, &exits, &[0, 0, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
    }

    #[test]
    fn rare_exits_cost_no_wait_and_one_that_had_served_clears_the_record() {
        check(Role::Balancer, &[(0, false), (6_000, false), (12_000, false)], &[0, 0, 0]);
        let exits = [(0, false), (1, false), (2, false), (5_000, true), (5_001, false), (5_002, false)];
        check(Role::Balancer, &exits, &[0, 0, 100, 0, 0, 0]);
    }

    #[test]
    fn three_exits_in_a_minute_are_a_crash_loop_until_they_are_older() {
        let mut backoff = RestartBackoff::new(Role::Balancer);
        for at in [0, 20_000] {
            backoff.record_exit(true, Mono(at));
            assert_eq!(backoff.crash_loop(Mono(at)), None);
        }
        backoff.record_exit(false, Mono(40_000));
        assert_eq!(backoff.crash_loop(Mono(60_000)), Some(3));
        assert_eq!(backoff.crash_loop(Mono(60_001)), None);
    }
}
