//! One thread: its listeners, its view of the table, its connections.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::http;
use super::limits::{ACCEPT_PAUSE, BalancerLimits, IDLE_UPSTREAM, TELL_SHORT_EVERY};
use super::route::{RequestAttributes, RouteRequest, holds};
use super::select::{Draw, choose, choose_weighted, share, weighted};
use super::table::{PoolTarget, Rule, Table, TargetPool};
use super::target::{Claim, Seat};
use super::upstream::Upstream;
use crate::clock::Clock;
use crate::model::{EndpointId, EndpointVia, ListenerId, Mono, RevisionNumber};

/// What the controlling thread says to a worker.
#[derive(Debug)]
pub(super) enum Command {
    /// Serve from this table; `taken` is answered once every later choice is made from it.
    Table { table: Arc<Table>, taken: oneshot::Sender<()> },
    /// Begin to accept connections.
    Open,
    /// Show that you live, by this number.
    Ping(u64),
    /// Stop accepting, finish what is in flight, end.
    Drain,
}

/// What a worker is made with.
pub(super) struct Setup {
    pub(super) thread: usize,
    pub(super) listeners: Vec<std::net::TcpListener>,
    pub(super) limits: BalancerLimits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) answered: Arc<AtomicU64>,
    pub(super) measures: Arc<AtomicBool>,
}

/// A thread's state, shared by its tasks. Nothing of it is borrowed over an await.
pub(super) struct Worker {
    thread: usize,
    /// Where all connections come in.
    listener: ListenerId,
    pub(super) limits: BalancerLimits,
    pub(super) clock: Arc<dyn Clock>,
    view: RefCell<Option<View>>,
    upstreams: RefCell<HashMap<EndpointId, Rc<Upstream>>>,
    random: RefCell<fastrand::Rng>,
    pub(super) draining: CancellationToken,
    clients: RefCell<HashMap<IpAddr, usize>>,
    connections: Cell<usize>,
    short: Cell<Shortage>,
    /// Whether somebody watches how long answers take.
    measures: Arc<AtomicBool>,
    /// Woken by each connection that ends.
    ended: Notify,
}

/// The thread's own reference to the table.
struct View {
    table: Arc<Table>,
    pools: Vec<UpstreamPool>,
}

struct UpstreamPool {
    /// In the order of the pool's targets.
    upstreams: Vec<Rc<Upstream>>,
    /// Weights of the targets; `None` where all are alike.
    weights: Option<Vec<u32>>,
    turn: Cell<usize>,
}

/// A chosen endpoint: the request counts as in flight to it until the claim is dropped.
pub(super) struct Choice {
    pub(super) upstream: Rc<Upstream>,
    pub(super) address: SocketAddr,
    pub(super) via: EndpointVia,
    pub(super) claim: Rc<Claim>,
    /// When it was made, in microseconds; `None` while nobody watches.
    pub(super) chosen: Option<u64>,
    /// From the request's last byte to the response's headers.
    pub(super) timeout: std::time::Duration,
    /// Length of the prefix that is taken off the path.
    pub(super) strip: Option<usize>,
}

/// Why there is no choice: what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoChoice {
    /// No table has come yet.
    Table,
    /// No route leads anywhere from this host and path.
    Route,
    /// The route's service has no endpoint that is ready.
    Endpoint,
}

impl Worker {
    /// Chooses an endpoint from the table as it is now, and counts the request: one step. Endpoints of `avoid`, those that
    /// failed to connect lately, and those that a newer table is without are chosen only where no other is left.
    pub(super) fn choose(
        &self,
        request: &RouteRequest<'_>,
        avoid: &[Rc<Upstream>],
    ) -> Result<Choice, NoChoice> {
        let view = self.view.borrow();
        let view = view.as_ref().ok_or(NoChoice::Table)?;
        let (path, rule) = view.table.find(&self.listener, request).ok_or(NoChoice::Route)?;
        let index = self.draw_backend(rule).ok_or(NoChoice::Route)?;
        let (targets, pool) = (&view.table.pools[index], &view.pools[index]);
        let index = self.draw(targets, pool, request.attributes, avoid).ok_or(NoChoice::Endpoint)?;
        let upstream = &pool.upstreams[index];
        let PoolTarget { address, via, .. } = targets.targets[index];
        Ok(Choice {
            claim: Rc::new(Claim::new(Rc::clone(&upstream.seat))),
            upstream: Rc::clone(upstream),
            address,
            via,
            chosen: self.measures.load(Ordering::Relaxed).then(|| self.clock.micros()),
            timeout: rule.timeout,
            strip: rule.strip_prefix.then_some(path.len()),
        })
    }

    /// No endpoint has answered a request, which counts as failed where it has a service.
    pub(super) fn unanswered(&self, request: &RouteRequest<'_>) {
        let view = self.view.borrow();
        if let Some(view) = view.as_ref()
            && let Some((_, rule)) = view.table.find(&self.listener, request)
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
        pool: &UpstreamPool,
        request: &dyn RequestAttributes,
        avoid: &[Rc<Upstream>],
    ) -> Option<usize> {
        let turn = pool.turn.get();
        pool.turn.set(turn.wrapping_add(1));
        let draw = Draw { turn, random: self.random.borrow_mut().u64(..) };
        let upstream = |index: usize| &pool.upstreams[index];
        let load = |index: usize| upstream(index).seat.target.in_flight();
        let is_new = |index: usize| !avoid.iter().any(|other| Rc::ptr_eq(other, upstream(index)));
        let is_up = |index: usize| !upstream(index).is_passed_over();
        let revision_of = |index: usize| targets.targets[index].revision;
        let count = pool.upstreams.len();
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
        choose(&|i| is_new(i) && is_up(i)).or_else(|| choose(&is_new)).or_else(|| choose(&|_| true))
    }

    /// Makes every later choice from this table, and closes idle connections to endpoints that it is without.
    fn install(&self, table: Arc<Table>) {
        let mut before = self.upstreams.borrow_mut();
        let mut upstreams = HashMap::new();
        let mut pools = Vec::with_capacity(table.pools.len());
        for pool in &table.pools {
            let of = |PoolTarget { target, .. }: &PoolTarget| {
                let upstream = upstreams.entry(target.id.clone()).or_insert_with(|| {
                    let known = before.remove(&target.id);
                    known.unwrap_or_else(|| {
                        Rc::new(Upstream::new(
                            Seat::new(Arc::clone(target), self.thread),
                            Arc::clone(&self.clock),
                        ))
                    })
                });
                Rc::clone(upstream)
            };
            let upstreams = pool.targets.iter().map(of).collect();
            let turn = Cell::new(self.random.borrow_mut().usize(..));
            pools.push(UpstreamPool { upstreams, weights: pool.weights(), turn });
        }
        before.values().for_each(|upstream| upstream.leave());
        *before = upstreams;
        *self.view.borrow_mut() = Some(View { table, pools });
    }

    /// A connection, in or out, could not be had for want of something of ours. Told now and then, with a count.
    pub(super) fn ran_short(&self, error: &(dyn std::error::Error + 'static)) {
        let (short, told) = self.short.get().noted(self.clock.mono());
        self.short.set(short);
        if let Some(count) = told {
            tracing::warn!(error, count, "out of connections");
        }
    }

    /// Admits a connection; `None` where its client has too many.
    fn admit(self: &Rc<Self>, client: IpAddr) -> Option<Admission> {
        let mut clients = self.clients.borrow_mut();
        let count = clients.entry(client).or_default();
        if *count >= self.limits.per_client {
            return None;
        }
        *count += 1;
        self.connections.set(self.connections.get() + 1);
        Some(Admission { worker: Rc::clone(self), client })
    }
}

/// The revision that a request is pinned to; `None` for the others, and where the table has no endpoint of it.
fn pinned_revision(pool: &TargetPool, request: &dyn RequestAttributes) -> Option<RevisionNumber> {
    let met = pool.pins.iter().find(|pin| pin.conditions.iter().all(|condition| holds(condition, request)));
    let revision = met?.revision;
    pool.targets.iter().any(|target| target.revision == revision).then_some(revision)
}

/// Connections that could not be had for want of something of ours, file descriptors most likely, and when that was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Shortage {
    untold: u64,
    told_at: Option<Mono>,
}

impl Shortage {
    /// One more; the number of them since the last time, where it is to be told.
    fn noted(self, now: Mono) -> (Self, Option<u64>) {
        let count = self.untold + 1;
        match self.told_at {
            Some(at) if now.since(at).std() < TELL_SHORT_EVERY => (Self { untold: count, ..self }, None),
            _ => (Self { untold: 0, told_at: Some(now) }, Some(count)),
        }
    }
}

/// A connection that counts, until it is dropped.
pub(super) struct Admission {
    pub(super) worker: Rc<Worker>,
    pub(super) client: IpAddr,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let worker = &self.worker;
        worker.connections.set(worker.connections.get() - 1);
        let mut clients = worker.clients.borrow_mut();
        if let Some(count) = clients.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.client);
            }
        }
        worker.ended.notify_waiters();
    }
}

/// The thread's life: until it is told to drain and has, or the controlling thread is gone.
pub(super) async fn run(setup: Setup, mut commands: mpsc::Receiver<Command>) -> Result<(), std::io::Error> {
    let Setup { thread, listeners, limits, clock, answered, measures } = setup;
    let mut listeners: Vec<TcpListener> =
        listeners.into_iter().map(TcpListener::from_std).collect::<Result<_, _>>()?;
    let random = RefCell::new(fastrand::Rng::with_seed(clock.random()));
    let worker = Rc::new(Worker {
        thread,
        listener: ListenerId::public_http(),
        limits,
        clock,
        view: RefCell::default(),
        upstreams: RefCell::default(),
        random,
        draining: CancellationToken::new(),
        clients: RefCell::default(),
        connections: Cell::default(),
        short: Cell::default(),
        measures,
        ended: Notify::new(),
    });
    tokio::task::spawn_local(sweep(Rc::clone(&worker)));
    loop {
        let ended = worker.ended.notified();
        if worker.draining.is_cancelled() && worker.connections.get() == 0 {
            return Ok(());
        }
        let command = tokio::select! {
            command = commands.recv() => command,
            () = ended, if worker.draining.is_cancelled() => continue,
        };
        match command {
            Some(Command::Table { table, taken }) => {
                worker.install(table);
                // the asker is gone only where the process ends
                let _ = taken.send(());
            }
            Some(Command::Open) => {
                for listener in listeners.drain(..) {
                    tokio::task::spawn_local(accept(Rc::clone(&worker), listener));
                }
            }
            Some(Command::Ping(number)) => answered.store(number, Ordering::Relaxed),
            Some(Command::Drain) => worker.draining.cancel(),
            None => return Ok(()),
        }
    }
}

async fn accept(worker: Rc<Worker>, listener: TcpListener) {
    let accepting = async {
        loop {
            while worker.connections.get() >= worker.limits.connections {
                worker.ended.notified().await;
            }
            match listener.accept().await {
                Ok((stream, peer)) => match worker.admit(peer.ip().to_canonical()) {
                    Some(admission) => {
                        tokio::task::spawn_local(http::serve(admission, stream));
                    }
                    None => tracing::debug!(client = %peer.ip(), "too many connections of one client"),
                },
                Err(error) => {
                    worker.ran_short(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = worker.draining.cancelled() => {}
    }
}

/// Closes connections to endpoints that were idle for too long.
async fn sweep(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(IDLE_UPSTREAM / 4).await;
        worker.upstreams.borrow().values().for_each(|upstream| upstream.sweep());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::balancer::failures::Failures;
    use crate::balancer::table::compile;
    use crate::balancer::target::Target;
    use crate::model::arbitrary::table_name;
    use crate::model::{
        ForwardAction, HostPattern, Listener, Millis, PathMatch, RevisionPin, RouteAction, RouteCondition,
        RoutingTable, TableEndpoint, TableRoute, TableService, WeightedBackend,
    };

    fn worker() -> Worker {
        Worker {
            thread: 0,
            listener: ListenerId::public_http(),
            limits: BalancerLimits::default(),
            clock: Arc::new(crate::clock::RealClock::new()),
            view: RefCell::default(),
            upstreams: RefCell::default(),
            random: RefCell::new(fastrand::Rng::with_seed(1)),
            draining: CancellationToken::new(),
            clients: RefCell::default(),
            connections: Cell::default(),
            short: Cell::default(),
            measures: Arc::default(),
            ended: Notify::new(),
        }
    }

    /// Endpoints `a` and `b`, of revisions 1 and 2.
    fn targets() -> [Arc<Target>; 2] {
        ["a", "b"].map(|name| {
            let id = EndpointId::new(&name.into(), jiff::Timestamp::UNIX_EPOCH);
            Arc::new(Target::new(id, 1, Arc::default(), Failures::default()))
        })
    }

    /// A service with these endpoints behind every path.
    fn table(targets: &[Arc<Target>], service: TableService) -> Table {
        let endpoint = |(target, revision): (&Arc<Target>, u64)| {
            let ports = [("http".to_owned(), 80)].into();
            let revision = RevisionNumber(revision);
            TableEndpoint::managed(target.id.clone(), "r".into(), revision, [10, 0, 0, 1].into(), ports)
        };
        let endpoints = targets.iter().zip(1..).map(endpoint).collect();
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
            services: [("s".into(), TableService { endpoints, ..service })].into(),
            ..RoutingTable::empty(table_name(1))
        };
        let known = |id: &EndpointId, _: &Failures| {
            Arc::clone(targets.iter().find(|target| target.id == *id).expect("an endpoint of the table"))
        };
        compile(&table, |_| Failures::default(), known).expect("the table is sound")
    }

    /// How often each endpoint is chosen of 10,000 requests.
    fn choices(worker: &Worker, attributes: &dyn RequestAttributes) -> BTreeMap<String, u32> {
        let mut chosen = BTreeMap::new();
        for _ in 0..10_000 {
            let request = RouteRequest { host: "h", path: "/", attributes };
            let choice = worker.choose(&request, &[]).unwrap();
            *chosen.entry(choice.upstream.seat.target.id.container().unwrap().to_string()).or_default() += 1;
        }
        chosen
    }

    #[test]
    fn endpoint_that_a_newer_table_lacks_is_chosen_only_if_there_is_no_other() {
        let targets = targets();
        let worker = worker();
        worker.install(Arc::new(table(&targets, TableService::default())));
        assert_eq!(choices(&worker, &()).len(), 2);
        targets[0].set_left(true, Mono(1));
        assert_eq!(choices(&worker, &()), [("b".to_owned(), 10_000)].into());
        targets[1].set_left(true, Mono(2));
        assert_eq!(choices(&worker, &()).len(), 2, "the thread knows of no other");
    }

    #[test]
    fn shares_split_requests_by_revision() {
        let targets = targets();
        let worker = worker();
        let shares = [(RevisionNumber(1), 9_000), (RevisionNumber(2), 1_000)].into();
        worker.install(Arc::new(table(&targets, TableService { shares, ..TableService::default() })));
        let chosen = choices(&worker, &());
        assert!((900..1_100).contains(&chosen["b"]), "{chosen:?}");
        targets[0].set_left(true, Mono(1));
        assert_eq!(choices(&worker, &()), [("b".to_owned(), 10_000)].into(), "the other is leaving");
    }

    #[test]
    fn pin_decides_before_the_shares() {
        let targets = targets();
        let worker = worker();
        let beta = RouteCondition::Header { name: "x-beta".into(), value: "1".into() };
        let pin =
            |revision| RevisionPin { conditions: [beta.clone()].into(), revision: RevisionNumber(revision) };
        let (request, ()) = hyper::Request::builder().header("x-beta", "1").body(()).unwrap().into_parts();
        let shares: BTreeMap<_, _> = [(RevisionNumber(1), 10_000)].into();
        let service = |pins| TableService { shares: shares.clone(), pins, ..TableService::default() };
        worker.install(Arc::new(table(&targets, service(vec![pin(2)]))));
        assert_eq!(choices(&worker, &request), [("b".to_owned(), 10_000)].into());
        assert_eq!(choices(&worker, &()), [("a".to_owned(), 10_000)].into());
        worker.install(Arc::new(table(&targets, service(vec![pin(3)]))));
        assert_eq!(
            choices(&worker, &request),
            [("a".to_owned(), 10_000)].into(),
            "no endpoint of revision 3"
        );
    }

    #[test]
    fn a_shortage_is_told_now_and_then_with_a_count() {
        let mut short = Shortage::default();
        let mut told = Vec::new();
        for second in 0..25 {
            let (next, tell) = short.noted(Mono(second * 1000));
            short = next;
            told.extend(tell.map(|count| (second, count)));
        }
        assert_eq!(told, [(0, 1), (10, 10), (20, 10)]);
    }
}
