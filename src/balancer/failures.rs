//! Counts failed requests by service and by revision.
//!
//! A request has failed if its client got a status of 500 to 599, or an incomplete response. One that an endpoint failed and
//! another endpoint answered has not. Always counted: it costs a successful request nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::hold::ServiceHold;
use crate::model::{RevisionNumber, RevisionStats, ServiceName};

/// The count of one service, shared by all threads.
#[derive(Debug)]
pub(super) struct ServiceCounters {
    pub(super) name: ServiceName,
    failed: AtomicU64,
    /// Notified by each failure.
    request_failed: Arc<Notify>,
    pub(super) hold: Arc<ServiceHold>,
}

impl ServiceCounters {
    pub(super) fn new(name: ServiceName, request_failed: Arc<Notify>) -> Self {
        Self { name, failed: AtomicU64::new(0), request_failed, hold: Arc::default() }
    }

    pub(super) fn add_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.request_failed.notify_one();
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// The counts of one revision, shared by its endpoints and by its shares of backends.
#[derive(Debug)]
pub(super) struct RevisionCounters {
    pub(super) service: Arc<ServiceCounters>,
    pub(super) number: RevisionNumber,
    failed: AtomicU64,
    /// Requests of endpoints that were forgotten; used by the controlling thread alone.
    forgotten_requests: AtomicU64,
}

impl RevisionCounters {
    pub(super) fn new(service: Arc<ServiceCounters>, number: RevisionNumber) -> Self {
        Self { service, number, failed: AtomicU64::new(0), forgotten_requests: AtomicU64::new(0) }
    }

    /// A request failed that was sent to one of the endpoints, or was meant for one and reached none.
    pub(super) fn add_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.service.add_failure();
    }

    /// Keeps the count of an endpoint that is forgotten.
    pub(super) fn add_forgotten(&self, requests: u64) {
        self.forgotten_requests.fetch_add(requests, Ordering::Relaxed);
    }

    /// The counts without the requests of endpoints that are not forgotten.
    pub(super) fn stats(&self) -> RevisionStats {
        RevisionStats {
            requests: self.forgotten_requests.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}
