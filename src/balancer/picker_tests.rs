//! Picking over compiled tables, without sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use proptest::prelude::*;

use super::choice::NoChoice;
use super::claim::{Claim, ThreadEndpoint};
use super::compile::compile;
use super::counters::CounterRegistry;
use super::picker::Picker;
use super::request_picks::RequestPicks;
use crate::clock::VirtualClock;
use crate::model::arbitrary::table_name;
use crate::model::{
    Balance, EndpointId, ForwardAction, HostPattern, Listener, ListenerId, Millis, Mono, PathMatch,
    RevisionNumber, RevisionPin, RouteAction, RouteCondition, RouteFilters, RouteHttps, RouteWaits,
    RoutingTable, ServiceStats, TableEndpoint, TableRoute, TableService, WeightedBackend,
};
use crate::routing::condition::RequestAttributes;
use crate::routing::router::RouteRequest;

const REQUESTS: u32 = 4_000;

fn endpoint(name: &str, revision: u64) -> TableEndpoint {
    let id = EndpointId::new(&name.into(), jiff::Timestamp::UNIX_EPOCH);
    let ports = [("http".to_owned(), 80)].into();
    TableEndpoint::managed(id, "r".into(), RevisionNumber(revision), [10, 0, 0, 1].into(), ports)
}

fn service(endpoints: &[(&str, u64)]) -> TableService {
    let endpoints = endpoints.iter().map(|(name, revision)| endpoint(name, *revision)).collect();
    TableService { endpoints, ..TableService::default() }
}

/// A picker with the counters of its table.
struct Rig {
    picker: Picker<()>,
    clock: Arc<VirtualClock>,
    counters: CounterRegistry,
    table: RoutingTable,
}

impl Rig {
    /// One route for everything, to these services by weight.
    fn new(services: Vec<(&str, u32, TableService)>) -> Self {
        let backend = |(name, weight, _): &(&str, u32, TableService)| WeightedBackend {
            service: (*name).into(),
            port: "http".into(),
            weight: *weight,
        };
        let forward = ForwardAction {
            backends: services.iter().map(backend).collect(),
            timeout: Millis::secs(1),
            strip_prefix: false,
            waits: RouteWaits::default(),
            https: RouteHttps::default(),
        };
        let route = TableRoute {
            listeners: [ListenerId::public_http()].into(),
            hosts: [HostPattern::Any].into(),
            path: PathMatch::Prefix("/".to_owned()),
            conditions: [].into(),
            action: RouteAction::Forward(forward),
            filters: RouteFilters::default(),
        };
        let table = RoutingTable {
            listeners: [(ListenerId::public_http(), Listener::PUBLIC_HTTP)].into(),
            routes: vec![route],
            services: services.into_iter().map(|(name, _, service)| (name.into(), service)).collect(),
            ..RoutingTable::empty(table_name(1))
        };
        let clock = Arc::new(VirtualClock::new(7));
        let picker = Picker::new(0, Arc::<VirtualClock>::clone(&clock), Arc::default());
        let mut rig = Self { picker, clock, counters: CounterRegistry::new(1), table };
        rig.install();
        rig
    }

    fn install(&mut self) {
        let compiled = compile(&self.table, &mut self.counters).expect("the table is sound");
        self.counters.mark_departed(&self.table, Mono(1));
        self.picker.install(Arc::new(compiled));
    }

    /// These endpoints could not be connected to.
    fn eject(&self, names: &[&str]) {
        let mut picks = self.picker.begin();
        for _ in self.table.endpoints() {
            let endpoint = self.pick(&(), &picks).expect("there is an endpoint");
            if names.contains(&name(&endpoint).as_str()) {
                endpoint.eject(&*self.clock);
            }
            picks.add_tried(endpoint);
        }
    }

    /// A request that reaches no endpoint, having tried this many.
    fn fail(&self, attributes: &dyn RequestAttributes, tried: usize) {
        let mut picks = self.picker.begin();
        for _ in 0..tried {
            picks.add_tried(self.pick(attributes, &picks).expect("there is an endpoint"));
        }
        let request = RouteRequest { host: "h", path: "/", attributes };
        self.picker.count_unreached(&ListenerId::public_http(), &request, &picks);
    }

    /// Failures of the service `s`: of all, and by revision.
    fn failures(&self) -> (u32, BTreeMap<u64, u32>) {
        let stats = self.counters.service_stats(false).remove(&"s".into()).unwrap_or_default();
        let failed = |count: u64| u32::try_from(count).unwrap();
        let revisions = stats.revisions.iter().map(|(number, stats)| (number.0, failed(stats.failed)));
        (failed(stats.failed), revisions.collect())
    }

    /// A newer table lacks these endpoints; the thread has not taken it yet.
    fn depart(&mut self, names: &[&str]) {
        let mut newer = self.table.clone();
        let gone: Vec<EndpointId> = names.iter().map(|name| endpoint(name, 1).id).collect();
        newer.services.values_mut().for_each(|service| service.endpoints.retain(|e| !gone.contains(&e.id)));
        self.counters.mark_departed(&newer, Mono(1));
    }

    fn pick(
        &self,
        attributes: &dyn RequestAttributes,
        picks: &RequestPicks,
    ) -> Result<Rc<ThreadEndpoint>, NoChoice> {
        let request = RouteRequest { host: "h", path: "/", attributes };
        let choice = self.picker.pick(&ListenerId::public_http(), &request, picks)?;
        Ok(Rc::clone(choice.claim.endpoint()))
    }

    /// The endpoints that a request is sent to if each of them fails it.
    fn attempts(&self, count: usize) -> Vec<String> {
        let mut picks = self.picker.begin();
        let mut names = Vec::new();
        for _ in 0..count {
            let endpoint = self.pick(&(), &picks).expect("there is an endpoint");
            names.push(name(&endpoint));
            picks.add_tried(endpoint);
        }
        names
    }

    /// How often each endpoint takes the first attempt.
    fn first_picks(&self, attributes: &dyn RequestAttributes) -> BTreeMap<String, u32> {
        let mut picked = BTreeMap::new();
        for _ in 0..REQUESTS {
            let endpoint = self.pick(attributes, &self.picker.begin()).expect("there is an endpoint");
            *picked.entry(name(&endpoint)).or_default() += 1;
        }
        picked
    }
}

fn name(endpoint: &ThreadEndpoint) -> String {
    endpoint.name().split('@').next().unwrap_or_default().to_owned()
}

/// Whether so many of [`REQUESTS`] are this part of them: within six standard deviations.
fn is_part(count: u32, part: f64) -> bool {
    (f64::from(count) / f64::from(REQUESTS) - part).abs() < 0.05
}

#[test]
fn endpoint_that_a_newer_table_lacks_is_picked_only_if_there_is_no_other() {
    let mut rig = Rig::new(vec![("s", 1, service(&[("a", 1), ("b", 2)]))]);
    assert_eq!(rig.first_picks(&()).len(), 2);
    rig.depart(&["a"]);
    assert_eq!(rig.first_picks(&()), [("b".to_owned(), REQUESTS)].into());
    rig.depart(&["a", "b"]);
    assert_eq!(rig.first_picks(&()).len(), 2, "the thread knows of no other");
}

#[test]
fn shares_split_requests_by_revision() {
    let shares = [(RevisionNumber(1), 9_000), (RevisionNumber(2), 1_000)].into();
    let mut rig = Rig::new(vec![("s", 1, TableService { shares, ..service(&[("a", 1), ("b", 2)]) })]);
    let picked = rig.first_picks(&());
    assert!(is_part(picked["b"], 0.1), "{picked:?}");
    rig.depart(&["a"]);
    assert_eq!(rig.first_picks(&()), [("b".to_owned(), REQUESTS)].into(), "the other is leaving");
}

/// How often each endpoint is picked first, in hundredths of all requests.
fn hundredths(rig: &Rig) -> Vec<(String, u32)> {
    let picked = rig.first_picks(&()).into_iter();
    picked.map(|(name, count)| (name, (count * 100 + REQUESTS / 2) / REQUESTS)).collect()
}

fn assert_close(found: &[(String, u32)], wanted: &[(&str, u32)], case: &str) {
    let is_close = found.len() == wanted.len()
        && found
            .iter()
            .zip(wanted)
            .all(|(found, wanted)| found.0 == wanted.0 && found.1.abs_diff(wanted.1) <= 3);
    assert!(is_close, "{case}: {found:?}, wanted {wanted:?}");
}

#[test]
fn endpoints_of_a_revision_split_its_share_evenly() {
    type Row<'a> = (&'a [(&'a str, u64)], [u32; 2], &'a [&'a str], &'a [(&'a str, u32)]);
    let mixed: &[(&str, u64)] = &[("a1", 1), ("b1", 2), ("b2", 2), ("a2", 1), ("b3", 2), ("a3", 1)];
    let canary: &[(&str, u64)] = &[("a1", 1), ("a2", 1), ("a3", 1), ("a4", 1), ("b1", 2)];
    let rows: [Row<'_>; 4] = [
        (mixed, [50, 50], &[], &[("a1", 17), ("a2", 17), ("a3", 17), ("b1", 17), ("b2", 17), ("b3", 17)]),
        (mixed, [80, 20], &["a2"], &[("a1", 40), ("a3", 40), ("b1", 7), ("b2", 7), ("b3", 7)]),
        (canary, [90, 10], &[], &[("a1", 22), ("a2", 22), ("a3", 22), ("a4", 22), ("b1", 10)]),
        (canary, [60, 40], &["a1", "a2"], &[("a3", 30), ("a4", 30), ("b1", 40)]),
    ];
    for balance in [Balance::RoundRobin, Balance::LeastRequests] {
        for (endpoints, [first, second], ejected, expected) in rows {
            let shares = [(RevisionNumber(1), first), (RevisionNumber(2), second)].into();
            let rig = Rig::new(vec![("s", 1, TableService { balance, shares, ..service(endpoints) })]);
            rig.eject(ejected);
            assert_close(&hundredths(&rig), expected, &format!("{balance:?}, {first}:{second}, {ejected:?}"));
        }
    }
}

#[test]
fn round_robin_shares_evenly_between_the_endpoints_that_are_not_ejected() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let endpoints = names.map(|name| (name, 1));
    let service = TableService { balance: Balance::RoundRobin, ..service(&endpoints) };
    let rig = Rig::new(vec![("s", 1, service)]);
    rig.eject(&["b", "c", "d", "e", "f", "g", "h", "i", "j", "l"]);
    assert_close(&hundredths(&rig), &[("a", 50), ("k", 50)], "two are left");
    rig.eject(&["a", "k"]);
    assert_close(&hundredths(&rig), &names.map(|name| (name, 8)), "all are ejected");
}

#[test]
fn free_endpoint_of_another_backend_comes_before_an_ejected_one_of_the_drawn() {
    let mut rig = Rig::new(vec![("a", 75, service(&[("a1", 1)])), ("b", 25, service(&[("b1", 1)]))]);
    rig.eject(&["a1"]);
    assert_eq!(hundredths(&rig), [("b1".to_owned(), 100)]);
    rig.depart(&["b1"]);
    assert_close(&hundredths(&rig), &[("a1", 75), ("b1", 25)], "no other is free");
    assert_eq!(rig.attempts(2).iter().collect::<BTreeSet<_>>().len(), 2, "untried before tried");
}

#[test]
fn free_endpoint_of_another_revision_comes_before_an_ejected_one_of_the_drawn() {
    let shares = [(RevisionNumber(1), 75), (RevisionNumber(2), 25)].into();
    let canary = TableService { shares, ..service(&[("a1", 1), ("a2", 2)]) };
    let mut rig = Rig::new(vec![("a", 80, canary), ("b", 20, service(&[("b1", 1)]))]);
    rig.eject(&["a1"]);
    assert_close(
        &hundredths(&rig),
        &[("a2", 80), ("b1", 20)],
        "the other revision of the drawn backend first",
    );
    rig.eject(&["a2"]);
    assert_eq!(hundredths(&rig), [("b1".to_owned(), 100)]);
    rig.depart(&["b1"]);
    assert_close(&hundredths(&rig), &[("a1", 60), ("a2", 20), ("b1", 20)], "no other is free");
}

#[test]
fn share_of_0_takes_nothing_even_alone() {
    let shares = [(RevisionNumber(1), 10_000), (RevisionNumber(2), 0)].into();
    let rig = Rig::new(vec![("s", 1, TableService { shares, ..service(&[("b", 2)]) })]);
    assert_eq!(rig.pick(&(), &rig.picker.begin()).err(), Some(NoChoice::Endpoint));
}

#[test]
fn retry_stays_with_its_revision_while_that_has_a_free_endpoint() {
    let shares = [(RevisionNumber(1), 5_000), (RevisionNumber(2), 5_000)].into();
    let endpoints = service(&[("a1", 1), ("a2", 1), ("b1", 2), ("b2", 2)]);
    let rig = Rig::new(vec![("s", 1, TableService { shares, ..endpoints })]);
    let mut of_second = 0;
    for _ in 0..REQUESTS {
        let attempts = rig.attempts(4);
        assert_eq!(attempts[0][..1], attempts[1][..1], "{attempts:?}");
        assert_eq!(attempts.iter().collect::<BTreeSet<_>>().len(), 4, "none twice: {attempts:?}");
        of_second += u32::from(attempts[0].starts_with('b'));
    }
    assert!(is_part(of_second, 0.5), "{of_second}");
}

#[test]
fn pin_decides_before_the_shares() {
    let beta = RouteCondition::Header { name: "x-beta".into(), value: "1".into() };
    let request = BTreeSet::from([beta.clone()]);
    let rig = |revision| {
        let pin = RevisionPin { conditions: [beta.clone()].into(), revision: RevisionNumber(revision) };
        let shares = [(RevisionNumber(1), 10_000)].into();
        let service = TableService { shares, pins: vec![pin], ..service(&[("a", 1), ("b", 2)]) };
        Rig::new(vec![("s", 1, service)])
    };
    assert_eq!(rig(2).first_picks(&request), [("b".to_owned(), REQUESTS)].into());
    assert_eq!(rig(2).first_picks(&()), [("a".to_owned(), REQUESTS)].into());
    assert_eq!(
        rig(3).first_picks(&request),
        [("a".to_owned(), REQUESTS)].into(),
        "no endpoint of revision 3"
    );
}

#[test]
fn backend_without_a_free_endpoint_leaves_the_request_to_the_others() {
    let rig = Rig::new(vec![
        ("a", 9, service(&[("a1", 1)])),
        ("b", 1, service(&[("b1", 1), ("b2", 1)])),
        ("empty", 90, service(&[])),
        ("off", 0, service(&[("off1", 1)])),
    ]);
    let picked = rig.first_picks(&());
    assert!(is_part(picked["a1"], 0.9) && !picked.contains_key("off1"), "{picked:?}");
    for _ in 0..100 {
        let attempts = rig.attempts(4);
        let all: BTreeSet<&str> = attempts.iter().map(String::as_str).take(3).collect();
        assert_eq!(all, ["a1", "b1", "b2"].into(), "{attempts:?}");
        assert!(attempts[3] != "off1", "all were tried: one of them again");
    }
}

#[test]
fn request_that_reaches_no_endpoint_counts_for_the_service_that_it_drew() {
    let rig = Rig::new(vec![("a", 3, service(&[])), ("b", 1, service(&[]))]);
    let request = RouteRequest { host: "h", path: "/", attributes: &() };
    for _ in 0..REQUESTS {
        let picks = rig.picker.begin();
        assert_eq!(rig.pick(&(), &picks).err(), Some(NoChoice::Endpoint));
        rig.picker.count_unreached(&ListenerId::public_http(), &request, &picks);
    }
    let counted: Vec<ServiceStats> = rig.counters.service_stats(false).into_values().collect();
    let failed = counted.iter().map(|stats| u32::try_from(stats.failed).unwrap()).collect::<Vec<_>>();
    assert!(is_part(failed[0], 0.75) && failed[0] + failed[1] == REQUESTS, "{failed:?}");
}

#[test]
fn request_that_reaches_no_endpoint_counts_for_the_revision_that_it_drew() {
    let shares = || [(RevisionNumber(1), 75), (RevisionNumber(2), 25)].into();
    for endpoints in [&[][..], &[("a", 1)], &[("b", 2)]] {
        let rig = Rig::new(vec![("s", 1, TableService { shares: shares(), ..service(endpoints) })]);
        (0..REQUESTS).for_each(|_| rig.fail(&(), endpoints.len()));
        let (failed, revisions) = rig.failures();
        assert!(failed == REQUESTS && is_part(revisions[&2], 0.25), "{endpoints:?}: {revisions:?}");
        assert_eq!(revisions[&1] + revisions[&2], REQUESTS);
    }
    let beta = RouteCondition::Header { name: "x-beta".into(), value: "1".into() };
    let pin = RevisionPin { conditions: [beta.clone()].into(), revision: RevisionNumber(2) };
    let pinned = TableService { shares: shares(), pins: vec![pin], ..service(&[("a", 1), ("b", 2)]) };
    let rig = Rig::new(vec![("s", 1, pinned)]);
    (0..100).for_each(|_| rig.fail(&BTreeSet::from([beta.clone()]), 1));
    assert_eq!(rig.failures(), (100, [(2, 100)].into()), "pinned");
}

#[test]
fn request_that_reaches_no_endpoint_counts_without_shares_for_the_revision_that_it_tried_first() {
    let rig = Rig::new(vec![("s", 1, service(&[("a", 1), ("b", 2)]))]);
    rig.eject(&["a"]);
    rig.fail(&(), 2);
    assert_eq!(rig.failures(), (1, [(2, 1)].into()));
    rig.fail(&(), 0);
    assert_eq!(rig.failures(), (2, [(2, 1)].into()), "it tried none");
}

#[test]
fn endpoint_that_joins_another_revision_is_claimed_for_that_one() {
    let mut rig = Rig::new(vec![("s", 1, service(&[("a", 1)]))]);
    let fail = |rig: &Rig| {
        let endpoint = rig.pick(&(), &rig.picker.begin()).expect("there is an endpoint");
        Claim::new(endpoint).mark_failed();
    };
    fail(&rig);
    rig.table = RoutingTable { services: [("s".into(), service(&[("a", 2)]))].into(), ..rig.table };
    rig.install();
    fail(&rig);
    assert_eq!(rig.failures(), (2, [(1, 1), (2, 1)].into()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn split_over_backends_is_that_of_the_weights_however_often_requests_are_retried(
        weights in prop::collection::vec(0..100_u32, 2..5).prop_filter("a weight", |w| w.iter().any(|w| *w > 0)),
        retries in prop::collection::vec(0..3_usize, 1..10),
    ) {
        let names = ["a", "b", "c", "d"];
        let endpoints = |backend: &str| {
            let of_backend = ["1", "2", "3"].map(|number| endpoint(&format!("{backend}{number}"), 1));
            TableService { endpoints: of_backend.to_vec(), ..TableService::default() }
        };
        let services = names.iter().zip(&weights).map(|(name, weight)| (*name, *weight, endpoints(name)));
        let rig = Rig::new(services.collect());
        let mut by_backend: BTreeMap<String, u32> = BTreeMap::new();
        for retries in retries.iter().cycle().take(REQUESTS as usize) {
            let attempts = rig.attempts(retries + 1);
            let backends: BTreeSet<&str> = attempts.iter().map(|name| &name[..1]).collect();
            prop_assert_eq!(backends.len(), 1, "{:?}", attempts);
            *by_backend.entry(attempts[0][..1].to_owned()).or_default() += 1;
        }
        let sum: u32 = weights.iter().sum();
        for (name, weight) in names.iter().zip(&weights) {
            let count = by_backend.get(*name).copied().unwrap_or_default();
            let part = f64::from(*weight) / f64::from(sum);
            prop_assert!(is_part(count, part) && (*weight > 0 || count == 0), "{by_backend:?} of {weights:?}");
        }
    }
}
