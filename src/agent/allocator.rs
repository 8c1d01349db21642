//! Allocates addresses and published ports to the containers that one pass creates. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::address;
use super::memory::Leases;
use super::node::NodeFacts;
use super::node_state::{NetworkRecord, NodeState};
use super::ring_allocator::{self, LeasePool, NetworkLease, PoolCursor};
use crate::model::{AppName, ExposureMode, Millis, NotReadyCause, Port};

/// Network settings of a new container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NetworkAllocation {
    /// On its app's network.
    pub(super) address: Ipv4Addr,
    /// Its own ports with the ports of 127.0.0.1 that publish them.
    pub(super) published: BTreeMap<u16, u16>,
}

/// What one pass has allocated so far.
pub(super) struct NetworkAllocator<'a> {
    leases: &'a Leases,
    since_start: Millis,
    in_use: BTreeSet<NetworkLease>,
    cursors: BTreeMap<LeasePool, PoolCursor>,
}

impl<'a> NetworkAllocator<'a> {
    pub(super) fn new(leases: &'a Leases, since_start: Millis) -> Self {
        Self { leases, since_start, in_use: leases.in_use(), cursors: BTreeMap::new() }
    }

    /// Allocates for a new container with these ports; extends the reservations in `state` where they are used up.
    pub(super) fn allocate(
        &mut self,
        facts: &NodeFacts,
        state: &mut NodeState,
        app: &AppName,
        ports: &[Port],
    ) -> Result<NetworkAllocation, NotReadyCause> {
        let address = self.take_address(state, app).ok_or(NotReadyCause::NoFreeAddress)?;
        let mut published = BTreeMap::new();
        for own in ports.iter().filter(|_| facts.exposure == ExposureMode::Published) {
            let port = self.take_port(facts, state).ok_or_else(|| {
                NotReadyCause::cannot_start("every port of 127.0.0.1 that it could be published at is taken")
            })?;
            published.insert(own.port, port);
        }
        Ok(NetworkAllocation { address, published })
    }

    /// `None` while no address is free.
    fn take_address(&mut self, state: &mut NodeState, app: &AppName) -> Option<Ipv4Addr> {
        let record: NetworkRecord = state.networks.get(app)?.clone();
        let address = |place| NetworkLease::Address(address::at(record.subnet, place));
        let pool = LeasePool::Addresses(app.clone());
        let (place, reserved) = self.take(pool, address::RING, record.reserved, address)?;
        if reserved != record.reserved {
            state.networks.insert(app.clone(), NetworkRecord { reserved, ..record });
        }
        Some(address::at(record.subnet, place))
    }

    /// `None` while no port of 127.0.0.1 is free.
    fn take_port(&mut self, facts: &NodeFacts, state: &mut NodeState) -> Option<u16> {
        let reserved = state.ports.unwrap_or_else(|| ring_allocator::first_port(&facts.store));
        let port = |place| NetworkLease::Port(ring_allocator::port(place));
        let (place, reserved) = self.take(LeasePool::Ports, ring_allocator::ports(), reserved, port)?;
        state.ports = Some(reserved);
        Some(ring_allocator::port(place))
    }

    /// The next free place of a ring, and up to where the ring is reserved then: by another block where the last one is
    /// used up.
    fn take(
        &mut self,
        pool: LeasePool,
        length: u64,
        reserved: u64,
        lease: impl Fn(u64) -> NetworkLease,
    ) -> Option<(u64, u64)> {
        let known = self.cursors.get(&pool).copied();
        let cursor = known.unwrap_or_else(|| self.leases.cursor(&pool, reserved));
        let is_free = |place| !self.in_use.contains(&lease(place));
        let place = ring_allocator::choose(length, cursor, self.since_start, is_free)?;
        self.in_use.insert(lease(place));
        self.cursors.insert(pool, PoolCursor { next: place + 1, ..cursor });
        let reserved = if place >= reserved { place + ring_allocator::BLOCK } else { reserved };
        Some((place, reserved))
    }

    /// The cursors of the pools that this pass has allocated from.
    pub(super) fn cursors(&self) -> &BTreeMap<LeasePool, PoolCursor> {
        &self.cursors
    }
}
