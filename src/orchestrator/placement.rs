//! The node for a new replica: the one with the fewest of its service, the first by name where several tie; and whether
//! there is enough memory for a write.
//!
//! Memory is counted when a user writes, from reservations alone: the replicas wanted, without a rollout's surge. A write
//! that asks for no more than before always passes: a user who is short of memory must be able to scale down.
//! A replica stays on its node: a node that is no longer offered is unknown, not dead.

use std::fmt;

use super::ServiceView;
use super::census::is_gone;
use crate::model::{MemorySize, NodeId, Replica, ServiceName, ServiceSpec};

/// The node for one more replica, counting those that this pass already places; `None` where no node is offered.
pub(super) fn choose<'a>(view: &'a ServiceView, placed: &[Replica]) -> Option<&'a NodeId> {
    if let [only] = view.nodes.as_slice() {
        return Some(only);
    }
    let there = |node: &NodeId| {
        let running = view.replicas.iter().filter(|r| r.replica.runs() && !is_gone(r));
        running.filter(|r| r.replica.node == *node).count()
            + placed.iter().filter(|r| r.node == *node).count()
    };
    view.nodes.iter().min_by_key(|node| there(node))
}

/// A service that asks for more memory than there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapacityShortage {
    pub service: ServiceName,
    pub replicas: u32,
    /// What each reserves.
    pub each: MemorySize,
    /// What others reserve.
    pub others: MemorySize,
    /// What there is.
    pub total: MemorySize,
}

/// One service of a write, as it was and as it is to be.
#[derive(Debug, Clone)]
pub struct CapacityRequest<'a> {
    pub service: &'a ServiceName,
    /// `None` for a new one.
    pub before: Option<&'a ServiceSpec>,
    /// With its count filled in.
    pub after: &'a ServiceSpec,
}

/// The services of a write that do not fit next to what `others` reserve, each counted after those before it.
pub fn shortages(
    asked: &[CapacityRequest<'_>],
    others: MemorySize,
    total: MemorySize,
) -> Vec<CapacityShortage> {
    let mut taken = others.0;
    let mut short = Vec::new();
    for CapacityRequest { service, before, after } in asked {
        let needed = reserved(after);
        let grows = needed.0 > before.map_or(0, |before| reserved(before).0);
        if grows && taken.saturating_add(needed.0) > total.0 {
            short.push(CapacityShortage {
                service: (*service).clone(),
                replicas: after.replica_count(),
                each: after.resources.memory.unwrap_or(MemorySize(0)),
                others: MemorySize(taken),
                total,
            });
        }
        taken = taken.saturating_add(needed.0);
    }
    short
}

/// What all replicas of a service reserve.
pub fn reserved(spec: &ServiceSpec) -> MemorySize {
    MemorySize(spec.resources.memory.map_or(0, |each| each.0.saturating_mul(u64::from(spec.replica_count()))))
}

impl fmt::Display for CapacityShortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, replicas, each, others, total } = self;
        let needed = Gibibytes(each.0.saturating_mul(u64::from(*replicas)));
        let total = Gibibytes(total.0);
        let others = Gibibytes(others.0);
        write!(
            f,
            "{service}: {replicas} replicas of {each} need {needed}; the node has {total}, of which {others} are reserved"
        )
    }
}

/// Memory rounded to a tenth: `23.5Gi`, `1800Gi`.
struct Gibibytes(u64);

impl fmt::Display for Gibibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GIBIBYTE: u128 = 1 << 30;
        let tenths = (u128::from(self.0) * 10 + GIBIBYTE / 2) / GIBIBYTE;
        match tenths % 10 {
            0 => write!(f, "{}Gi", tenths / 10),
            tenth => write!(f, "{}.{tenth}Gi", tenths / 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(replicas: u32, memory: &str) -> ServiceSpec {
        let mut spec = ServiceSpec::of_image("users:1");
        spec.replicas = Some(replicas);
        spec.resources.memory = memory.parse().ok();
        spec
    }

    #[test]
    fn shortages_names_a_write_that_needs_more_than_is_left() {
        let gibibytes = |n: u64| MemorySize(n << 30);
        for (before, after, others, short) in [
            (None, spec(4, "1Gi"), 0, false),
            (None, spec(5, "1Gi"), 0, true),
            (None, spec(4, "1Gi"), 1, true),
            (None, spec(50, ""), 4, false),
            (Some(spec(9, "1Gi")), spec(8, "1Gi"), 0, false),
            (Some(spec(9, "1Gi")), spec(10, "1Gi"), 0, true),
            (None, spec(4, "8388608Ti"), 0, true),
        ] {
            let name = "users".into();
            let asked = CapacityRequest { service: &name, before: before.as_ref(), after: &after };
            let found = shortages(&[asked], gibibytes(others), gibibytes(4));
            assert_eq!(!found.is_empty(), short, "{before:?} to {after:?} next to {others}");
        }
    }

    #[test]
    fn shortages_count_the_services_of_one_write_together() {
        let (one, two) = (spec(3, "1Gi"), spec(2, "512Mi"));
        let names: [ServiceName; 2] = ["users".into(), "web".into()];
        let asked = [(&names[0], &one), (&names[1], &two)].map(|(service, after)| CapacityRequest {
            service,
            before: None,
            after,
        });
        let found = shortages(&asked, MemorySize(0), MemorySize(7 << 29));
        let messages: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            ["web: 2 replicas of 512Mi need 1Gi; the node has 3.5Gi, of which 3Gi are reserved"]
        );
    }
}
