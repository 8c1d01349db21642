//! Leases: when they lapse, and which keys are attached to them. The writer owns the table. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{Millis, Mono};
use crate::store::{LeaseId, StoreError};

/// Longest time of a lease; a longer one is cut to this. Far beyond any keep-alive, and no overflow of the clock.
pub(super) const LEASE_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// All leases.
#[derive(Default)]
pub(super) struct LeaseTable {
    by_id: BTreeMap<LeaseId, HeldLease>,
}

struct HeldLease {
    ttl: Millis,
    lapses_at: Mono,
    keys: BTreeSet<String>,
}

impl LeaseTable {
    /// Adds a lease with its full time.
    pub(super) fn grant(&mut self, id: LeaseId, ttl: Duration, now: Mono) {
        let ttl = Millis(u64::try_from(ttl.min(LEASE_TTL_MAX).as_millis()).unwrap_or(u64::MAX));
        self.by_id.insert(id, HeldLease { ttl, lapses_at: now.after(ttl), keys: BTreeSet::new() });
    }

    /// Gives a lease its full time again.
    pub(super) fn keep_alive(&mut self, id: LeaseId, now: Mono) -> Result<(), StoreError> {
        let lease = self.by_id.get_mut(&id).ok_or(StoreError::NoLease(id.0))?;
        lease.lapses_at = now.after(lease.ttl);
        Ok(())
    }

    /// Whether the lease exists.
    pub(super) fn check(&self, id: LeaseId) -> Result<(), StoreError> {
        if self.by_id.contains_key(&id) { Ok(()) } else { Err(StoreError::NoLease(id.0)) }
    }

    /// Moves a key from one lease to another.
    pub(super) fn attach(&mut self, key: &str, from: Option<LeaseId>, to: Option<LeaseId>) {
        if let Some(lease) = from.and_then(|id| self.by_id.get_mut(&id)) {
            lease.keys.remove(key);
        }
        if let Some(lease) = to.and_then(|id| self.by_id.get_mut(&id)) {
            lease.keys.insert(key.to_owned());
        }
    }

    /// Ends a lease; returns the keys attached to it.
    pub(super) fn end(&mut self, id: LeaseId) -> Result<BTreeSet<String>, StoreError> {
        self.by_id.remove(&id).map(|lease| lease.keys).ok_or(StoreError::NoLease(id.0))
    }

    /// The leases whose time is over.
    pub(super) fn lapsed(&self, now: Mono) -> Vec<LeaseId> {
        self.by_id.iter().filter(|(_, lease)| lease.lapses_at <= now).map(|(id, _)| *id).collect()
    }

    /// When the next one lapses.
    pub(super) fn next_lapse(&self) -> Option<Mono> {
        self.by_id.values().map(|lease| lease.lapses_at).min()
    }
}
