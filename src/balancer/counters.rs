//! All counters that tables refer to. They outlive the tables, so that a new table counts on.
//!
//! Used by the controlling thread alone; requests reach their counters through the compiled table.
//! Invariants: an endpoint is forgotten only if it departed and is idle, and its requests stay in the count of its revision;
//! a revision or service is forgotten with its last user, which is an endpoint or a table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::endpoint::UpstreamEndpoint;
use super::failures::{RevisionCounters, ServiceCounters};
use crate::model::{
    EndpointId, EndpointStats, Mono, RevisionNumber, RevisionStats, RoutingTable, ServiceName, ServiceStats,
    TableEndpoint,
};

#[derive(Debug)]
pub(super) struct CounterRegistry {
    threads: usize,
    endpoints: BTreeMap<EndpointId, Arc<UpstreamEndpoint>>,
    revisions: BTreeMap<(ServiceName, RevisionNumber), Weak<RevisionCounters>>,
    services: BTreeMap<ServiceName, Weak<ServiceCounters>>,
    /// Notified by requests that end on departed endpoints.
    pub(super) request_ended: Arc<Notify>,
    /// Notified by requests that fail.
    pub(super) request_failed: Arc<Notify>,
}

impl CounterRegistry {
    /// For this many threads.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            threads,
            endpoints: BTreeMap::new(),
            revisions: BTreeMap::new(),
            services: BTreeMap::new(),
            request_ended: Arc::default(),
            request_failed: Arc::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.endpoints.is_empty() && self.services.is_empty()
    }

    /// The counters of a service, new ones if there are none.
    pub(super) fn service(&mut self, name: &ServiceName) -> Arc<ServiceCounters> {
        let request_failed = &self.request_failed;
        let new = || ServiceCounters::new(name.clone(), Arc::clone(request_failed));
        in_use_or_new(&mut self.services, name.clone(), new)
    }

    /// The counters of an endpoint of a service, new ones if there are none. An id belongs to one revision.
    pub(super) fn endpoint(
        &mut self,
        service: &Arc<ServiceCounters>,
        endpoint: &TableEndpoint,
    ) -> Arc<UpstreamEndpoint> {
        if let Some(known) = self.endpoints.get(&endpoint.id) {
            return Arc::clone(known);
        }
        let number = endpoint.revision;
        let new = || RevisionCounters::new(Arc::clone(service), number);
        let revision = in_use_or_new(&mut self.revisions, (service.name.clone(), number), new);
        let ended = Arc::clone(&self.request_ended);
        let counters = Arc::new(UpstreamEndpoint::new(endpoint.id.clone(), self.threads, ended, revision));
        self.endpoints.insert(endpoint.id.clone(), Arc::clone(&counters));
        counters
    }

    /// Makes known to all threads at once which endpoints a table lacks. A thread takes the table when it is scheduled, which
    /// on a busy machine may be late; until then it avoids these endpoints if it has others.
    pub(super) fn mark_departed(&self, table: &RoutingTable, now: Mono) {
        let served: BTreeSet<&EndpointId> = table.endpoints().map(|endpoint| &endpoint.id).collect();
        for endpoint in self.endpoints.values() {
            let departs = !served.contains(&endpoint.id);
            if departs && !endpoint.has_departed() {
                tracing::debug!(endpoint = %endpoint.id, "no thread picks it any more");
            }
            endpoint.set_departed(departs, now);
        }
    }

    pub(super) fn endpoint_stats(&self, are_watched: bool) -> BTreeMap<EndpointId, EndpointStats> {
        self.endpoints.iter().map(|(id, endpoint)| (id.clone(), endpoint.stats(are_watched))).collect()
    }

    /// Counts by service and revision; requests only while they are watched, failures always.
    pub(super) fn service_stats(&self, are_watched: bool) -> BTreeMap<ServiceName, ServiceStats> {
        let mut all: BTreeMap<ServiceName, ServiceStats> = BTreeMap::new();
        for service in self.services.values().filter_map(Weak::upgrade) {
            let failed = service.failed();
            if failed > 0 {
                all.entry(service.name.clone()).or_default().failed = failed;
            }
        }
        for endpoint in self.endpoints.values() {
            let counters = &endpoint.revision;
            let mut known = counters.stats();
            let mut requests = endpoint.requests();
            if !are_watched {
                known.requests = 0;
                requests = 0;
            }
            if known == RevisionStats::default() && requests == 0 {
                continue;
            }
            let revisions = &mut all.entry(counters.service.name.clone()).or_default().revisions;
            revisions.entry(counters.number).or_insert(known).requests += requests;
        }
        all
    }

    /// Forgets departed endpoints that have been reported as idle for long enough, and what only they used. Called at every
    /// report.
    pub(super) fn forget_idle(&mut self, now: Mono) {
        self.endpoints.retain(|_, endpoint| {
            let is_done = endpoint.note_idle(now);
            if is_done {
                endpoint.revision.add_forgotten(endpoint.requests());
            }
            !is_done
        });
        self.revisions.retain(|_, revision| revision.strong_count() > 0);
        self.services.retain(|_, service| service.strong_count() > 0);
    }
}

fn in_use_or_new<K: Ord, V>(known: &mut BTreeMap<K, Weak<V>>, key: K, new: impl FnOnce() -> V) -> Arc<V> {
    let entry = known.entry(key).or_default();
    entry.upgrade().unwrap_or_else(|| {
        let made = Arc::new(new());
        *entry = Arc::downgrade(&made);
        made
    })
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;
    use crate::balancer::claim::{Claim, ThreadEndpoint};
    use crate::balancer::limits::DEPARTED_REPORTED;
    use crate::model::TableService;
    use crate::model::arbitrary::table_name;

    /// Endpoint `e<number>` of the service `s`; two endpoints make a revision.
    fn endpoint(number: u8) -> TableEndpoint {
        let id = EndpointId::new(&format!("e{number}").as_str().into(), jiff::Timestamp::UNIX_EPOCH);
        let revision = RevisionNumber(u64::from(number) / 2 + 1);
        TableEndpoint::managed(id, "r".into(), revision, [10, 0, 0, 1].into(), BTreeMap::new())
    }

    fn table(endpoints: &[u8]) -> RoutingTable {
        let endpoints = endpoints.iter().map(|number| endpoint(*number)).collect();
        let service = TableService { endpoints, ..TableService::default() };
        RoutingTable { services: [("s".into(), service)].into(), ..RoutingTable::empty(table_name(1)) }
    }

    /// A registry with the counters that a compiled table would refer to.
    struct Rig {
        registry: CounterRegistry,
        table: Vec<Arc<UpstreamEndpoint>>,
        service: Option<Arc<ServiceCounters>>,
        now: Mono,
    }

    impl Rig {
        fn new() -> Self {
            Self { registry: CounterRegistry::new(1), table: Vec::new(), service: None, now: Mono(1) }
        }

        fn install(&mut self, endpoints: &[u8]) {
            let service = self.registry.service(&"s".into());
            let listed = endpoints.iter().map(|number| self.registry.endpoint(&service, &endpoint(*number)));
            self.table = listed.collect();
            self.service = Some(service);
            self.registry.mark_departed(&table(endpoints), self.now);
        }

        fn claim(&self, index: usize) -> Claim {
            Claim::new(Rc::new(ThreadEndpoint::new(Arc::clone(&self.table[index]), 0)))
        }

        /// What a report says of the service; after it, as after every report, idle endpoints are forgotten.
        fn report(&mut self) -> ServiceStats {
            let stats = self.registry.service_stats(true).remove(&"s".into()).unwrap_or_default();
            self.registry.forget_idle(self.now);
            stats
        }

        fn wait(&mut self) {
            self.now = self.now.after(DEPARTED_REPORTED.into()).after(crate::model::Millis(1));
        }
    }

    fn revision(number: u64, requests: u64, failed: u64) -> (RevisionNumber, RevisionStats) {
        (RevisionNumber(number), RevisionStats { requests, failed })
    }

    #[test]
    fn requests_and_failures_are_counted_by_revision() {
        let mut rig = Rig::new();
        rig.install(&[0, 1, 2]);
        assert_eq!(rig.report(), ServiceStats::default());
        rig.claim(0).mark_failed();
        rig.claim(1).mark_failed();
        drop(rig.claim(1));
        rig.claim(2).mark_retried();
        rig.service.as_ref().unwrap().add_failure();
        let revisions = [revision(1, 3, 2), revision(2, 1, 0)].into();
        assert_eq!(rig.report(), ServiceStats { failed: 3, revisions });
        let unwatched = rig.registry.service_stats(false).remove(&"s".into());
        let revisions = [revision(1, 0, 2)].into();
        assert_eq!(unwatched, Some(ServiceStats { failed: 3, revisions }));
    }

    #[test]
    fn endpoint_that_left_the_table_stays_in_the_count_of_its_revision() {
        let mut rig = Rig::new();
        rig.install(&[0, 1]);
        let last = rig.claim(0);
        rig.install(&[1]);
        rig.wait();
        assert_eq!(rig.report(), ServiceStats::default(), "a request is in flight");
        last.mark_failed();
        drop(last);
        let counted = ServiceStats { failed: 1, revisions: [revision(1, 1, 1)].into() };
        for _ in 0..3 {
            assert_eq!(rig.report(), counted);
            rig.wait();
        }
        assert_eq!(rig.registry.endpoints.len(), 1, "the endpoint is forgotten");
        rig.install(&[0, 1]);
        drop(rig.claim(0));
        assert_eq!(rig.report().revisions, [revision(1, 2, 1)].into(), "it is back");
    }

    #[test]
    fn revision_is_forgotten_with_its_last_endpoint_and_its_failures_stay_in_the_service() {
        let mut rig = Rig::new();
        rig.install(&[0, 2]);
        rig.claim(0).mark_failed();
        rig.install(&[2]);
        rig.report();
        rig.wait();
        rig.report();
        assert_eq!(rig.report(), ServiceStats { failed: 1, revisions: [].into() });
        rig.table.clear();
        rig.service = None;
        rig.registry.mark_departed(&RoutingTable::empty(table_name(2)), rig.now);
        rig.report();
        rig.wait();
        rig.report();
        rig.install(&[0]);
        assert_eq!(rig.report(), ServiceStats::default(), "a new service of the same name starts at 0");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Install(Vec<u8>),
        /// A request to one of the table's endpoints.
        Begin(prop::sample::Index),
        /// One of the requests in flight ends; whether it failed.
        End(prop::sample::Index, bool),
        Wait,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            prop::collection::btree_set(0..6_u8, 0..6).prop_map(|e| Step::Install(e.into_iter().collect())),
            any::<prop::sample::Index>().prop_map(Step::Begin),
            any::<(prop::sample::Index, bool)>().prop_map(|(index, fails)| Step::End(index, fails)),
            Just(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn no_request_is_lost_or_counted_twice(steps in prop::collection::vec(step(), 1..80)) {
            let mut rig = Rig::new();
            let mut in_flight: Vec<(RevisionNumber, Claim)> = Vec::new();
            let mut expected = ServiceStats::default();
            for step in steps {
                match step {
                    Step::Install(endpoints) => rig.install(&endpoints),
                    Step::Begin(index) if !rig.table.is_empty() => {
                        let index = index.index(rig.table.len());
                        in_flight.push((rig.table[index].revision.number, rig.claim(index)));
                    }
                    Step::End(index, fails) if !in_flight.is_empty() => {
                        let (revision, claim) = in_flight.swap_remove(index.index(in_flight.len()));
                        let stats = expected.revisions.entry(revision).or_default();
                        stats.requests += 1;
                        if fails {
                            claim.mark_failed();
                            stats.failed += 1;
                            expected.failed += 1;
                        }
                    }
                    Step::Begin(_) | Step::End(..) => {}
                    Step::Wait => rig.wait(),
                }
                prop_assert_eq!(rig.report(), expected.clone());
                let left = rig.registry.endpoints.values();
                let left: BTreeSet<RevisionNumber> = left.map(|endpoint| endpoint.revision.number).collect();
                expected.revisions.retain(|number, _| left.contains(number));
            }
        }
    }
}
