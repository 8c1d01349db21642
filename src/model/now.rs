//! Time as an argument.

use serde::{Deserialize, Serialize};

use super::Millis;

/// A point on a monotonic clock, in milliseconds since some start that is the same for one run of one process.
/// Never stored and never compared between processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Mono(pub u64);

impl Mono {
    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Mono) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// The point this much later.
    #[must_use]
    pub fn after(self, wait: Millis) -> Mono {
        Mono(self.0.saturating_add(wait.0))
    }
}

/// *Now* is a pair: the monotonic half is for every decision, the wall half for display and certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For decisions.
    pub mono: Mono,
    /// For people.
    pub wall: jiff::Timestamp,
}
