//! A balancer without sockets: takes tables late, chooses from the one it has, says what it serves from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coxswain::model::{
    BalancerReport, BalancerReports, ContainerId, EndpointId, EndpointStats, ReplicaName, RoutingTable,
    TableEndpoint,
};
use coxswain::testing;
use tokio::sync::watch;
use tokio::time::Instant;

use super::clock::Chance;

/// How long a table may take, on each of its three steps: chosen from, on disk, acknowledged.
const STEP_MAX_MILLIS: u64 = 150;
/// A report at least this often.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// A request under way.
pub(super) struct Request {
    pub(super) endpoint: EndpointId,
    pub(super) began: Instant,
    ends: Instant,
}

/// The two ends of a connection to a controller.
pub(super) struct Connection {
    pub(super) tables: watch::Receiver<Option<Arc<RoutingTable>>>,
    pub(super) reports: watch::Sender<BalancerReports>,
}

pub(super) struct Balancer {
    chance: Chance,
    connection: Option<Connection>,
    incarnation: u64,
    /// What requests are chosen from.
    current: Option<Arc<RoutingTable>>,
    /// What a new process would start from.
    file: Option<Arc<RoutingTable>>,
    /// A table on its way in, and when it is chosen from.
    coming: Option<(Arc<RoutingTable>, Instant)>,
    /// When the current table is on disk.
    filed_at: Option<Instant>,
    report_at: Instant,
    /// Takes no table, so acknowledges none.
    pub(super) stuck: bool,
    /// Says that it serves from the newest table as soon as there is one: a controller that believes it sees every endpoint that
    /// left acknowledged as absent at once.
    pub(super) lies: bool,
    pub(super) requests: Vec<Request>,
    pub(super) served: u64,
    /// How long requests last at most, and how many of ten ticks begin one.
    pub(super) longest: Duration,
}

impl Balancer {
    pub(super) fn new(chance: Chance) -> Self {
        let longest = Duration::from_secs(1 + chance.below(8));
        Self {
            chance,
            connection: None,
            incarnation: 0,
            current: None,
            file: None,
            coming: None,
            filed_at: None,
            report_at: Instant::now(),
            stuck: false,
            lies: false,
            requests: Vec::new(),
            served: 0,
            longest,
        }
    }

    pub(super) fn connect(&mut self, connection: Connection) {
        self.connection = Some(connection);
        self.report();
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// The controller sees it go; tables that it has stay.
    pub(super) fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.reports.send_replace(testing::reports(None));
        }
    }

    /// The process ends and another takes its place, with the table on disk.
    pub(super) fn restart(&mut self) {
        self.disconnect();
        self.incarnation += 1;
        self.current = self.file.clone();
        self.coming = None;
        self.filed_at = None;
        self.requests.clear();
    }

    /// Time went on.
    pub(super) fn step(&mut self) {
        let now = Instant::now();
        let before = self.leaving();
        self.requests.retain(|request| request.ends > now);
        let ended = self.leaving() < before;
        if self.coming.as_ref().is_some_and(|(_, at)| *at <= now) {
            self.current = self.coming.take().map(|(table, _)| table);
            self.filed_at = Some(now + self.delay());
        }
        if self.filed_at.is_some_and(|at| at <= now) {
            self.filed_at = None;
            self.file = self.current.clone();
            self.report_at = now + self.delay();
        }
        let newest = self.connection.as_ref().and_then(|c| c.tables.borrow().clone());
        if let Some(newest) =
            newest.filter(|_| self.coming.is_none() && self.filed_at.is_none() && !self.stuck)
            && self.current.as_ref().is_none_or(|current| current.name != newest.name)
        {
            self.coming = Some((newest, now + self.delay()));
        }
        if ended || self.lies || self.report_at <= now {
            self.report();
        }
    }

    /// Requests under way to endpoints that left the table: their end is worth a report.
    fn leaving(&self) -> usize {
        let stays = |r: &&Request| !self.current.as_ref().is_some_and(|t| t.has_endpoint(&r.endpoint));
        self.requests.iter().filter(stays).count()
    }

    /// The table that it says it serves from.
    fn claimed(&self) -> Option<Arc<RoutingTable>> {
        let newest = self.connection.as_ref().and_then(|c| c.tables.borrow().clone());
        newest.filter(|_| self.lies).or_else(|| self.file.clone())
    }

    fn delay(&self) -> Duration {
        self.chance.millis(0, STEP_MAX_MILLIS)
    }

    fn report(&mut self) {
        self.report_at = Instant::now() + REPORT_EVERY;
        let mut endpoints: BTreeMap<EndpointId, EndpointStats> = BTreeMap::new();
        for endpoint in self.current.iter().flat_map(|table| table.endpoints()) {
            endpoints.entry(endpoint.id.clone()).or_default();
        }
        for request in &self.requests {
            endpoints.entry(request.endpoint.clone()).or_default().in_flight += 1;
        }
        let report = BalancerReport {
            applied: self.claimed().map(|table| table.name.clone()),
            endpoints: if self.lies { BTreeMap::new() } else { endpoints },
            ..testing::report(&self.incarnation.to_string())
        };
        if let Some(connection) = &self.connection {
            connection.reports.send_if_modified(|old| {
                let new = testing::reports(Some(report));
                let differs = *old != new;
                *old = new;
                differs
            });
        }
    }

    /// A request comes in: which endpoint it is sent to.
    pub(super) fn choose(&mut self) -> Option<TableEndpoint> {
        let services: Vec<_> = self.current.iter().flat_map(|t| t.services.values()).collect();
        let chosen = self.chance.pick(&self.chance.pick(&services)?.endpoints)?.clone();
        let now = Instant::now();
        let longest = u64::try_from(self.longest.as_millis()).unwrap();
        let longest = if self.chance.one_in(4) { longest } else { longest.min(300) };
        let ends = now + self.chance.millis(1, longest);
        self.requests.push(Request { endpoint: chosen.id.clone(), began: now, ends });
        self.served += 1;
        Some(chosen)
    }

    /// Endpoints that it may choose, now or after a restart.
    pub(super) fn may_choose(&self) -> impl Iterator<Item = &TableEndpoint> {
        self.current.iter().chain(&self.file).flat_map(|table| table.endpoints())
    }

    /// Whether it may choose this replica now.
    pub(super) fn chooses(&self, replica: &ReplicaName) -> bool {
        self.current.iter().flat_map(|table| table.endpoints()).any(|e| e.replica.as_ref() == Some(replica))
    }

    /// Ids of the endpoints of the table that it chooses from.
    pub(super) fn chooses_from(&self) -> Vec<EndpointId> {
        let mut ids: Vec<EndpointId> =
            self.current.iter().flat_map(|table| table.endpoints()).map(|e| e.id.clone()).collect();
        ids.sort();
        ids
    }
}

/// The container of an endpoint.
pub(super) fn container_of(id: &EndpointId) -> ContainerId {
    ContainerId::new(id.as_str().split('@').next().unwrap_or_default())
}
