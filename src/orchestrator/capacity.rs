//! Whether a node has the memory and the processors for a write. Pure.
//!
//! Both are counted when a user writes, from reservations alone: the replicas wanted, without a rollout's surge. A write
//! that asks for no more than before always passes: a user who is short of them must be able to scale down.

use std::fmt;

use crate::model::{Cpu, MemorySize, ServiceName, ServiceSpec};

/// What a node has for containers; `None` where its Engine does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeCapacity {
    pub memory: Option<MemorySize>,
    pub cpu: Option<Cpu>,
}

/// An amount of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// In bytes.
    Memory(u64),
    /// In thousandths of a core.
    Cpu(u64),
}

/// A service that asks for more than there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapacityShortage {
    /// Its replicas reserve more than others leave.
    Reserved {
        service: ServiceName,
        replicas: u32,
        /// What each reserves.
        each: Amount,
        /// What all of them reserve.
        needed: Amount,
        /// What others reserve.
        others: Amount,
        /// What there is.
        total: Amount,
    },
    /// One container may use more than there is: Docker refuses to create it.
    CpuLimit { service: ServiceName, limit: Cpu, total: Cpu },
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
    others: &[&ServiceSpec],
    node: NodeCapacity,
) -> Vec<CapacityShortage> {
    let mut short = Vec::new();
    if let Some(MemorySize(total)) = node.memory {
        short.extend(reserved_shortages(asked, others, total, memory_of_each, Amount::Memory));
    }
    if let Some(total) = node.cpu {
        short.extend(reserved_shortages(asked, others, u64::from(total.0), cpu_of_each, Amount::Cpu));
        short.extend(asked.iter().filter_map(|request| cpu_limit_shortage(request, total)));
    }
    short
}

fn reserved_shortages(
    asked: &[CapacityRequest<'_>],
    others: &[&ServiceSpec],
    total: u64,
    of_each: fn(&ServiceSpec) -> u64,
    amount: fn(u64) -> Amount,
) -> Vec<CapacityShortage> {
    let reserved = |spec: &ServiceSpec| of_each(spec).saturating_mul(u64::from(spec.replica_count()));
    let mut taken = others.iter().fold(0, |sum: u64, spec| sum.saturating_add(reserved(spec)));
    let mut short = Vec::new();
    for CapacityRequest { service, before, after } in asked {
        let needed = reserved(after);
        let grows = needed > before.map_or(0, reserved);
        if grows && taken.saturating_add(needed) > total {
            short.push(CapacityShortage::Reserved {
                service: (*service).clone(),
                replicas: after.replica_count(),
                each: amount(of_each(after)),
                needed: amount(needed),
                others: amount(taken),
                total: amount(total),
            });
        }
        taken = taken.saturating_add(needed);
    }
    short
}

fn memory_of_each(spec: &ServiceSpec) -> u64 {
    spec.resources.memory.map_or(0, |memory| memory.0)
}

fn cpu_of_each(spec: &ServiceSpec) -> u64 {
    spec.resources.cpu.map_or(0, |cpu| u64::from(cpu.0))
}

fn cpu_limit_shortage(request: &CapacityRequest<'_>, total: Cpu) -> Option<CapacityShortage> {
    let limit = request.after.limits.cpu.filter(|limit| *limit > total)?;
    let before = request.before.and_then(|before| before.limits.cpu);
    let service = request.service.clone();
    before.is_none_or(|before| limit > before).then_some(CapacityShortage::CpuLimit { service, limit, total })
}

impl fmt::Display for CapacityShortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved { service, replicas, each, needed, others, total } => write!(
                f,
                "{service}: {replicas} replicas of {} need {needed}; the node has {total}, of which {others} are reserved",
                Exact(*each)
            ),
            Self::CpuLimit { service, limit, total } => write!(
                f,
                "{service}: `limits.cpu` is {}, and the node has {}",
                Amount::Cpu(limit.0.into()),
                Amount::Cpu(total.0.into())
            ),
        }
    }
}

/// An amount as it is written in a manifest.
struct Exact(Amount);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Amount::Memory(bytes) => MemorySize(bytes).fmt(f),
            Amount::Cpu(_) => self.0.fmt(f),
        }
    }
}

/// Memory rounded to a tenth: `23.5Gi`, `1800Gi`. Processors in cores: `1.5 cores`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GIBIBYTE: u128 = 1 << 30;
        match *self {
            Self::Memory(bytes) => {
                let tenths = (u128::from(bytes) * 10 + GIBIBYTE / 2) / GIBIBYTE;
                match tenths % 10 {
                    0 => write!(f, "{}Gi", tenths / 10),
                    tenth => write!(f, "{}.{tenth}Gi", tenths / 10),
                }
            }
            Self::Cpu(1000) => f.write_str("1 core"),
            Self::Cpu(millis) if millis % 1000 == 0 => write!(f, "{} cores", millis / 1000),
            Self::Cpu(millis) => {
                let part = format!("{:03}", millis % 1000);
                write!(f, "{}.{} cores", millis / 1000, part.trim_end_matches('0'))
            }
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

    fn with_cpu(replicas: u32, reserved: &str, limit: &str) -> ServiceSpec {
        let mut spec = spec(replicas, "");
        spec.resources.cpu = reserved.parse().ok();
        spec.limits.cpu = limit.parse().ok();
        spec
    }

    fn messages(before: Option<&ServiceSpec>, after: &ServiceSpec, node: NodeCapacity) -> Vec<String> {
        let name = "users".into();
        let asked = CapacityRequest { service: &name, before, after };
        shortages(&[asked], &[], node).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn shortages_names_a_write_that_needs_more_than_is_left() {
        let node = NodeCapacity { memory: Some(MemorySize(4 << 30)), cpu: None };
        for (before, after, others, short) in [
            (None, spec(4, "1Gi"), "", false),
            (None, spec(5, "1Gi"), "", true),
            (None, spec(4, "1Gi"), "1Gi", true),
            (None, spec(50, ""), "4Gi", false),
            (Some(spec(9, "1Gi")), spec(8, "1Gi"), "", false),
            (Some(spec(9, "1Gi")), spec(10, "1Gi"), "", true),
            (None, spec(4, "8388608Ti"), "", true),
        ] {
            let name = "users".into();
            let asked = CapacityRequest { service: &name, before: before.as_ref(), after: &after };
            let found = shortages(&[asked], &[&spec(1, others)], node);
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
        let node = NodeCapacity { memory: Some(MemorySize(7 << 29)), cpu: None };
        let messages: Vec<String> = shortages(&asked, &[], node).iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            ["web: 2 replicas of 512Mi need 1Gi; the node has 3.5Gi, of which 3Gi are reserved"]
        );
    }

    #[test]
    fn shortages_of_processors_count_what_is_reserved_and_each_limit() {
        let node = NodeCapacity { memory: None, cpu: Some(Cpu(2000)) };
        assert_eq!(messages(None, &with_cpu(4, "500m", "2"), node), [""; 0]);
        assert_eq!(
            messages(None, &with_cpu(3, "750m", ""), node),
            [
                "users: 3 replicas of 0.75 cores need 2.25 cores; the node has 2 cores, of which 0 cores are reserved"
            ]
        );
        let above = with_cpu(1, "", "4");
        assert_eq!(
            messages(None, &above, node),
            ["users: `limits.cpu` is 4 cores, and the node has 2 cores"]
        );
        assert_eq!(messages(Some(&above), &above, node), [""; 0], "it asks for no more than before");
        assert_eq!(messages(None, &above, NodeCapacity::default()), [""; 0], "the Engine does not say");
    }
}
