//! Durations in whole seconds, for people. Pure.

use super::Millis;

impl Millis {
    /// Rounded down: time that has passed is never overstated.
    #[must_use]
    pub fn whole_seconds(self) -> Self {
        Self::secs(self.0 / 1000)
    }

    /// Rounded up: time that is left never shows as none.
    #[must_use]
    pub fn whole_seconds_up(self) -> Self {
        Self(self.0.div_ceil(1000).saturating_mul(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_round_down_and_up() {
        for (given, down, up) in [(0, 0, 0), (1, 0, 1), (999, 0, 1), (1000, 1, 1), (1001, 1, 2)] {
            let time = Millis(given);
            assert_eq!(
                (time.whole_seconds(), time.whole_seconds_up()),
                (Millis::secs(down), Millis::secs(up))
            );
        }
        assert_eq!(Millis(u64::MAX).whole_seconds_up(), Millis(u64::MAX));
    }
}
