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
use super::select::{Draw, choose};
use super::table::Table;
use super::target::{Claim, Seat};
use super::upstream::Upstream;
use crate::clock::Clock;
use crate::model::{Balance, EndpointId, Mono};

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
    balance: Balance,
    upstreams: Vec<(Rc<Upstream>, SocketAddr)>,
    turn: Cell<usize>,
}

/// A chosen endpoint: the request counts as in flight to it until the claim is dropped.
pub(super) struct Choice {
    pub(super) upstream: Rc<Upstream>,
    pub(super) address: SocketAddr,
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
    pub(super) fn choose(&self, host: &str, path: &str, avoid: &[Rc<Upstream>]) -> Result<Choice, NoChoice> {
        let view = self.view.borrow();
        let view = view.as_ref().ok_or(NoChoice::Table)?;
        let (prefix, rule) = view.table.router.find(host, path).ok_or(NoChoice::Route)?;
        let pool = &view.pools[rule.pool];
        let index = self.draw(pool, avoid).ok_or(NoChoice::Endpoint)?;
        let (upstream, address) = &pool.upstreams[index];
        Ok(Choice {
            claim: Rc::new(Claim::new(Rc::clone(&upstream.seat))),
            upstream: Rc::clone(upstream),
            address: *address,
            chosen: self.measures.load(Ordering::Relaxed).then(|| self.clock.micros()),
            timeout: rule.timeout,
            strip: rule.strip_prefix.then_some(prefix.len()),
        })
    }

    /// No endpoint has answered a request, which counts as failed where it has a service.
    pub(super) fn unanswered(&self, host: &str, path: &str) {
        let view = self.view.borrow();
        if let Some(view) = view.as_ref()
            && let Some((_, rule)) = view.table.router.find(host, path)
        {
            view.table.pools[rule.pool].failures.add();
        }
    }

    fn draw(&self, pool: &UpstreamPool, avoid: &[Rc<Upstream>]) -> Option<usize> {
        let turn = pool.turn.get();
        pool.turn.set(turn.wrapping_add(1));
        let draw = Draw { turn, random: self.random.borrow_mut().u64(..) };
        let upstream = |index: usize| &pool.upstreams[index].0;
        let load = |index: usize| upstream(index).seat.target.in_flight();
        let is_new = |index: usize| !avoid.iter().any(|other| Rc::ptr_eq(other, upstream(index)));
        let is_up = |index: usize| !upstream(index).is_passed_over();
        let count = pool.upstreams.len();
        let choose = |usable: &dyn Fn(usize) -> bool| choose(pool.balance, draw, count, load, usable);
        choose(&|i| is_new(i) && is_up(i)).or_else(|| choose(&is_new)).or_else(|| choose(&|_| true))
    }

    /// Makes every later choice from this table, and closes idle connections to endpoints that it is without.
    fn install(&self, table: Arc<Table>) {
        let mut before = self.upstreams.borrow_mut();
        let mut upstreams = HashMap::new();
        let mut pools = Vec::with_capacity(table.pools.len());
        for pool in &table.pools {
            let of = |(target, address): &(Arc<super::target::Target>, SocketAddr)| {
                let upstream = upstreams.entry(target.id.clone()).or_insert_with(|| {
                    let known = before.remove(&target.id);
                    known.unwrap_or_else(|| {
                        Rc::new(Upstream::new(
                            Seat::new(Arc::clone(target), self.thread),
                            Arc::clone(&self.clock),
                        ))
                    })
                });
                (Rc::clone(upstream), *address)
            };
            let upstreams = pool.targets.iter().map(of).collect();
            let turn = Cell::new(self.random.borrow_mut().usize(..));
            pools.push(UpstreamPool { balance: pool.balance, upstreams, turn });
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
    use super::*;
    use crate::balancer::failures::Failures;
    use crate::balancer::route::Router;
    use crate::balancer::table::{Rule, TargetPool};
    use crate::balancer::target::Target;

    fn worker() -> Worker {
        Worker {
            thread: 0,
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

    #[test]
    fn what_a_newer_table_is_without_is_chosen_only_where_there_is_no_other() {
        let target = |name: &str| {
            let id = EndpointId::new(&name.into(), jiff::Timestamp::UNIX_EPOCH);
            Arc::new(Target::new(id, 1, Arc::default(), Failures::default()))
        };
        let targets = [target("a"), target("b")];
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        let pool = TargetPool {
            balance: Balance::default(),
            targets: targets.iter().map(|target| (Arc::clone(target), address)).collect(),
            failures: Failures::default(),
        };
        let rule = Rule { pool: 0, timeout: std::time::Duration::from_secs(1), strip_prefix: false };
        let router = Router::new([(None, "/".to_owned(), rule)]).unwrap();
        let worker = worker();
        worker.install(Arc::new(Table { router, pools: vec![pool] }));
        let chosen = || -> std::collections::BTreeSet<String> {
            let choices = (0..64).map(|_| worker.choose("h", "/", &[]).unwrap());
            choices.map(|choice| choice.upstream.seat.target.id.to_string()).collect()
        };
        assert_eq!(chosen().len(), 2);
        targets[0].set_left(true, Mono(1));
        assert_eq!(chosen(), [targets[1].id.to_string()].into());
        targets[1].set_left(true, Mono(2));
        assert_eq!(chosen().len(), 2, "the thread knows of no other");
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
