//! Since when the balancer is away, and when that becomes a condition. Pure.

use crate::agent::UNACKNOWLEDGED_AFTER;
use crate::model::{Condition, Millis, Mono};

/// Since when the balancer is away; `None` while it is connected.
#[derive(Debug, Default)]
pub(in crate::controller) struct BalancerOutage(Option<Mono>);

impl BalancerOutage {
    /// Records whether it is connected. Returns how long until the condition holds; `None` if it does or if nothing is wrong.
    pub(super) fn observe(&mut self, connected: bool, now: Mono) -> Option<Millis> {
        if connected {
            self.0 = None;
            return None;
        }
        let away_for = now.since(*self.0.get_or_insert(now));
        Some(Millis(UNACKNOWLEDGED_AFTER.0.saturating_sub(away_for.0))).filter(|wait| wait.0 > 0)
    }

    /// The condition, once the balancer has been away for long.
    pub(super) fn condition(&self, now: Mono) -> Option<Condition> {
        self.0.filter(|since| now.since(*since) >= UNACKNOWLEDGED_AFTER).map(|_| Condition::balancer_away())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outage_is_a_condition_after_ten_seconds_until_it_ends() {
        let mut outage = BalancerOutage::default();
        assert_eq!(outage.condition(Mono(99_000)), None, "not observed yet");
        assert_eq!(outage.observe(false, Mono(1_000)), Some(Millis::secs(10)));
        assert_eq!(outage.observe(false, Mono(5_000)), Some(Millis::secs(6)));
        assert_eq!(outage.condition(Mono(10_999)), None);
        assert_eq!(outage.observe(false, Mono(11_000)), None, "the condition holds now");
        assert_eq!(outage.condition(Mono(13_000)), Some(Condition::balancer_away()));
        assert_eq!(outage.observe(true, Mono(14_000)), None);
        assert_eq!(outage.condition(Mono(99_000)), None);
    }
}
