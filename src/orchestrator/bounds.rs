//! How many replicas there may and must be while a revision is rolled out.
//!
//! A change of the count is taken at once, also during a rollout: it moves the bounds, and the rollout continues in them.

use crate::model::{Pace, ServiceSpec};

/// The bounds that every move keeps, from the count that is wanted now. The strategy sets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Replicas wanted.
    pub(super) wanted: usize,
    /// No move leaves fewer available.
    pub(super) floor: usize,
    /// No move leaves more meant to run. Replicas on their way out do not count: they take no new request, and how long
    /// they drain must not hold up a rollout.
    pub(super) ceiling: usize,
    /// Replicas on their way out that do count for the ceiling: the replicas that take their place wait until they are gone.
    pub(super) held: usize,
}

impl Bounds {
    /// The bounds of a service whose rollout goes so far above and below the count.
    pub(super) fn of(spec: &ServiceSpec, pace: Pace) -> Self {
        let count = spec.replica_count();
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            wanted: size(count),
            floor: size(count.saturating_sub(pace.missing)),
            ceiling: size(count.saturating_add(pace.surge)),
            held: 0,
        }
    }

    /// How many more may be started where so many are meant to run.
    pub(super) fn room(&self, running: usize) -> usize {
        self.ceiling.saturating_sub(running + self.held)
    }
}
