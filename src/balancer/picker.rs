//! Picks the endpoint of a request and counts the claim, in one step with nothing awaited in between.
//!
//! The way: listener, route, backend, share (revision), endpoint. Endpoints that are ejected, have departed or were tried
//! already are picked only if there is no other. Knows no protocol: `P` is what the thread keeps per endpoint for its
//! handlers. A listener that names its service directly has one route that takes everything.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::claim::{Claim, ThreadEndpoint};
use super::pool::EndpointConnections;
use super::route::{RequestAttributes, RouteRequest, holds};
use super::select::{Draw, choose, choose_weighted, share, weighted};
use super::table::{PoolTarget, Rule, Table, TargetPool};
use crate::clock::Clock;
use crate::model::{EndpointId, EndpointVia, ListenerId, RevisionNumber};

/// One thread's view of the table and its endpoints. Nothing in it is borrowed across an await.
pub(super) struct Picker<P> {
    thread: usize,
    clock: Arc<dyn Clock>,
    view: RefCell<Option<TableView<P>>>,
    endpoints: RefCell<HashMap<EndpointId, PickerEndpoint<P>>>,
    random: RefCell<fastrand::Rng>,
    /// Whether latencies are watched, and therefore measured.
    are_watched: Arc<AtomicBool>,
}

#[derive(Clone)]
struct PickerEndpoint<P> {
    endpoint: Rc<ThreadEndpoint>,
    connections: P,
}

struct TableView<P> {
    table: Arc<Table>,
    pools: Vec<PickerPool<P>>,
}

struct PickerPool<P> {
    /// In the order of the pool's targets.
    endpoints: Vec<PickerEndpoint<P>>,
    /// Weights of the endpoints; `None` if all are equal.
    weights: Option<Vec<u32>>,
    turn: Cell<usize>,
}

/// A picked endpoint: the request counts as in flight to it until the claim is dropped.
pub(super) struct Choice<P> {
    pub(super) claim: Rc<Claim>,
    pub(super) connections: P,
    pub(super) address: SocketAddr,
    pub(super) via: EndpointVia,
    /// When it was picked, in microseconds; `None` while latencies are not watched.
    pub(super) picked_at: Option<u64>,
    /// From the request's last byte to the response's headers.
    pub(super) timeout: Duration,
    /// Length of the prefix to strip from the path.
    pub(super) strip: Option<usize>,
}

/// What is missing for a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoChoice {
    /// No table has come yet.
    Table,
    /// No route takes the request.
    Route,
    /// The service has no ready endpoint.
    Endpoint,
}

impl<P: EndpointConnections> Picker<P> {
    pub(super) fn new(thread: usize, clock: Arc<dyn Clock>, are_watched: Arc<AtomicBool>) -> Self {
        Self {
            thread,
            view: RefCell::default(),
            endpoints: RefCell::default(),
            random: RefCell::new(fastrand::Rng::with_seed(clock.random())),
            are_watched,
            clock,
        }
    }

    /// Picks from the table that the thread has now.
    pub(super) fn pick(
        &self,
        listener: &ListenerId,
        request: &RouteRequest<'_>,
        tried: &[Rc<ThreadEndpoint>],
    ) -> Result<Choice<P>, NoChoice> {
        let view = self.view.borrow();
        let view = view.as_ref().ok_or(NoChoice::Table)?;
        let (path, rule) = view.table.find(listener, request).ok_or(NoChoice::Route)?;
        let index = self.draw_backend(rule).ok_or(NoChoice::Route)?;
        let targets = &view.table.pools[index];
        let pool = &view.pools[index];
        let index = self.draw(targets, pool, request.attributes, tried).ok_or(NoChoice::Endpoint)?;
        let PickerEndpoint { endpoint, connections } = &pool.endpoints[index];
        let PoolTarget { address, via, .. } = targets.targets[index];
        Ok(Choice {
            claim: Rc::new(Claim::new(Rc::clone(endpoint))),
            connections: connections.clone(),
            address,
            via,
            picked_at: self.are_watched.load(Ordering::Relaxed).then(|| self.clock.micros()),
            timeout: rule.timeout,
            strip: rule.strip_prefix.then_some(path.len()),
        })
    }

    /// Counts a request as failed that has no claim to do so: no endpoint could be reached.
    pub(super) fn count_unreached(&self, listener: &ListenerId, request: &RouteRequest<'_>) {
        let view = self.view.borrow();
        if let Some(view) = view.as_ref()
            && let Some((_, rule)) = view.table.find(listener, request)
            && let Some(index) = self.draw_backend(rule)
        {
            view.table.pools[index].failures.add();
        }
    }

    /// The pool of one of the route's backends.
    fn draw_backend(&self, rule: &Rule) -> Option<usize> {
        match rule.backends.as_slice() {
            [(pool, _)] => Some(*pool),
            backends => {
                let weights = backends.iter().map(|(_, weight)| *weight);
                let drawn = weighted(weights, self.random.borrow_mut().u64(..))?;
                Some(backends[drawn].0)
            }
        }
    }

    fn draw(
        &self,
        targets: &TargetPool,
        pool: &PickerPool<P>,
        request: &dyn RequestAttributes,
        tried: &[Rc<ThreadEndpoint>],
    ) -> Option<usize> {
        let turn = pool.turn.get();
        pool.turn.set(turn.wrapping_add(1));
        let draw = Draw { turn, random: self.random.borrow_mut().u64(..) };
        let count = pool.endpoints.len();
        let endpoint = |index: usize| &pool.endpoints[index].endpoint;
        let load = |index: usize| endpoint(index).in_flight();
        let is_untried = |index: usize| !tried.iter().any(|other| Rc::ptr_eq(other, endpoint(index)));
        let is_available = |index: usize| endpoint(index).is_available(&*self.clock);
        let revision_of = |index: usize| targets.targets[index].revision;
        let choose = |usable: &dyn Fn(usize) -> bool| match &pool.weights {
            None => choose(targets.balance, draw, count, load, usable),
            Some(weights) => choose_weighted(targets.balance, draw, weights, load, usable),
        };
        let pinned = pinned_revision(targets, request);
        let choose = |usable: &dyn Fn(usize) -> bool| {
            let has = |revision| (0..count).any(|index| revision_of(index) == revision && usable(index));
            let revision = match pinned {
                Some(revision) => revision,
                None if targets.shares.is_empty() => return choose(usable),
                None => share(&targets.shares, has, self.random.borrow_mut().u64(..))?,
            };
            choose(&|index| revision_of(index) == revision && usable(index))
        };
        choose(&|index| is_untried(index) && is_available(index))
            .or_else(|| choose(&is_untried))
            .or_else(|| choose(&|_| true))
    }

    /// Picks from this table from now on, and closes the connections to endpoints that it lacks.
    pub(super) fn install(&self, table: Arc<Table>) {
        let mut known = self.endpoints.borrow_mut();
        let mut endpoints: HashMap<EndpointId, PickerEndpoint<P>> = HashMap::new();
        let mut pools = Vec::with_capacity(table.pools.len());
        for pool in &table.pools {
            let of_pool = pool.targets.iter().map(|PoolTarget { target, .. }| {
                let endpoint = endpoints.entry(target.id.clone()).or_insert_with(|| {
                    known.remove(&target.id).unwrap_or_else(|| PickerEndpoint {
                        endpoint: Rc::new(ThreadEndpoint::new(Arc::clone(target), self.thread)),
                        connections: P::new(&self.clock),
                    })
                });
                endpoint.clone()
            });
            pools.push(PickerPool {
                endpoints: of_pool.collect(),
                weights: pool.weights(),
                turn: Cell::new(self.random.borrow_mut().usize(..)),
            });
        }
        known.values().for_each(|endpoint| endpoint.connections.close());
        *known = endpoints;
        *self.view.borrow_mut() = Some(TableView { table, pools });
    }

    /// Closes connections that were idle for too long.
    pub(super) fn sweep(&self) {
        self.endpoints.borrow().values().for_each(|endpoint| endpoint.connections.sweep());
    }
}

/// The revision that a request is pinned to; `None` without a pin, and if the table has no endpoint of that revision.
fn pinned_revision(pool: &TargetPool, request: &dyn RequestAttributes) -> Option<RevisionNumber> {
    let met = pool.pins.iter().find(|pin| pin.conditions.iter().all(|condition| holds(condition, request)));
    let revision = met?.revision;
    pool.targets.iter().any(|target| target.revision == revision).then_some(revision)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::balancer::endpoint::UpstreamEndpoint;
    use crate::balancer::failures::Failures;
    use crate::balancer::table::compile;
    use crate::model::arbitrary::table_name;
    use crate::model::{
        ForwardAction, HostPattern, Listener, Millis, Mono, PathMatch, RevisionPin, RouteAction,
        RouteCondition, RoutingTable, TableEndpoint, TableRoute, TableService, WeightedBackend,
    };

    fn picker() -> Picker<()> {
        Picker::new(0, Arc::new(crate::clock::RealClock::new()), Arc::default())
    }

    /// Endpoints `a` and `b`, of revisions 1 and 2.
    fn endpoints() -> [Arc<UpstreamEndpoint>; 2] {
        ["a", "b"].map(|name| {
            let id = EndpointId::new(&name.into(), jiff::Timestamp::UNIX_EPOCH);
            Arc::new(UpstreamEndpoint::new(id, 1, Arc::default(), Failures::default()))
        })
    }

    /// A service with these endpoints behind every path.
    fn table(endpoints: &[Arc<UpstreamEndpoint>], service: TableService) -> Table {
        let endpoint = |(endpoint, revision): (&Arc<UpstreamEndpoint>, u64)| {
            let ports = [("http".to_owned(), 80)].into();
            let revision = RevisionNumber(revision);
            TableEndpoint::managed(endpoint.id.clone(), "r".into(), revision, [10, 0, 0, 1].into(), ports)
        };
        let listed = endpoints.iter().zip(1..).map(endpoint).collect();
        let backends = vec![WeightedBackend { service: "s".into(), port: "http".into(), weight: 1 }];
        let route = TableRoute {
            listeners: [ListenerId::public_http()].into(),
            hosts: [HostPattern::Any].into(),
            path: PathMatch::Prefix("/".to_owned()),
            conditions: [].into(),
            action: RouteAction::Forward(ForwardAction {
                backends,
                timeout: Millis::secs(1),
                strip_prefix: false,
            }),
        };
        let table = RoutingTable {
            listeners: [(ListenerId::public_http(), Listener::PUBLIC_HTTP)].into(),
            routes: vec![route],
            services: [("s".into(), TableService { endpoints: listed, ..service })].into(),
            ..RoutingTable::empty(table_name(1))
        };
        let known = |id: &EndpointId, _: &Failures| {
            Arc::clone(
                endpoints.iter().find(|endpoint| endpoint.id == *id).expect("an endpoint of the table"),
            )
        };
        compile(&table, |_| Failures::default(), known).expect("the table is sound")
    }

    /// How often each endpoint is picked of 10,000 requests.
    fn choices(picker: &Picker<()>, attributes: &dyn RequestAttributes) -> BTreeMap<String, u32> {
        let mut chosen = BTreeMap::new();
        for _ in 0..10_000 {
            let request = RouteRequest { host: "h", path: "/", attributes };
            let choice = picker.pick(&ListenerId::public_http(), &request, &[]).unwrap();
            *chosen
                .entry(choice.claim.endpoint().name().split('@').next().unwrap().to_owned())
                .or_default() += 1;
        }
        chosen
    }

    #[test]
    fn endpoint_that_a_newer_table_lacks_is_picked_only_if_there_is_no_other() {
        let endpoints = endpoints();
        let picker = picker();
        picker.install(Arc::new(table(&endpoints, TableService::default())));
        assert_eq!(choices(&picker, &()).len(), 2);
        endpoints[0].set_departed(true, Mono(1));
        assert_eq!(choices(&picker, &()), [("b".to_owned(), 10_000)].into());
        endpoints[1].set_departed(true, Mono(2));
        assert_eq!(choices(&picker, &()).len(), 2, "the thread knows of no other");
    }

    #[test]
    fn shares_split_requests_by_revision() {
        let endpoints = endpoints();
        let picker = picker();
        let shares = [(RevisionNumber(1), 9_000), (RevisionNumber(2), 1_000)].into();
        picker.install(Arc::new(table(&endpoints, TableService { shares, ..TableService::default() })));
        let chosen = choices(&picker, &());
        assert!((900..1_100).contains(&chosen["b"]), "{chosen:?}");
        endpoints[0].set_departed(true, Mono(1));
        assert_eq!(choices(&picker, &()), [("b".to_owned(), 10_000)].into(), "the other is leaving");
    }

    #[test]
    fn pin_decides_before_the_shares() {
        let endpoints = endpoints();
        let picker = picker();
        let beta = RouteCondition::Header { name: "x-beta".into(), value: "1".into() };
        let pin =
            |revision| RevisionPin { conditions: [beta.clone()].into(), revision: RevisionNumber(revision) };
        let (request, ()) = hyper::Request::builder().header("x-beta", "1").body(()).unwrap().into_parts();
        let shares: BTreeMap<_, _> = [(RevisionNumber(1), 10_000)].into();
        let service = |pins| TableService { shares: shares.clone(), pins, ..TableService::default() };
        picker.install(Arc::new(table(&endpoints, service(vec![pin(2)]))));
        assert_eq!(choices(&picker, &request), [("b".to_owned(), 10_000)].into());
        assert_eq!(choices(&picker, &()), [("a".to_owned(), 10_000)].into());
        picker.install(Arc::new(table(&endpoints, service(vec![pin(3)]))));
        assert_eq!(
            choices(&picker, &request),
            [("a".to_owned(), 10_000)].into(),
            "no endpoint of revision 3"
        );
    }
}
