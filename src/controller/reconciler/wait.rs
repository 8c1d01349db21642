//! Time that counts towards a rollout's deadline and is not stored yet. Pure.

use crate::model::{Millis, Mono};
use crate::orchestrator::Changes;

/// The most that one pass adds to a deadline: a controller that was held up (a suspended machine, a stopped process)
/// must not find every deadline passed.
const WAIT_PER_PASS_MAX: Millis = Millis::secs(30);

/// The unsaved waiting time of one service.
#[derive(Debug, Default)]
pub(super) struct DeadlineWait {
    unsaved: Millis,
    last_pass: Option<Mono>,
    runs: bool,
}

impl DeadlineWait {
    /// Time counts from one pass to the next if progress was possible at both.
    pub(super) fn pass(&mut self, now: Mono, progress_possible: bool) -> Millis {
        if let Some(last) = self.last_pass.filter(|_| self.runs && progress_possible) {
            self.unsaved = self.unsaved.plus(now.since(last).min(WAIT_PER_PASS_MAX));
        }
        self.last_pass = progress_possible.then_some(now);
        self.unsaved
    }

    /// The time until the next pass does not count, because the store failed or the plan was refused.
    pub(super) fn interrupt(&mut self) {
        self.last_pass = None;
    }

    pub(super) fn committed(&mut self, changes: &Changes) {
        if changes.rollout.is_some() {
            self.unsaved = Millis(0);
        }
        self.runs = changes.clock_runs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> DeadlineWait {
        DeadlineWait { runs: true, ..DeadlineWait::default() }
    }

    #[test]
    fn wait_counts_from_pass_to_pass_and_at_most_thirty_seconds() {
        let mut wait = waiting();
        assert_eq!(wait.pass(Mono(1_000), true), Millis(0));
        assert_eq!(wait.pass(Mono(3_000), true), Millis(2_000));
        assert_eq!(wait.pass(Mono(900_000), true), Millis(32_000));
    }

    #[test]
    fn wait_excludes_time_without_engine_balancer_or_store() {
        let mut wait = waiting();
        wait.pass(Mono(0), true);
        wait.pass(Mono(9_000), false);
        assert_eq!(
            wait.pass(Mono(18_000), true),
            Millis(0),
            "neither the pass before nor the pass after counts"
        );
        assert_eq!(wait.pass(Mono(19_000), true), Millis(1_000));
        wait.interrupt();
        assert_eq!(wait.pass(Mono(28_000), true), Millis(1_000));
    }
}
