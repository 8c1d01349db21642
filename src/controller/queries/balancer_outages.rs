//! Since when balancers are away, and when that becomes a condition. Pure.

use std::collections::BTreeMap;

use crate::agent::UNACKNOWLEDGED_AFTER;
use crate::model::{BalancerId, BalancerReports, Condition, Millis, Mono};

/// Since when each balancer that is not connected is away.
#[derive(Debug, Default)]
pub(in crate::controller) struct BalancerOutages(BTreeMap<BalancerId, Mono>);

impl BalancerOutages {
    /// Records which balancers are connected. Returns how long until the next condition holds; `None` if none is to come.
    pub(super) fn observe(&mut self, reports: &BalancerReports, now: Mono) -> Option<Millis> {
        let earlier = std::mem::take(&mut self.0);
        let away = reports.disconnected();
        self.0 = away.map(|id| (id.clone(), earlier.get(id).copied().unwrap_or(now))).collect();
        let waits = self.0.values().map(|since| UNACKNOWLEDGED_AFTER.0.saturating_sub(now.since(*since).0));
        waits.filter(|wait| *wait > 0).min().map(Millis)
    }

    /// A condition for each balancer that has been away for long.
    pub(super) fn conditions(&self, now: Mono) -> Vec<Condition> {
        let long = self.0.iter().filter(|(_, since)| now.since(**since) >= UNACKNOWLEDGED_AFTER);
        long.map(|(id, _)| Condition::balancer_disconnected(id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// The reports while these balancers of `a` and `b` are connected.
    fn connected(ids: &[&str]) -> BalancerReports {
        let mut reports = BalancerReports::of_known(["a".into(), "b".into()]);
        ids.iter().for_each(|id| reports.set(&(*id).into(), Some(testing::report(id))));
        reports
    }

    fn away(id: &str) -> Condition {
        Condition::balancer_disconnected(&id.into())
    }

    #[test]
    fn outage_is_a_condition_after_ten_seconds_until_it_ends() {
        let mut outages = BalancerOutages::default();
        assert_eq!(outages.conditions(Mono(99_000)), [], "not observed yet");
        assert_eq!(outages.observe(&connected(&["b"]), Mono(1_000)), Some(Millis::secs(10)));
        assert_eq!(outages.observe(&connected(&["b"]), Mono(5_000)), Some(Millis::secs(6)));
        assert_eq!(outages.conditions(Mono(10_999)), []);
        assert_eq!(outages.observe(&connected(&["b"]), Mono(11_000)), None, "the condition holds now");
        assert_eq!(outages.conditions(Mono(13_000)), [away("a")]);
        assert_eq!(outages.observe(&connected(&["a", "b"]), Mono(14_000)), None);
        assert_eq!(outages.conditions(Mono(99_000)), []);
    }

    #[test]
    fn outages_of_two_balancers_become_conditions_one_after_the_other() {
        let mut outages = BalancerOutages::default();
        assert_eq!(outages.observe(&connected(&["b"]), Mono(0)), Some(Millis::secs(10)));
        assert_eq!(outages.observe(&connected(&[]), Mono(4_000)), Some(Millis::secs(6)));
        assert_eq!(outages.observe(&connected(&[]), Mono(10_000)), Some(Millis::secs(4)));
        assert_eq!(outages.conditions(Mono(10_000)), [away("a")]);
        assert_eq!(outages.conditions(Mono(14_000)), [away("a"), away("b")]);
    }
}
