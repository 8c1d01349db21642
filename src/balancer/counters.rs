//! All counters that tables refer to. They outlive the tables, so that a new table counts on.
//!
//! Used by the controlling thread alone; requests reach their counters through the compiled table.
//! Invariants: an endpoint is forgotten only if it departed and is idle, and its requests stay in the count of its revision;
//! a revision or service is forgotten with its last user, which is an endpoint or a table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::endpoint::{EndpointKey, UpstreamEndpoint};
use super::failures::{RevisionCounters, ServiceCounters};
use super::limits::DEPARTED_REPORTED;
use crate::model::{
    EndpointId, EndpointStats, Mono, RevisionNumber, RevisionStats, RoutingTable, ServiceName, ServiceStats,
    TableEndpoint,
};

/// An endpoint of the table, or one that left it.
#[derive(Debug)]
struct ReportedEndpoint {
    counters: Arc<UpstreamEndpoint>,
    departure: Option<Departure>,
}

#[derive(Debug)]
struct Departure {
    /// Requests that had ended by then.
    requests_before: u64,
    /// Since when no report has seen a request in flight.
    idle_since: Option<Mono>,
}

#[derive(Debug)]
pub(super) struct CounterRegistry {
    threads: usize,
    endpoints: BTreeMap<EndpointKey, ReportedEndpoint>,
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

    /// The counters of a revision of a service, new ones if there are none.
    pub(super) fn revision(
        &mut self,
        service: &Arc<ServiceCounters>,
        number: RevisionNumber,
    ) -> Arc<RevisionCounters> {
        let new = || RevisionCounters::new(Arc::clone(service), number);
        in_use_or_new(&mut self.revisions, (service.name.clone(), number), new)
    }

    /// The counters of an endpoint of a service, new ones if there are none.
    pub(super) fn endpoint(
        &mut self,
        service: &Arc<ServiceCounters>,
        endpoint: &TableEndpoint,
    ) -> Arc<UpstreamEndpoint> {
        let key: EndpointKey = (endpoint.id.clone(), endpoint.revision);
        if let Some(known) = self.endpoints.get(&key) {
            return Arc::clone(&known.counters);
        }
        let revision = self.revision(service, endpoint.revision);
        let ended = Arc::clone(&self.request_ended);
        let counters = Arc::new(UpstreamEndpoint::new(endpoint.id.clone(), self.threads, ended, revision));
        let reported = ReportedEndpoint { counters: Arc::clone(&counters), departure: None };
        self.endpoints.insert(key, reported);
        counters
    }

    /// Marks the endpoints that a table lacks, which all threads see at once. A thread installs the table when it is
    /// scheduled, late on a busy machine; until then it picks a marked endpoint only if no other is available.
    pub(super) fn mark_departed(&mut self, table: &RoutingTable, now: Mono) {
        let served: BTreeSet<(&EndpointId, RevisionNumber)> =
            table.endpoints().map(|endpoint| (&endpoint.id, endpoint.revision)).collect();
        for ((id, revision), ReportedEndpoint { counters, departure }) in &mut self.endpoints {
            let departs = !served.contains(&(id, *revision));
            counters.set_departed(departs);
            if !departs {
                *departure = None;
            } else if departure.is_none() {
                tracing::debug!(endpoint = %id, %revision, "no thread picks it any more");
                let requests_before = counters.requests();
                *departure = Some(Departure { requests_before, idle_since: Some(now) });
            }
        }
    }

    /// Counts by endpoint, over all revisions that it was of.
    pub(super) fn endpoint_stats(&self, are_watched: bool) -> BTreeMap<EndpointId, EndpointStats> {
        let stats = |ReportedEndpoint { counters, departure }: &ReportedEndpoint| {
            let drained = departure
                .as_ref()
                .map_or(0, |departure| counters.requests().saturating_sub(departure.requests_before));
            EndpointStats { drained, ..counters.stats(are_watched) }
        };
        let mut all: BTreeMap<EndpointId, EndpointStats> = BTreeMap::new();
        for ((id, _), endpoint) in &self.endpoints {
            let sum = all.entry(id.clone()).or_default();
            *sum = sum.with(&stats(endpoint));
        }
        all
    }

    /// Counts by service and revision; requests only while they are watched, failures always.
    pub(super) fn service_stats(&self, are_watched: bool) -> BTreeMap<ServiceName, ServiceStats> {
        let mut all: BTreeMap<ServiceName, ServiceStats> = BTreeMap::new();
        for service in self.services.values().filter_map(Weak::upgrade) {
            let failed = service.failed();
            let held = service.hold.held();
            if failed > 0 || held > 0 {
                let stats = all.entry(service.name.clone()).or_default();
                stats.failed = failed;
                stats.held = held;
            }
        }
        for revision in self.revisions.values().filter_map(Weak::upgrade) {
            let mut stats = revision.stats();
            if !are_watched {
                stats.requests = 0;
            }
            if stats != RevisionStats::default() {
                let of_service = all.entry(revision.service.name.clone()).or_default();
                of_service.revisions.insert(revision.number, stats);
            }
        }
        if are_watched {
            self.add_requests(&mut all);
        }
        all
    }

    /// Adds the requests of endpoints that are not forgotten.
    fn add_requests(&self, all: &mut BTreeMap<ServiceName, ServiceStats>) {
        for ReportedEndpoint { counters, .. } in self.endpoints.values() {
            let requests = counters.requests();
            if requests > 0 {
                let revision = &counters.revision;
                let of_service = all.entry(revision.service.name.clone()).or_default();
                of_service.revisions.entry(revision.number).or_default().requests += requests;
            }
        }
    }

    /// Forgets departed endpoints that are idle and have been reported for long enough since then, and what only they used.
    /// Called at every report.
    pub(super) fn forget_idle(&mut self, now: Mono) {
        self.endpoints.retain(|_, ReportedEndpoint { counters, departure }| {
            let Some(departure) = departure else { return true };
            if counters.in_flight() > 0 {
                departure.idle_since = None;
                return true;
            }
            let idle_since = *departure.idle_since.get_or_insert(now);
            let is_kept = now.since(idle_since).std() <= DEPARTED_REPORTED;
            if !is_kept {
                counters.revision.add_forgotten(counters.requests());
            }
            is_kept
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
    use crate::model::arbitrary::table_name;
    use crate::model::{Millis, TableService};

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
            self.now = self.now.after(DEPARTED_REPORTED.into()).after(Millis(1));
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
        assert_eq!(rig.report(), ServiceStats { failed: 3, held: 0, revisions });
        let unwatched = rig.registry.service_stats(false).remove(&"s".into());
        let revisions = [revision(1, 0, 2)].into();
        assert_eq!(unwatched, Some(ServiceStats { failed: 3, held: 0, revisions }));
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
        let counted = ServiceStats { failed: 1, held: 0, revisions: [revision(1, 1, 1)].into() };
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
    fn departed_endpoint_is_reported_until_it_was_idle_for_a_while() {
        let mut rig = Rig::new();
        rig.install(&[0]);
        drop(rig.claim(0));
        let claims = [rig.claim(0), rig.claim(0)];
        let late = rig.claim(0);
        rig.install(&[]);
        drop(claims);
        rig.wait();
        rig.report();
        let stats = |rig: &Rig| rig.registry.endpoint_stats(false).into_values().next();
        let in_flight = EndpointStats { in_flight: 1, drained: 2, ..EndpointStats::default() };
        assert_eq!(stats(&rig), Some(in_flight));
        drop(late);
        rig.report();
        let drained = EndpointStats { in_flight: 0, drained: 3, ..in_flight };
        rig.now = rig.now.after(DEPARTED_REPORTED.into());
        rig.report();
        assert_eq!(stats(&rig), Some(drained), "idle since the last report but one");
        rig.now = rig.now.after(Millis(1));
        rig.report();
        assert_eq!(stats(&rig), None);
    }

    #[test]
    fn endpoint_that_is_back_in_the_table_has_drained_nothing() {
        let mut rig = Rig::new();
        rig.install(&[0]);
        rig.install(&[]);
        rig.install(&[0]);
        drop(rig.claim(0));
        rig.wait();
        rig.report();
        let stats: Vec<EndpointStats> = rig.registry.endpoint_stats(false).into_values().collect();
        assert_eq!(stats, [EndpointStats::default()]);
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
        assert_eq!(rig.report(), ServiceStats { failed: 1, held: 0, revisions: [].into() });
        rig.table.clear();
        rig.service = None;
        rig.registry.mark_departed(&RoutingTable::empty(table_name(2)), rig.now);
        rig.report();
        rig.wait();
        rig.report();
        rig.install(&[0]);
        assert_eq!(rig.report(), ServiceStats::default(), "a new service of the same name starts at 0");
    }

    #[test]
    fn endpoint_that_joins_another_revision_is_counted_for_that_one() {
        let mut registry = CounterRegistry::new(1);
        let service = registry.service(&"s".into());
        let external = |revision| {
            let id = EndpointId::external(&"s".into(), ([10, 0, 0, 9], 80).into());
            TableEndpoint { id, revision: RevisionNumber(revision), replica: None, ..endpoint(0) }
        };
        let mut count = |revision: u64| {
            let listed = external(revision);
            let counters = registry.endpoint(&service, &listed);
            let service = TableService { endpoints: vec![listed], ..TableService::default() };
            let services = [("s".into(), service)].into();
            registry.mark_departed(&RoutingTable { services, ..table(&[]) }, Mono(1));
            assert!(!counters.has_departed());
            Claim::new(Rc::new(ThreadEndpoint::new(counters, 0))).mark_failed();
        };
        count(1);
        count(2);
        count(2);
        let revisions = [revision(1, 1, 1), revision(2, 2, 2)].into();
        assert_eq!(registry.service_stats(true)[&"s".into()], ServiceStats { failed: 3, held: 0, revisions });
        let stats: Vec<EndpointStats> = registry.endpoint_stats(true).into_values().collect();
        let expected = EndpointStats { requests: 3, errors: 3, ..EndpointStats::default() };
        assert_eq!(stats, [expected], "the report has one entry for the address");
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
        fn concurrent_counters_lose_and_duplicate_no_request(steps in prop::collection::vec(step(), 1..80)) {
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
                let left: BTreeSet<RevisionNumber> = left.map(|endpoint| endpoint.counters.revision.number).collect();
                expected.revisions.retain(|number, _| left.contains(number));
            }
        }
    }
}
