//! Picks the endpoint of a request and counts the claim, in one step with nothing awaited in between.
//!
//! The way: listener, route, backend, share (revision), endpoint. A request draws backend and revision once, by weight, and
//! keeps them over its attempts as long as they have a free endpoint: one that is not ejected, has not departed, and was not
//! tried. Then any other revision of the backend, then any other backend with a free endpoint takes it, in proportion to the
//! weights. Only if no endpoint of the route is free, one is picked that is ejected or departed, and at last one that was
//! tried, of the drawn backend and revision first. A pin replaces the draw of the
//! revision; a pinned request takes no other revision of the service.
//!
//! Requests have a host, a path and attributes, as in HTTP; a handler without them gives an empty host and `/`, and gets the
//! route that takes everything. `P` is what the thread keeps per endpoint for its handlers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use super::choice::{Choice, NoChoice};
use super::claim::{Claim, ThreadEndpoint};
use super::endpoint::EndpointKey;
use super::eviction_round::EvictionRound;
use super::failures::RevisionCounters;
use super::pool::EndpointConnections;
use super::request_picks::RequestPicks;
use super::select::{Draw, choose, choose_weighted};
use super::table::{BackendEndpoint, CompiledTable};
use crate::clock::Clock;
use crate::model::{ListenerId, Mono};
use crate::routing::condition::RequestAttributes;
use crate::routing::router::RouteRequest;

/// One thread's view of the table and its endpoints. Nothing in it is borrowed across an await.
pub(super) struct Picker<P> {
    thread: usize,
    clock: Arc<dyn Clock>,
    view: RefCell<Option<TableView<P>>>,
    endpoints: RefCell<HashMap<EndpointKey, PickerEndpoint<P>>>,
    random: RefCell<fastrand::Rng>,
    /// Number of tables so far.
    tables: Cell<u64>,
    /// Notified by each table.
    table_changed: Notify,
    /// Whether latencies are watched, and therefore measured.
    are_watched: Arc<AtomicBool>,
}

#[derive(Clone)]
struct PickerEndpoint<P> {
    endpoint: Rc<ThreadEndpoint>,
    connections: P,
}

struct TableView<P> {
    table: Arc<CompiledTable>,
    /// In the order of the table's backends.
    backends: Vec<PickerBackend<P>>,
}

struct PickerBackend<P> {
    /// In the order of the backend's endpoints.
    endpoints: Vec<PickerEndpoint<P>>,
    turn: Cell<usize>,
}

impl<P: EndpointConnections> Picker<P> {
    pub(super) fn new(thread: usize, clock: Arc<dyn Clock>, are_watched: Arc<AtomicBool>) -> Self {
        Self {
            thread,
            view: RefCell::default(),
            endpoints: RefCell::default(),
            random: RefCell::new(fastrand::Rng::with_seed(clock.random())),
            tables: Cell::default(),
            table_changed: Notify::new(),
            are_watched,
            clock,
        }
    }

    /// What a new request has picked so far: nothing.
    pub(super) fn begin(&self) -> RequestPicks {
        RequestPicks::new(self.random.borrow_mut().u64(..))
    }

    /// Picks from the table that the thread has now.
    pub(super) fn pick(
        &self,
        listener: &ListenerId,
        request: &RouteRequest<'_>,
        picks: &RequestPicks,
    ) -> Result<Choice<P>, NoChoice> {
        let view = self.view.borrow();
        let view = view.as_ref().ok_or(NoChoice::Table)?;
        let (path, rule) = view.table.find(listener, request).ok_or(NoChoice::Route)?;
        if let Some(gate) = rule.gate.as_ref().filter(|gate| gate.checks() && !picks.has_passed(gate)) {
            return Err(NoChoice::Gate(Arc::clone(gate)));
        }
        let is_untried = |endpoint: &ThreadEndpoint| !picks.has_tried(endpoint);
        let is_free = |endpoint: &ThreadEndpoint| is_untried(endpoint) && endpoint.is_available(&*self.clock);
        let draw = |usable: &dyn Fn(&ThreadEndpoint) -> bool| {
            picks.draw_backend(rule, |index| {
                self.draw_endpoint(view, index, request.attributes, picks, usable)
            })
        };
        let drawn = match picks.only_available() {
            true => draw(&is_free),
            false => draw(&is_free).or_else(|| draw(&is_untried)).or_else(|| draw(&|_| true)),
        };
        let (PickerEndpoint { endpoint, connections }, target) = drawn.ok_or(NoChoice::Endpoint)?;
        Ok(Choice {
            claim: Rc::new(Claim::new(Rc::clone(endpoint))),
            connections: connections.clone(),
            address: target.address,
            via: target.via,
            protocol: target.protocol,
            picked_at: self.are_watched.load(Ordering::Relaxed).then(|| self.clock.micros()),
            timeout: rule.timeout,
            strip: rule.strip_prefix.then_some(path.len()),
            waits: rule.waits,
            gate: rule.gate.clone(),
            hsts: rule.hsts.clone(),
        })
    }

    /// Reads the table, if there is one.
    pub(super) fn read_table<T>(&self, read: impl FnOnce(&CompiledTable) -> Option<T>) -> Option<T> {
        read(&self.view.borrow().as_ref()?.table)
    }

    /// Number of the table that is picked from.
    pub(super) fn table_number(&self) -> u64 {
        self.tables.get()
    }

    /// Resolves once the table is no longer the one of this number.
    pub(super) async fn table_changed(&self, number: u64) {
        while self.tables.get() == number {
            self.table_changed.notified().await;
        }
    }

    /// Counts a request as failed that has no claim to do so: no endpoint could be reached. It counts for the service and the
    /// revision that it drew; without shares, for the revision that it tried first.
    pub(super) fn count_unreached(
        &self,
        listener: &ListenerId,
        request: &RouteRequest<'_>,
        picks: &RequestPicks,
    ) {
        let view = self.view.borrow();
        if let Some(view) = view.as_ref()
            && let Some((_, rule)) = view.table.find(listener, request)
            && let Some(index) = picks.draw_backend(rule, Some)
        {
            let backend = &view.table.backends[index];
            let drawn = match backend.pinned_revision(request.attributes) {
                Some(revision) => Some(revision),
                None if backend.shares.is_empty() => picks.tried_revision(&backend.service),
                None => picks.draw_revision(&backend.shares, Some),
            };
            match drawn {
                Some(revision) => revision.add_failure(),
                None => backend.service.add_failure(),
            }
        }
    }

    /// A usable endpoint of a backend, and its entry in the table.
    fn draw_endpoint<'a>(
        &self,
        view: &'a TableView<P>,
        index: usize,
        request: &dyn RequestAttributes,
        picks: &RequestPicks,
        usable: &dyn Fn(&ThreadEndpoint) -> bool,
    ) -> Option<(&'a PickerEndpoint<P>, &'a BackendEndpoint)> {
        let backend = &view.table.backends[index];
        let known = &view.backends[index];
        let turn = known.turn.get();
        let draw = Draw { turn, random: self.random.borrow_mut().u64(..) };
        let load = |index: usize| known.endpoints[index].endpoint.in_flight();
        let usable = |index: usize| usable(&known.endpoints[index].endpoint);
        let choose = |usable: &dyn Fn(usize) -> bool| match &backend.weights {
            None => choose(backend.balance, draw, known.endpoints.len(), load, usable),
            Some(weights) => choose_weighted(backend.balance, draw, weights, load, usable),
        };
        let choose_of = |revision: &Arc<RevisionCounters>| {
            choose(&|index| backend.endpoints[index].revision == revision.number && usable(index))
        };
        let chosen = match backend.pinned_revision(request) {
            Some(revision) => choose_of(revision),
            None if backend.shares.is_empty() => choose(&usable),
            None => picks.draw_revision(&backend.shares, choose_of),
        }?;
        // Only a choice takes a turn. If a backend that is asked twice by each request took two, it would never choose every
        // other endpoint.
        known.turn.set(turn.wrapping_add(1));
        Some((&known.endpoints[chosen], &backend.endpoints[chosen]))
    }

    /// Picks from this table from now on, and closes the connections to endpoints that it lacks.
    pub(super) fn install(&self, table: Arc<CompiledTable>) {
        let mut known = self.endpoints.borrow_mut();
        let mut endpoints: HashMap<EndpointKey, PickerEndpoint<P>> = HashMap::new();
        let mut backends = Vec::with_capacity(table.backends.len());
        for backend in &table.backends {
            let of_backend = backend.endpoints.iter().map(|BackendEndpoint { counters, .. }| {
                let key = counters.key();
                let endpoint = endpoints.entry(key.clone()).or_insert_with(|| {
                    known.remove(&key).unwrap_or_else(|| PickerEndpoint {
                        endpoint: Rc::new(ThreadEndpoint::new(Arc::clone(counters), self.thread)),
                        connections: P::new(&self.clock),
                    })
                });
                endpoint.clone()
            });
            backends.push(PickerBackend {
                endpoints: of_backend.collect(),
                turn: Cell::new(self.random.borrow_mut().usize(..)),
            });
        }
        for PickerEndpoint { endpoint, connections } in known.values() {
            endpoint.departed().cancel();
            connections.close();
        }
        *known = endpoints;
        *self.view.borrow_mut() = Some(TableView { table, backends });
        self.tables.set(self.tables.get() + 1);
        self.table_changed.notify_waiters();
    }

    /// Closes connections that were idle for too long.
    pub(super) fn sweep(&self) {
        self.endpoints.borrow().values().for_each(|endpoint| endpoint.connections.sweep());
    }

    /// Adds since when each idle connection to an endpoint has been so.
    pub(super) fn idle_since(&self, since: &mut Vec<Mono>) {
        self.endpoints.borrow().values().for_each(|endpoint| endpoint.connections.idle_since(since));
    }

    /// Closes the idle connections that the round takes.
    pub(super) fn evict(&self, round: &mut EvictionRound) {
        self.endpoints.borrow().values().for_each(|endpoint| endpoint.connections.evict(round));
    }
}
