//! Leases: which there are, when they lapse, and which keys hang on them. Plain bookkeeping; the writer owns it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{LeaseId, StoreError};

/// Longest time of a lease; a longer one is cut to this. Far beyond any keep-alive, and the clock can add it.
pub(super) const LEASE_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// All leases. They lapse on tokio's clock, the one the rest of the daemon sleeps by.
#[derive(Default)]
pub(super) struct Leases {
    by_id: BTreeMap<LeaseId, Lease>,
}

struct Lease {
    ttl: Duration,
    lapses_at: Instant,
    keys: BTreeSet<String>,
}

impl Leases {
    /// A lease with its full time.
    pub(super) fn grant(&mut self, id: LeaseId, ttl: Duration, now: Instant) {
        let ttl = ttl.min(LEASE_TTL_MAX);
        self.by_id.insert(id, Lease { ttl, lapses_at: now + ttl, keys: BTreeSet::new() });
    }

    /// Its full time again.
    pub(super) fn keep_alive(&mut self, id: LeaseId, now: Instant) -> Result<(), StoreError> {
        let lease = self.by_id.get_mut(&id).ok_or(StoreError::NoLease(id.0))?;
        lease.lapses_at = now + lease.ttl;
        Ok(())
    }

    /// Whether it is there.
    pub(super) fn check(&self, id: LeaseId) -> Result<(), StoreError> {
        if self.by_id.contains_key(&id) { Ok(()) } else { Err(StoreError::NoLease(id.0)) }
    }

    /// Moves a key from the lease it hung on to another.
    pub(super) fn hang(&mut self, key: &str, from: Option<LeaseId>, to: Option<LeaseId>) {
        if let Some(lease) = from.and_then(|id| self.by_id.get_mut(&id)) {
            lease.keys.remove(key);
        }
        if let Some(lease) = to.and_then(|id| self.by_id.get_mut(&id)) {
            lease.keys.insert(key.to_owned());
        }
    }

    /// Ends it; the keys that hung on it.
    pub(super) fn end(&mut self, id: LeaseId) -> Result<BTreeSet<String>, StoreError> {
        self.by_id.remove(&id).map(|lease| lease.keys).ok_or(StoreError::NoLease(id.0))
    }

    /// Those whose time is over.
    pub(super) fn lapsed(&self, now: Instant) -> Vec<LeaseId> {
        self.by_id.iter().filter(|(_, lease)| lease.lapses_at <= now).map(|(id, _)| *id).collect()
    }

    /// When the next one lapses.
    pub(super) fn next_lapse(&self) -> Option<Instant> {
        self.by_id.values().map(|lease| lease.lapses_at).min()
    }
}
