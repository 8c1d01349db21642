//! Since when not every balancer is connected, and when that becomes a condition. Pure.
//!
//! Not by balancer: each process is one, and those that end again and again are each away for a moment only.

use crate::agent::UNACKNOWLEDGED_AFTER;
use crate::model::{BalancerLag, BalancerReports, Condition, Millis, Mono};

/// The balancers that are away now, and since when some were.
#[derive(Debug, Default)]
pub(in crate::controller) struct BalancerOutages {
    since: Option<Mono>,
    absences: Vec<BalancerLag>,
}

impl BalancerOutages {
    /// Records which balancers are connected. Returns how long until the condition holds; `None` if none is to come.
    pub(super) fn observe(&mut self, reports: &BalancerReports, now: Mono) -> Option<Millis> {
        self.absences = reports.absences();
        self.since = (!self.absences.is_empty()).then(|| self.since.unwrap_or(now));
        let wait = UNACKNOWLEDGED_AFTER.0.saturating_sub(now.since(self.since?).0);
        (wait > 0).then_some(Millis(wait))
    }

    /// A condition for each balancer that is away, once some have been away for long.
    pub(super) fn conditions(&self, now: Mono) -> Vec<Condition> {
        let is_long = self.since.is_some_and(|since| now.since(since) >= UNACKNOWLEDGED_AFTER);
        self.absences.iter().filter(|_| is_long).map(Condition::balancer_lag).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BalancerProcess;
    use crate::testing;

    /// The reports while these balancers run, of which those with `true` are connected.
    fn reports(balancers: &[(&str, bool)]) -> BalancerReports {
        let mut reports = BalancerReports::of_known(balancers.iter().map(|(id, _)| (*id).into()));
        for (id, _) in balancers.iter().filter(|(_, is_connected)| *is_connected) {
            reports.set(&(*id).into(), Some(testing::report(id)));
        }
        reports
    }

    fn away(id: &str) -> Condition {
        let process = BalancerProcess { id: id.into(), pid: None };
        Condition::balancer_lag(&BalancerLag::Disconnected(process))
    }

    #[test]
    fn outage_is_a_condition_after_ten_seconds_until_it_ends() {
        let mut outages = BalancerOutages::default();
        let one_away = reports(&[("a", false), ("b", true)]);
        assert_eq!(outages.conditions(Mono(99_000)), [], "not observed yet");
        assert_eq!(outages.observe(&one_away, Mono(1_000)), Some(Millis::secs(10)));
        assert_eq!(outages.observe(&one_away, Mono(5_000)), Some(Millis::secs(6)));
        assert_eq!(outages.conditions(Mono(10_999)), []);
        assert_eq!(outages.observe(&one_away, Mono(11_000)), None, "the condition holds now");
        assert_eq!(outages.conditions(Mono(13_000)), [away("a")]);
        assert_eq!(outages.observe(&reports(&[("a", true), ("b", true)]), Mono(14_000)), None);
        assert_eq!(outages.conditions(Mono(99_000)), []);
    }

    #[test]
    fn balancers_that_end_one_after_the_other_are_one_outage() {
        let mut outages = BalancerOutages::default();
        assert_eq!(outages.observe(&reports(&[("a", false)]), Mono(0)), Some(Millis::secs(10)));
        assert_eq!(outages.observe(&reports(&[]), Mono(4_000)), Some(Millis::secs(6)));
        assert_eq!(outages.observe(&reports(&[("b", false)]), Mono(8_000)), Some(Millis::secs(2)));
        assert_eq!(outages.conditions(Mono(10_000)), [away("b")]);
        assert_eq!(outages.observe(&reports(&[]), Mono(11_000)), None);
        let none_runs = Condition::balancer_lag(&BalancerLag::NoneRuns);
        assert_eq!(outages.conditions(Mono(11_000)), [none_runs]);
    }
}
