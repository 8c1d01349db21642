//! How many replicas there may and must be while a revision is rolled out.
//!
//! A change of the count is taken at once, also during a rollout: it moves the bounds, and the rollout continues in them.

use super::exclusive_volumes::is_waited_for;
use super::{ReplicaView, ServiceView};
use crate::model::{Pace, Revision};

/// The bounds that every move keeps, from the count that is wanted now.
///
/// With 10 wanted, `maxSurge: 25%` and `maxUnavailable: 25%`: at most 10 + 3 run (2.5 up), at least 10 - 2 are available
/// (2.5 down).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Replicas wanted.
    pub wanted: usize,
    /// No move leaves fewer available.
    pub floor: usize,
    /// No move leaves more meant to run. Replicas on their way out do not count: they take no new request, and how long
    /// they drain must not hold up a rollout.
    pub ceiling: usize,
    /// Replicas on their way out that do count for the ceiling: the replicas that take their place wait until they are gone.
    pub held: usize,
}

impl Bounds {
    /// The bounds while replicas of `made` are started. Policy and count are the Service's; whether the old replicas must
    /// be gone first depends on `made` and on the replicas that exist.
    ///
    /// With 1 wanted and a volume that both write to: no surge, so the old one is removed (0 left, 0 must be). Until it is
    /// gone it holds the only place; then the new one is started.
    pub fn of(view: &ServiceView, made: &Revision) -> Self {
        let spec = &view.service.spec;
        let waited_for = view.replicas.iter().filter(|replica| is_waited_for(view, made, replica));
        let (running, leaving): (Vec<&ReplicaView>, Vec<&ReplicaView>) =
            waited_for.partition(|replica| replica.replica.runs());
        let Pace { surge, missing } = spec.pace(!running.is_empty());
        let surge = if leaving.is_empty() { surge } else { 0 };
        let count = spec.replica_count();
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            wanted: size(count),
            floor: size(count.saturating_sub(missing)),
            ceiling: size(count.saturating_add(surge)),
            held: leaving.len(),
        }
    }

    /// How many more may be started where so many are meant to run.
    pub(super) fn room(&self, running: usize) -> usize {
        self.ceiling.saturating_sub(running + self.held)
    }
}
