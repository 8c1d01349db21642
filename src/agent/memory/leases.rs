//! Leases of addresses and published ports: which container holds which, and which are in quarantine. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::agent::ring_allocator::{LeasePool, NetworkLease, PoolCursor, REUSE_AFTER};
use crate::agent::view::{address_of, instance_of};
use crate::engine::{ContainerSpec, ObservedContainer};
use crate::model::{ContainerId, EndpointId, Mono, ReplicaName};

/// A lease whose container is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct QuarantinedLease {
    /// What held it; `None` if nothing ever ran there.
    instance: Option<EndpointId>,
    /// Since when every balancer has acknowledged a table without it.
    deregistered_at: Option<Mono>,
}

/// The leases of addresses and ports.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct Leases {
    /// Of containers that exist.
    held: BTreeMap<ContainerId, (Vec<NetworkLease>, Option<EndpointId>)>,
    /// Of containers being created.
    reserved: BTreeMap<ReplicaName, Vec<NetworkLease>>,
    quarantined: BTreeMap<NetworkLease, QuarantinedLease>,
    cursors: BTreeMap<LeasePool, PoolCursor>,
}

impl Leases {
    /// Updates the leases from all containers that hold some, of whatever store; `is_deregistered` says whether every balancer has
    /// acknowledged a table without an instance.
    pub(super) fn fold<'c>(
        &mut self,
        containers: impl IntoIterator<Item = &'c ObservedContainer>,
        is_deregistered: impl Fn(&EndpointId) -> bool,
        now: Mono,
    ) {
        let mut existing: BTreeSet<&ContainerId> = BTreeSet::new();
        for container in containers {
            existing.insert(&container.id);
            let leases = of_container(container);
            leases.iter().for_each(|lease| drop(self.quarantined.remove(lease)));
            self.held.insert(container.id.clone(), (leases, instance_of(container)));
        }
        let gone: Vec<ContainerId> = self.held.keys().filter(|id| !existing.contains(*id)).cloned().collect();
        for (leases, instance) in gone.iter().filter_map(|id| self.held.remove(id)) {
            let quarantined = QuarantinedLease { instance, deregistered_at: None };
            self.quarantined.extend(leases.into_iter().map(|lease| (lease, quarantined.clone())));
        }
        for lease in self.quarantined.values_mut() {
            if lease.instance.as_ref().is_none_or(&is_deregistered) {
                lease.deregistered_at.get_or_insert(now);
            }
        }
        self.quarantined
            .retain(|_, lease| lease.deregistered_at.is_none_or(|at| now.since(at) < REUSE_AFTER));
    }

    /// What must not be allocated.
    pub(in crate::agent) fn in_use(&self) -> BTreeSet<NetworkLease> {
        let held = self.held.values().flat_map(|(leases, _)| leases);
        held.chain(self.reserved.values().flatten()).chain(self.quarantined.keys()).copied().collect()
    }

    /// A pool's cursor; one that this run has not used begins behind everything that is reserved.
    pub(in crate::agent) fn cursor(&self, pool: &LeasePool, reserved: u64) -> PoolCursor {
        self.cursors.get(pool).copied().unwrap_or(PoolCursor { origin: reserved, next: reserved })
    }

    /// A container is about to be created for a replica.
    pub(super) fn reserve(
        &mut self,
        replica: &ReplicaName,
        spec: &ContainerSpec,
        cursors: &BTreeMap<LeasePool, PoolCursor>,
    ) {
        self.reserved.insert(replica.clone(), of_spec(spec));
        for (pool, cursor) in cursors {
            let known = self.cursors.entry(pool.clone()).or_insert(*cursor);
            known.next = known.next.max(cursor.next);
        }
    }

    /// Container creation ended and the containers were listed. If the response was lost, a container that appears later may
    /// hold a reserved address or port.
    pub(in crate::agent) fn released(&mut self, replica: &ReplicaName) {
        let quarantined = || QuarantinedLease { instance: None, deregistered_at: None };
        self.quarantined
            .extend(self.reserved.remove(replica).into_iter().flatten().map(|lease| (lease, quarantined())));
    }
}

/// What a container holds or will hold when it is started again: an exited one counts.
fn of_container(container: &ObservedContainer) -> Vec<NetworkLease> {
    leases(address_of(container), &container.published)
}

fn of_spec(spec: &ContainerSpec) -> Vec<NetworkLease> {
    let address = match spec.address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    };
    leases(address, &spec.published)
}

fn leases(address: Option<Ipv4Addr>, published: &BTreeMap<u16, u16>) -> Vec<NetworkLease> {
    let ports = published.values().map(|port| NetworkLease::Port(*port));
    address.map(NetworkLease::Address).into_iter().chain(ports).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ContainerState, LABEL_ADDRESS};

    const ADDRESS: NetworkLease = NetworkLease::Address(Ipv4Addr::new(10, 209, 0, 7));
    const PORT: NetworkLease = NetworkLease::Port(20_003);

    fn container(state: ContainerState) -> ObservedContainer {
        ObservedContainer {
            id: "c1".into(),
            name: "users-1-a".to_owned(),
            labels: [(LABEL_ADDRESS.to_owned(), "10.209.0.7".to_owned())].into(),
            state,
            started_at: Some(jiff::Timestamp::UNIX_EPOCH),
            finished_at: None,
            addresses: BTreeMap::new(),
            published: [(8080, 20_003)].into(),
            volumes: BTreeSet::new(),
            error: String::new(),
        }
    }

    fn seconds(seconds: u64) -> Mono {
        Mono(seconds * 1000)
    }

    #[test]
    fn quarantine_ends_a_minute_after_the_acknowledgement_and_not_before() {
        let mut leases = Leases::default();
        let both: BTreeSet<NetworkLease> = [ADDRESS, PORT].into();
        leases.fold(&[container(ContainerState::Running)], |_| false, seconds(0));
        assert_eq!(leases.in_use(), both);
        let ended = ContainerState::Exited { code: 1, oom_killed: false };
        leases.fold(&[container(ended)], |_| true, seconds(1));
        leases.fold(&[], |_| false, seconds(2));
        leases.fold(&[], |_| false, seconds(3_600));
        assert_eq!(leases.in_use(), both, "time never replaces an acknowledgement");
        leases.fold(&[], |_| true, seconds(3_601));
        leases.fold(&[], |_| true, seconds(3_660));
        assert_eq!(leases.in_use(), both);
        leases.fold(&[], |_| true, seconds(3_661));
        assert_eq!(leases.in_use(), [].into());
    }

    #[test]
    fn reserved_leases_are_quarantined_when_the_answer_is_lost_and_held_when_the_container_appears() {
        let spec = ContainerSpec {
            published: [(8080, 20_003)].into(),
            ..ContainerSpec::bare("users-1-a", "users:1", "net", IpAddr::from([10, 209, 0, 7]))
        };
        let cursor = PoolCursor { origin: 3, next: 4 };
        let mut leases = Leases::default();
        leases.reserve(&"users-1-a".into(), &spec, &[(LeasePool::Ports, cursor)].into());
        assert_eq!((leases.in_use().len(), leases.cursor(&LeasePool::Ports, 0)), (2, cursor));
        leases.released(&"users-1-a".into());
        assert_eq!(leases.in_use(), [ADDRESS, PORT].into(), "the container may come up yet");
        leases.fold(&[container(ContainerState::Created)], |_| true, seconds(100));
        leases.fold(&[container(ContainerState::Created)], |_| true, seconds(300));
        assert_eq!(leases.in_use(), [ADDRESS, PORT].into(), "it did");
    }
}
