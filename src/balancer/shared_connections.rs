//! What the threads of a balancer share about connections. Touched when one is opened, refused or closed, not by requests,
//! but for those to routes with passwords.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::client_limit::ClientLimit;
use super::hold::HeldRequests;
use super::limits::BalancerLimits;
use super::password_checks::PasswordChecks;
use super::socket_budget::SocketBudget;
use crate::clock::Clock;
use crate::model::{ConnectionStats, TrustedProxies};

pub(super) struct SharedConnections {
    pub(super) budget: SocketBudget,
    pub(super) clients: Arc<ClientLimit>,
    pub(super) trusted: TrustedProxies,
    pub(super) counters: ConnectionCounters,
    pub(super) held: Arc<HeldRequests>,
    pub(super) passwords: PasswordChecks,
}

impl SharedConnections {
    pub(super) fn new(
        limits: &BalancerLimits,
        threads: usize,
        trusted: TrustedProxies,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            budget: SocketBudget::new(limits.sockets(threads), threads),
            clients: Arc::new(ClientLimit::new(limits.per_client)),
            trusted,
            counters: ConnectionCounters::default(),
            held: Arc::default(),
            passwords: PasswordChecks::new(Arc::clone(clock)),
        }
    }
}

/// Counts what went wrong with connections.
#[derive(Debug, Default)]
pub(super) struct ConnectionCounters {
    over_client_limit: AtomicU64,
    without_descriptor: AtomicU64,
    evicted: AtomicU64,
    failed_handshakes: AtomicU64,
}

impl ConnectionCounters {
    pub(super) fn add_over_client_limit(&self) {
        self.over_client_limit.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_without_descriptor(&self) {
        self.without_descriptor.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_evicted(&self, count: usize) {
        self.evicted.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn add_failed_handshake(&self) {
        self.failed_handshakes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> ConnectionStats {
        ConnectionStats {
            over_client_limit: self.over_client_limit.load(Ordering::Relaxed),
            without_descriptor: self.without_descriptor.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
            failed_handshakes: self.failed_handshakes.load(Ordering::Relaxed),
        }
    }
}
