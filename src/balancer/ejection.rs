//! Outlier ejection: an endpoint that cannot be connected to is not picked for a while. Pure.

use std::time::Duration;

use super::limits::{EJECTION_MAX, EJECTION_MIN};
use crate::model::{Millis, Mono};

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ejection {
    until: Mono,
    wait: Millis,
}

impl Ejection {
    /// The ejection after one more failure: twice as long.
    pub(super) fn next(self, now: Mono) -> Self {
        let doubled = Duration::saturating_mul(self.wait.std(), 2).clamp(EJECTION_MIN, EJECTION_MAX);
        let wait = Millis::from(doubled);
        Self { until: now.after(wait), wait }
    }

    pub(super) fn is_over(self, now: Mono) -> bool {
        now >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ejection_doubles_up_to_its_maximum() {
        let mut ejection = Ejection::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            ejection = ejection.next(Mono(100));
            waits.push(ejection.wait.0 / 1000);
            let end = Mono(100).after(ejection.wait);
            assert!(ejection.is_over(end) && !ejection.is_over(Mono(end.0 - 1)));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    }
}
