//! How many replicas there may and must be, and which go when there are too many.
//!
//! A change of the count is taken at once, also during a rollout: it moves the bounds, and the rollout goes on in them.

use super::census::{Census, Seen};
use crate::model::{Pace, ServiceSpec};

/// The bounds a move keeps, from the count that is wanted now.
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
    /// A replica on its way out counts for the ceiling until it is gone: none that takes its place runs beside it.
    pub stop_first: bool,
}

impl Bounds {
    /// The bounds of a spec.
    pub fn of(spec: &ServiceSpec) -> Self {
        let count = spec.replica_count();
        let Pace { surge, missing } = spec.pace();
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            wanted: size(count),
            floor: size(count.saturating_sub(missing)),
            ceiling: size(count.saturating_add(surge)),
            stop_first: spec.stops_first(),
        }
    }
}

/// The replicas that are too many for the bounds, whatever the rollout does.
///
/// First those of the target above the count: not available ones first, then those in the highest slots, so that the
/// places stay 1, 2, 3 … Then, where old and new together are above the ceiling: old ones that are not available, old
/// ones as far as the floor lets, and new ones that are not available.
pub(super) fn surplus<'a>(census: &Census<'a>, bounds: Bounds) -> Vec<Seen<'a>> {
    let mut target: Vec<Seen<'a>> = census.current.iter().chain(&census.matching).copied().collect();
    target.sort_by_key(|s| (s.available, std::cmp::Reverse(s.is.replica.slot)));
    let kept = target.split_off(target.len().saturating_sub(bounds.wanted));
    let mut surplus = target;
    let excess = (kept.len() + census.old.len()).saturating_sub(bounds.ceiling);
    if excess == 0 {
        return surplus;
    }
    let mut old = census.old.clone();
    old.sort_by_key(|s| (s.available, s.is.replica.slot));
    let available = super::census::available(&kept) + super::census::available(&old);
    let spare = available.saturating_sub(bounds.floor);
    let (idle, serving): (Vec<_>, Vec<_>) = old.into_iter().partition(|s| !s.available);
    let candidates = idle.into_iter().chain(serving.into_iter().take(spare));
    surplus.extend(candidates.chain(kept.into_iter().filter(|s| !s.available)).take(excess));
    surplus
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NumberOrPercent::{self, Number, Percent};

    #[test]
    fn bounds_in_numbers() {
        let n = Number;
        let p = Percent;
        let cases: &[(u32, NumberOrPercent, NumberOrPercent, usize, usize)] = &[
            (3, n(1), n(0), 3, 4),
            (1, n(1), n(0), 1, 2),
            (10, p(25), p(25), 8, 13), // 2.5 down is 2, 2.5 up is 3
            (3, p(10), p(10), 3, 4),   // 0.3 down is 0, 0.3 up is 1
            (3, n(0), p(10), 2, 3),    // both nothing: one may be missing
            (4, p(100), p(0), 4, 8),
            (4, n(0), p(100), 0, 4),
            (2, n(0), n(5), 0, 2), // more than there are
            (0, n(1), n(0), 0, 1),
            (200, p(1), p(1), 198, 202),
        ];
        for (count, surge, missing, floor, ceiling) in cases {
            let mut spec = ServiceSpec::of_image("users:1");
            spec.replicas = Some(*count);
            spec.rollout.max_surge = *surge;
            spec.rollout.max_unavailable = *missing;
            let bounds = Bounds::of(&spec);
            assert_eq!((bounds.floor, bounds.ceiling), (*floor, *ceiling), "{count} +{surge} -{missing}");
        }
    }

    #[test]
    fn volumes_that_one_container_writes_to_stop_first() {
        // count, read only, per replica, missing allowed -> stop first, floor, ceiling
        for (count, read_only, per_replica, missing, expected) in [
            (1, false, false, 0, (true, 0, 1)),
            (1, true, false, 0, (false, 1, 2)),
            (3, false, false, 0, (false, 3, 4)),
            (3, false, true, 0, (true, 2, 3)),
            (3, false, true, 2, (true, 1, 3)),
            (3, true, true, 0, (true, 2, 3)),
        ] {
            let mut spec = ServiceSpec::of_image("db:1");
            spec.replicas = Some(count);
            spec.rollout.max_unavailable = Number(missing);
            let (name, path) = ("data".to_owned(), "/data".to_owned());
            spec.volumes = vec![crate::model::Volume { name, path, read_only, per_replica }];
            let Bounds { stop_first, floor, ceiling, .. } = Bounds::of(&spec);
            assert_eq!((stop_first, floor, ceiling), expected, "{count} {read_only} {per_replica} {missing}");
        }
    }
}
