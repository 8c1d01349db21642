//! Requests that failed, counted by service.
//!
//! A request has failed when its client was answered 500 to 599, or not whole; one that an endpoint failed and another one
//! answered has not. Counted whether or not somebody watches: a request that goes well never comes here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::model::{ServiceName, TableService};

/// The count of one service, shared by all threads.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures {
    count: Arc<AtomicU64>,
    /// Woken by each.
    added: Arc<Notify>,
}

impl Failures {
    /// One more.
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
    /// The count of a service.
    pub(super) fn of(&mut self, service: &ServiceName) -> Failures {
        let added = &self.added;
        let new = || Failures { added: Arc::clone(added), ..Failures::default() };
        self.all.entry(service.clone()).or_insert_with(new).clone()
    }

    /// Forgets services that the newest table is without.
    pub(super) fn keep(&mut self, services: &BTreeMap<ServiceName, TableService>) {
        self.all.retain(|service, _| services.contains_key(service));
    }

    /// Woken by each request that fails.
    pub(super) fn added(&self) -> Arc<Notify> {
        Arc::clone(&self.added)
    }

    /// The services that have any.
    pub(super) fn told(&self) -> BTreeMap<ServiceName, u64> {
        let counts = self.all.iter().map(|(service, failures)| (service.clone(), failures.count()));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_count_apart_and_only_those_with_failures_are_told() {
        let mut all = FailuresByService::default();
        let (users, web) = (all.of(&"users".into()), all.of(&"web".into()));
        assert_eq!(all.told(), [].into());
        users.add();
        all.of(&"users".into()).add();
        assert_eq!(all.told(), [("users".into(), 2)].into());
        web.add();
        all.keep(&[("web".into(), TableService::default())].into());
        assert_eq!(all.told(), [("web".into(), 1)].into());
        assert_eq!(all.of(&"users".into()).count(), 0, "one of the same name begins anew");
    }
}
