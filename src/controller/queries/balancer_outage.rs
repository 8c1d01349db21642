//! Since when the balancer is away, and when that is worth telling. Pure.

use crate::agent::UNACKNOWLEDGED_AFTER;
use crate::model::{Condition, Millis, Mono};

/// Since when the balancer is away; `None` while it is connected.
#[derive(Debug, Default)]
pub(in crate::controller) struct BalancerOutage(Option<Mono>);

impl BalancerOutage {
    /// Takes note of whether it is connected. How long until there is something to tell; `None` if nothing comes by itself.
    pub(in crate::controller) fn observe(&mut self, connected: bool, now: Mono) -> Option<Millis> {
        if connected {
            self.0 = None;
            return None;
        }
        let balancer_outage = now.since(*self.0.get_or_insert(now));
        Some(Millis(UNACKNOWLEDGED_AFTER.0.saturating_sub(balancer_outage.0))).filter(|wait| wait.0 > 0)
    }

    /// What people are told, once it has been away for long.
    pub(in crate::controller) fn condition(&self, now: Mono) -> Option<Condition> {
        self.0.filter(|since| now.since(*since) >= UNACKNOWLEDGED_AFTER).map(|_| Condition::balancer_away())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_is_told_after_ten_seconds_until_it_ends() {
        let mut balancer_outage = BalancerOutage::default();
        assert_eq!(balancer_outage.condition(Mono(99_000)), None, "nobody looked");
        assert_eq!(balancer_outage.observe(false, Mono(1_000)), Some(Millis::secs(10)));
        assert_eq!(balancer_outage.observe(false, Mono(5_000)), Some(Millis::secs(6)));
        assert_eq!(balancer_outage.condition(Mono(10_999)), None);
        assert_eq!(balancer_outage.observe(false, Mono(11_000)), None, "it is told now");
        assert_eq!(balancer_outage.condition(Mono(13_000)), Some(Condition::balancer_away()));
        assert_eq!(balancer_outage.observe(true, Mono(14_000)), None);
        assert_eq!(balancer_outage.condition(Mono(99_000)), None);
    }
}
