//! Waits that double between attempts. Pure.

use super::quantity::Millis;

/// An exponential back-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Millis,
    max: Millis,
}

impl Backoff {
    /// Doubling from `first` to `max`.
    pub const fn new(first: Millis, max: Millis) -> Self {
        Self { first, max }
    }

    /// The wait after this many failures in a row.
    pub fn wait(self, failures: u32) -> Millis {
        let doublings = failures.saturating_sub(1).min(16);
        Millis(self.first.0 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_doubles_from_first_to_max() {
        let backoff = Backoff::new(Millis(200), Millis::secs(5));
        let waits: Vec<u64> = (0..8).map(|failures| backoff.wait(failures).0).collect();
        assert_eq!(waits, [200, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.wait(u32::MAX), Millis::secs(5));
    }
}
