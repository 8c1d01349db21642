//! Counts failed requests by service.
//!
//! A request has failed if its client got a status of 500 to 599, or an incomplete response. One that an endpoint failed and
//! another endpoint answered has not. Always counted: it costs a successful request nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::model::{ServiceName, TableService};

/// The count of one service, shared by all threads.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures {
    count: Arc<AtomicU64>,
    /// Notified by each failure.
    added: Arc<Notify>,
}

impl Failures {
    pub(super) fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.added.notify_one();
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// The counts of all services of the newest table.
#[derive(Debug, Default)]
pub(super) struct FailuresByService {
    all: BTreeMap<ServiceName, Failures>,
    added: Arc<Notify>,
}

impl FailuresByService {
    pub(super) fn of(&mut self, service: &ServiceName) -> Failures {
        let added = &self.added;
        let new = || Failures { added: Arc::clone(added), ..Failures::default() };
        self.all.entry(service.clone()).or_insert_with(new).clone()
    }

    /// Forgets services that the newest table lacks.
    pub(super) fn keep(&mut self, services: &BTreeMap<ServiceName, TableService>) {
        self.all.retain(|service, _| services.contains_key(service));
    }

    /// Notified by each failed request.
    pub(super) fn added(&self) -> Arc<Notify> {
        Arc::clone(&self.added)
    }

    /// Failed requests by service; services without any are left out.
    pub(super) fn counts(&self) -> BTreeMap<ServiceName, u64> {
        let counts = self.all.iter().map(|(service, failures)| (service.clone(), failures.count()));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_service_and_forgotten_with_it() {
        let mut all = FailuresByService::default();
        let users = all.of(&"users".into());
        let web = all.of(&"web".into());
        assert_eq!(all.counts(), [].into());
        users.add();
        all.of(&"users".into()).add();
        assert_eq!(all.counts(), [("users".into(), 2)].into());
        web.add();
        all.keep(&[("web".into(), TableService::default())].into());
        assert_eq!(all.counts(), [("web".into(), 1)].into());
        assert_eq!(all.of(&"users".into()).count(), 0, "a new service of the same name starts at 0");
    }
}
