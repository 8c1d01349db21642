//! The balancers of a node without sockets: one that accepts, and those of earlier supervisors that finish their requests. Each
//! takes tables late, chooses from the one it has, says what it serves from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coxswain::model::{
    BalancerId, BalancerProcess, BalancerReport, BalancerReports, ContainerId, EndpointId, EndpointStats,
    ReplicaName, RoutingTable, TableEndpoint,
};
use coxswain::testing;
use tokio::sync::watch;
use tokio::time::Instant;

use super::clock::Chance;

/// How long a table may take, on each of its three steps: chosen from, on disk, acknowledged.
const STEP_MAX_MILLIS: u64 = 150;
/// A report at least this often.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How long a balancer finishes requests after the end of its supervisor.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// An old balancer finds the next controller within so long after the new one.
const RECONNECT_MAX_MILLIS: u64 = 600;

/// A request under way.
pub(super) struct Request {
    pub(super) endpoint: EndpointId,
    pub(super) began: Instant,
    ends: Instant,
}

/// The two ends of a connection to a controller.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) tables: watch::Receiver<Option<Arc<RoutingTable>>>,
    pub(super) reports: watch::Sender<BalancerReports>,
}

/// One process.
struct SimProcess {
    id: BalancerId,
    /// When it finds the controller, while it is not connected.
    connects_at: Instant,
    is_connected: bool,
    /// What requests are chosen from.
    current: Option<Arc<RoutingTable>>,
    /// A table on its way in, and when it is chosen from.
    coming: Option<(Arc<RoutingTable>, Instant)>,
    /// When the current table is on disk.
    filed_at: Option<Instant>,
    /// What it put on disk last, or found there newer than that: it says that it serves from this.
    filed: Option<Arc<RoutingTable>>,
    report_at: Instant,
    requests: Vec<Request>,
    /// Since when it accepts no connections.
    drains_since: Option<Instant>,
}

impl SimProcess {
    fn new(number: u64, file: Option<Arc<RoutingTable>>) -> Self {
        Self {
            id: BalancerId::new(format!("balancer-{number}")),
            connects_at: Instant::now(),
            is_connected: false,
            current: file.clone(),
            coming: None,
            filed_at: None,
            filed: file,
            report_at: Instant::now(),
            requests: Vec::new(),
            drains_since: None,
        }
    }

    /// Requests under way to endpoints that left the table: their end is worth a report.
    fn leaving(&self) -> usize {
        let stays = |r: &&Request| !self.current.as_ref().is_some_and(|t| t.has_endpoint(&r.endpoint));
        self.requests.iter().filter(stays).count()
    }

    fn has_ended(&self) -> bool {
        self.drains_since.is_some_and(|since| self.requests.is_empty() || since.elapsed() > DRAIN_LIMIT)
    }

    fn report(&self, claimed: Option<&Arc<RoutingTable>>, lies: bool) -> BalancerReport {
        let mut endpoints: BTreeMap<EndpointId, EndpointStats> = BTreeMap::new();
        for endpoint in self.current.iter().flat_map(|table| table.endpoints()) {
            endpoints.entry(endpoint.id.clone()).or_default();
        }
        for request in &self.requests {
            endpoints.entry(request.endpoint.clone()).or_default().in_flight += 1;
        }
        BalancerReport {
            applied: claimed.map(|table| table.name.clone()),
            draining: self.drains_since.is_some(),
            endpoints: if lies { BTreeMap::new() } else { endpoints },
            ..testing::report(self.id.as_str())
        }
    }
}

pub(super) struct Balancer {
    chance: Chance,
    controller: Option<Connection>,
    /// The last one accepts; the others finish their requests.
    processes: Vec<SimProcess>,
    started: u64,
    /// What a new process starts from.
    file: Option<Arc<RoutingTable>>,
    /// Takes no table, so acknowledges none.
    pub(super) stuck: bool,
    /// Says that it serves from the newest table as soon as there is one: a controller that believes it sees every endpoint that
    /// left acknowledged as absent at once.
    pub(super) lies: bool,
    /// Processes that only finish their requests are not listed: a controller that looks only at the one that accepts.
    pub(super) hides_old: bool,
    pub(super) served: u64,
    /// How long requests last at most, and how many of ten ticks begin one.
    pub(super) longest: Duration,
}

impl Balancer {
    pub(super) fn new(chance: Chance) -> Self {
        let longest = Duration::from_secs(1 + chance.below(8));
        Self {
            chance,
            controller: None,
            processes: vec![SimProcess::new(0, None)],
            started: 1,
            file: None,
            stuck: false,
            lies: false,
            hides_old: false,
            served: 0,
            longest,
        }
    }

    /// A controller is there again: the process that accepts finds it at once, the others in their time.
    pub(super) fn connect(&mut self, connection: Connection) {
        let now = Instant::now();
        self.controller = Some(connection);
        let old = self.processes.len() - 1;
        for process in &mut self.processes[..old] {
            process.connects_at = now + self.chance.millis(0, RECONNECT_MAX_MILLIS);
        }
        self.processes[old].connects_at = now;
        self.step_connections();
    }

    pub(super) fn is_connected(&self) -> bool {
        self.controller.is_some()
    }

    /// The controller sees them go; tables that they have stay.
    pub(super) fn disconnect(&mut self) {
        if let Some(connection) = self.controller.take() {
            connection.reports.send_modify(BalancerReports::disconnect_all);
        }
        self.processes.iter_mut().for_each(|process| process.is_connected = false);
    }

    /// The process that accepts ends, and another takes its place, with the table on disk.
    pub(super) fn restart(&mut self) {
        let ended = self.processes.pop();
        self.disconnect();
        drop(ended);
        self.start();
    }

    /// The supervisor ends: the process finishes its requests, and one of the next supervisor takes its place.
    pub(super) fn hand_over(&mut self) {
        self.disconnect();
        if let Some(old) = self.processes.last_mut() {
            old.drains_since = Some(Instant::now());
        }
        self.start();
    }

    fn start(&mut self) {
        self.processes.push(SimProcess::new(self.started, self.file.clone()));
        self.started += 1;
    }

    /// How many processes finish their requests.
    pub(super) fn old(&self) -> usize {
        self.processes.len() - 1
    }

    /// Time went on.
    pub(super) fn step(&mut self) {
        for at in 0..self.processes.len() {
            self.step_process(at);
        }
        let last = self.processes.len() - 1;
        let mut at = 0;
        self.processes.retain(|process| {
            at += 1;
            at > last || !process.has_ended()
        });
        self.step_connections();
    }

    fn step_process(&mut self, at: usize) {
        let now = Instant::now();
        let taken_in = now + self.delay();
        let filed_in = now + self.delay();
        let reported_in = now + self.delay();
        let process = &mut self.processes[at];
        let before = process.leaving();
        process.requests.retain(|request| request.ends > now);
        let ended = process.leaving() < before;
        if process.coming.as_ref().is_some_and(|(_, at)| *at <= now) {
            process.current = process.coming.take().map(|(table, _)| table);
            process.filed_at = Some(filed_in);
        }
        if process.filed_at.is_some_and(|at| at <= now) {
            process.filed_at = None;
            process.filed = process.current.clone();
            // No table is replaced by an older one.
            let age = |table: &Option<Arc<RoutingTable>>| {
                table.as_ref().map(|table| (table.name.epoch, table.name.revision))
            };
            if age(&self.file) < age(&process.current) {
                self.file = process.current.clone();
            }
            process.report_at = reported_in;
        }
        let controller = self.controller.as_ref().filter(|_| process.is_connected);
        let newest = controller.and_then(|c| c.tables.borrow().clone());
        if let Some(newest) =
            newest.filter(|_| process.coming.is_none() && process.filed_at.is_none() && !self.stuck)
            && process.current.as_ref().is_none_or(|current| !current.name.covers(&newest.name))
        {
            process.coming = Some((newest, taken_in));
        }
        if ended || self.lies || process.report_at <= now {
            self.report(at);
        }
    }

    /// Processes find the controller; one that has ended is missed.
    fn step_connections(&mut self) {
        let Some(controller) = self.controller.clone() else { return };
        for at in 0..self.processes.len() {
            let process = &mut self.processes[at];
            if !process.is_connected && process.connects_at <= Instant::now() {
                process.is_connected = true;
                self.report(at);
            }
        }
        let running = self.running();
        let ids: Vec<&BalancerId> = running.iter().map(|process| &process.id).collect();
        let is_gone = |reports: &BalancerReports| reports.known().any(|id| !ids.contains(&id));
        if is_gone(&controller.reports.borrow()) {
            controller.reports.send_modify(|reports| reports.set_running(running));
        }
    }

    /// What the list of processes says.
    fn running(&self) -> Vec<BalancerProcess> {
        let listed = self.processes.iter().enumerate();
        let listed = listed.filter(|(at, _)| !self.hides_old || *at + 1 == self.processes.len());
        listed.map(|(_, process)| BalancerProcess { id: process.id.clone(), pid: None }).collect()
    }

    fn delay(&self) -> Duration {
        self.chance.millis(0, STEP_MAX_MILLIS)
    }

    /// The list is read before the report is believed, as the plane does where it acknowledges another table.
    fn report(&mut self, at: usize) {
        let running = self.running();
        let process = &mut self.processes[at];
        process.report_at = Instant::now() + REPORT_EVERY;
        let Some(controller) = self.controller.as_ref().filter(|_| process.is_connected) else { return };
        let newest = controller.tables.borrow().clone();
        let claimed = newest.filter(|_| self.lies).or_else(|| process.filed.clone());
        let report = process.report(claimed.as_ref(), self.lies);
        let id = process.id.clone();
        controller.reports.send_if_modified(|reports| {
            let before = reports.clone();
            if before.get(&id).is_none_or(|last| last.applied != report.applied) {
                reports.set_running(running);
            }
            reports.set(&id, Some(report));
            *reports != before
        });
    }

    /// A request comes in, or one of an old process is sent again: which endpoint it is sent to.
    pub(super) fn choose(&mut self) -> Option<TableEndpoint> {
        let last = self.processes.len() - 1;
        let at = match self.chance.below(6) {
            0 if last > 0 => usize::try_from(self.chance.below(last as u64)).unwrap(),
            _ => last,
        };
        let longest = u64::try_from(self.longest.as_millis()).unwrap();
        let longest = if self.chance.one_in(4) { longest } else { longest.min(300) };
        let lasts = self.chance.millis(1, longest);
        let process = &mut self.processes[at];
        let services: Vec<_> = process.current.iter().flat_map(|t| t.services.values()).collect();
        let chosen = self.chance.pick(&self.chance.pick(&services)?.endpoints)?.clone();
        let now = Instant::now();
        // Those that are sent again are not sent much longer after their process stopped accepting.
        let is_late = process.drains_since.is_some_and(|since| since.elapsed() > DRAIN_LIMIT / 2);
        if is_late {
            return None;
        }
        process.requests.push(Request { endpoint: chosen.id.clone(), began: now, ends: now + lasts });
        self.served += 1;
        Some(chosen)
    }

    /// Requests under way.
    pub(super) fn requests(&self) -> impl Iterator<Item = &Request> {
        self.processes.iter().flat_map(|process| &process.requests)
    }

    /// Endpoints that may be chosen, now or by a new process.
    pub(super) fn may_choose(&self) -> impl Iterator<Item = &TableEndpoint> {
        let served = self.processes.iter().filter_map(|process| process.current.as_ref());
        served.chain(&self.file).flat_map(|table| table.endpoints())
    }

    /// Whether the process that accepts may choose this replica now.
    pub(super) fn chooses(&self, replica: &ReplicaName) -> bool {
        self.accepting()
            .iter()
            .flat_map(|table| table.endpoints())
            .any(|e| e.replica.as_ref() == Some(replica))
    }

    /// Ids of the endpoints of the table that the process that accepts chooses from.
    pub(super) fn chooses_from(&self) -> Vec<EndpointId> {
        let mut ids: Vec<EndpointId> =
            self.accepting().iter().flat_map(|table| table.endpoints()).map(|e| e.id.clone()).collect();
        ids.sort();
        ids
    }

    fn accepting(&self) -> Option<&Arc<RoutingTable>> {
        self.processes.last().and_then(|process| process.current.as_ref())
    }
}

/// The container of an endpoint.
pub(super) fn container_of(id: &EndpointId) -> ContainerId {
    ContainerId::new(id.as_str().split('@').next().unwrap_or_default())
}
