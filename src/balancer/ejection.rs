//! Outlier ejection: an endpoint that cannot be connected to is not picked for a while. Pure.

use super::limits::EJECTION;
use crate::model::Mono;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ejection {
    until: Mono,
    /// In a row.
    failures: u32,
}

impl Ejection {
    /// The ejection after one more failure.
    pub(super) fn next(self, now: Mono) -> Self {
        let failures = self.failures.saturating_add(1);
        Self { until: now.after(EJECTION.wait(failures)), failures }
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
            let end = ejection.until;
            waits.push(end.since(Mono(100)).0 / 1000);
            assert!(ejection.is_over(end) && !ejection.is_over(Mono(end.0 - 1)));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    }
}
