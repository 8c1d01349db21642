//! From balancer reports to what is acknowledged. Pure.
//!
//! Every known balancer counts, connected or not. Time never replaces an acknowledgement: what is not acknowledged here
//! stays so until a report changes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{BalancerLag, BalancerReports, EndpointId, RoutingTable, TableName};

/// What was published in this epoch, as far as the barrier needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// From this table on, no table had an endpoint that is neither in `joined` nor in `left`.
    base: Option<TableName>,
    last: Option<TableName>,
    /// Endpoints of the last table, with the revision of the first table that had them (without a break).
    joined: BTreeMap<EndpointId, u64>,
    /// Endpoints that earlier tables had, with the revision of the first table without them.
    left: BTreeMap<EndpointId, u64>,
}

impl Published {
    /// Records a table that is about to be published. Tables come in the order of their revisions.
    pub fn record(&mut self, table: &RoutingTable) {
        let revision = table.name.revision;
        let joined: BTreeMap<EndpointId, u64> = table
            .endpoints()
            .map(|e| (e.id.clone(), self.joined.get(&e.id).copied().unwrap_or(revision)))
            .collect();
        for id in self.joined.keys().filter(|id| !joined.contains_key(*id)) {
            self.left.insert(id.clone(), revision);
        }
        self.left.retain(|id, _| !joined.contains_key(id));
        self.joined = joined;
        self.base.get_or_insert_with(|| table.name.clone());
        self.last = Some(table.name.clone());
    }

    /// The last table's name.
    pub fn last(&self) -> Option<&TableName> {
        self.last.as_ref()
    }

    /// Forgets the endpoints whose absence every balancer has acknowledged. The base moves up to the last table that they
    /// left with: a balancer that becomes known later must pass it too.
    pub fn forget_acknowledged(&mut self, reports: &BalancerReports) {
        let Some(base) = &mut self.base else { return };
        let mut forgotten = base.revision;
        self.left.retain(|_, left| {
            let is_acknowledged = has_passed(reports, &TableName { revision: *left, ..base.clone() });
            if is_acknowledged {
                forgotten = forgotten.max(*left);
            }
            !is_acknowledged
        });
        base.revision = forgotten;
    }
}

/// Whether every known balancer serves from this table or a later one of its epoch.
fn has_passed(reports: &BalancerReports, table: &TableName) -> bool {
    reports.all(|report| report.applied.as_ref().is_some_and(|applied| applied.covers(table)))
}

/// What the known balancers have acknowledged at one moment. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Barrier {
    pub published: Arc<Published>,
    pub reports: BalancerReports,
}

impl Barrier {
    /// Whether every balancer serves from a table that has this endpoint.
    pub fn acked_present(&self, id: &EndpointId) -> bool {
        self.published.joined.get(id).is_some_and(|joined| self.has_passed(*joined))
    }

    /// Whether every balancer serves from a table without this endpoint. Only then may its container be asked to stop.
    pub fn acked_absent(&self, id: &EndpointId) -> bool {
        if self.published.joined.contains_key(id) {
            return false;
        }
        let base = self.published.base.as_ref().map(|base| base.revision);
        let left = self.published.left.get(id).copied();
        left.or(base).is_some_and(|revision| self.has_passed(revision))
    }

    /// Requests in flight to an endpoint, over all balancers; `None` until every balancer serves from a table without it.
    pub fn in_flight(&self, id: &EndpointId) -> Option<u64> {
        self.acked_absent(id).then(|| self.reports.stats(id).in_flight)
    }

    /// The balancers that have not acknowledged the last table, and why.
    pub fn lags(&self) -> Vec<BalancerLag> {
        match self.published.last() {
            Some(last) => self.reports.lags(last),
            None => self.reports.absences(),
        }
    }

    fn has_passed(&self, revision: u64) -> bool {
        let base = self.published.base.as_ref();
        base.is_some_and(|base| has_passed(&self.reports, &TableName { revision, ..base.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{
        BalancerId, BalancerProcess, BalancerReport, EndpointStats, Epoch, RevisionNumber, TableEndpoint,
        TableService,
    };
    use crate::testing;

    /// What a balancer has applied.
    #[derive(Debug, Clone, Copy)]
    enum Applied {
        Silent,
        /// It is connected and has no table.
        Nothing,
        /// A table of this epoch.
        Revision(u64),
        /// A table of the epoch before.
        EarlierEpoch(u64),
    }
    use Applied::*;

    const EPOCH: u64 = 4;

    fn name(epoch: u64, revision: u64) -> TableName {
        TableName { store: "s".into(), epoch: Epoch(epoch), revision }
    }

    fn id(text: &str) -> EndpointId {
        EndpointId::new(&text.into(), jiff::Timestamp::UNIX_EPOCH)
    }

    fn table(revision: u64, containers: &[&str]) -> RoutingTable {
        let endpoint = |c: &&str| {
            TableEndpoint::managed(id(c), (*c).into(), RevisionNumber(1), [10, 209, 0, 2].into(), [].into())
        };
        let service =
            TableService { endpoints: containers.iter().map(endpoint).collect(), ..TableService::default() };
        RoutingTable {
            services: [("users".into(), service)].into(),
            ..RoutingTable::empty(name(EPOCH, revision))
        }
    }

    fn published(tables: &[RoutingTable]) -> Published {
        let mut published = Published::default();
        tables.iter().for_each(|t| published.record(t));
        published
    }

    /// A balancer for each row, each with one request in flight to `a`.
    fn reports(balancers: &[Applied]) -> BalancerReports {
        let balancer = |at: usize| BalancerId::new(format!("balancer-{at}"));
        let mut reports = BalancerReports::of_known((0..balancers.len()).map(balancer));
        for (at, applied) in balancers.iter().enumerate() {
            let applied = match *applied {
                Silent => continue,
                Nothing => None,
                Revision(revision) => Some(name(EPOCH, revision)),
                EarlierEpoch(revision) => Some(name(EPOCH - 1, revision)),
            };
            let stats = EndpointStats { in_flight: 1, ..EndpointStats::default() };
            let endpoints = [(id("a"), stats)].into();
            reports.set(&balancer(at), Some(BalancerReport { applied, endpoints, ..testing::report("i") }));
        }
        reports
    }

    fn barrier(tables: &[RoutingTable], balancers: &[Applied]) -> Barrier {
        Barrier { published: Arc::new(published(tables)), reports: reports(balancers) }
    }

    #[test]
    fn acknowledgements_need_the_right_table_of_every_balancer() {
        let tables = [table(1, &["a"]), table(2, &["a", "b"]), table(3, &["b"])];
        // balancers; present b, absent a, absent of an endpoint that was in no table
        let rows: [(&[Applied], bool, bool, bool); 14] = [
            (&[], false, false, false),
            (&[Silent], false, false, false),
            (&[Nothing], false, false, false),
            (&[EarlierEpoch(99)], false, false, false),
            (&[Revision(1)], false, false, true),
            (&[Revision(2)], true, false, true),
            (&[Revision(3)], true, true, true),
            (&[Revision(3), Revision(3)], true, true, true),
            (&[Revision(3), Revision(2)], true, false, true),
            (&[Revision(3), Revision(1)], false, false, true),
            (&[Revision(3), Silent], false, false, false),
            (&[Revision(3), Revision(3), Nothing], false, false, false),
            (&[Revision(3), Revision(3), EarlierEpoch(3)], false, false, false),
            (&[Revision(3), Revision(4), Revision(5)], true, true, true),
        ];
        for (balancers, present_b, absent_a, absent_x) in rows {
            let barrier = barrier(&tables, balancers);
            assert_eq!(barrier.acked_present(&id("b")), present_b, "{balancers:?}");
            assert_eq!(barrier.acked_absent(&id("a")), absent_a, "{balancers:?}");
            assert_eq!(barrier.acked_absent(&id("x")), absent_x, "{balancers:?}");
            let in_flight = absent_a.then_some(balancers.len() as u64);
            assert_eq!(barrier.in_flight(&id("a")), in_flight, "{balancers:?}");
            assert!(!barrier.acked_absent(&id("b")) && !barrier.acked_present(&id("a")), "{balancers:?}");
        }
    }

    #[test]
    fn endpoint_that_returns_is_present_only_from_its_new_table_on() {
        let tables = [table(1, &["a"]), table(2, &[]), table(3, &["a"])];
        assert!(!barrier(&tables, &[Revision(2)]).acked_present(&id("a")));
        assert!(barrier(&tables, &[Revision(3)]).acked_present(&id("a")));
    }

    #[test]
    fn forgetting_keeps_endpoints_that_a_balancer_may_still_have() {
        let mut published = published(&[table(1, &["a", "b"]), table(2, &["b"]), table(3, &[])]);
        let balancers = reports(&[Revision(3), Revision(2)]);
        published.forget_acknowledged(&balancers);
        assert_eq!(published.left.keys().collect::<Vec<_>>(), [&id("b")]);
        let barrier = Barrier { published: Arc::new(published), reports: balancers };
        assert!(barrier.acked_absent(&id("a")), "forgotten, and still absent");
        assert!(!barrier.acked_absent(&id("b")), "table 3 is not acknowledged");
    }

    #[test]
    fn balancer_that_becomes_known_late_must_pass_what_was_forgotten() {
        let mut published = published(&[table(1, &["a"]), table(2, &[])]);
        published.forget_acknowledged(&reports(&[Revision(2)]));
        assert!(published.left.is_empty());
        let published = Arc::new(published);
        for (late, absent) in [(Silent, false), (Nothing, false), (Revision(1), false), (Revision(2), true)] {
            let reports = reports(&[Revision(2), late]);
            let barrier = Barrier { published: Arc::clone(&published), reports };
            assert_eq!(barrier.acked_absent(&id("a")), absent, "{late:?}");
        }
    }

    #[test]
    fn barrier_without_published_table_acknowledges_nothing() {
        assert!(!barrier(&[], &[Revision(1)]).acked_absent(&id("a")));
    }

    fn some_tables() -> impl Strategy<Value = Vec<RoutingTable>> {
        let containers = prop::sample::subsequence(vec!["a", "b", "c"], 0..=3);
        prop::collection::vec(containers, 1..6)
            .prop_map(|tables| (1..).zip(tables).map(|(revision, of)| table(revision, &of)).collect())
    }

    fn some_balancers(at_least: usize) -> impl Strategy<Value = Vec<Applied>> {
        let revision = 1..7u64;
        let one = prop_oneof![
            1 => Just(Silent),
            1 => Just(Nothing),
            1 => revision.clone().prop_map(EarlierEpoch),
            6 => revision.prop_map(Revision),
        ];
        prop::collection::vec(one, at_least..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn barrier_with_added_balancer_never_acknowledges_more(
            tables in some_tables(),
            balancers in some_balancers(2),
            forget in any::<bool>(),
        ) {
            let (_, fewer) = balancers.split_last().unwrap();
            let mut published = published(&tables);
            if forget {
                published.forget_acknowledged(&reports(fewer));
            }
            let published = Arc::new(published);
            let before = Barrier { published: Arc::clone(&published), reports: reports(fewer) };
            let after = Barrier { published, reports: reports(&balancers) };
            for endpoint in ["a", "b", "c", "x"].map(id) {
                prop_assert!(before.acked_present(&endpoint) || !after.acked_present(&endpoint));
                prop_assert!(before.acked_absent(&endpoint) || !after.acked_absent(&endpoint));
                prop_assert!(before.in_flight(&endpoint) <= after.in_flight(&endpoint) || after.in_flight(&endpoint).is_none());
            }
        }

        #[test]
        fn acknowledged_endpoints_are_as_every_applied_table_has_them(
            tables in some_tables(),
            balancers in some_balancers(1),
            forget in any::<bool>(),
        ) {
            let reports = reports(&balancers);
            let mut published = published(&tables);
            if forget {
                published.forget_acknowledged(&reports);
            }
            let barrier = Barrier { published: Arc::new(published), reports };
            for endpoint in ["a", "b", "c"].map(id) {
                let has = |applied: &Applied| match *applied {
                    Revision(revision) => {
                        let at = usize::try_from(revision).unwrap().min(tables.len()) - 1;
                        Some(tables[at].has_endpoint(&endpoint))
                    }
                    Silent | Nothing | EarlierEpoch(_) => None,
                };
                if barrier.acked_present(&endpoint) {
                    prop_assert!(balancers.iter().all(|applied| has(applied) == Some(true)));
                }
                if barrier.acked_absent(&endpoint) {
                    prop_assert!(balancers.iter().all(|applied| has(applied) == Some(false)));
                }
            }
        }
    }

    /// What happens to balancers; they are chosen by number among those that run.
    #[derive(Debug, Clone)]
    enum Happening {
        Publish(Vec<&'static str>),
        /// The next controller has another epoch, and no balancer is connected to it yet.
        NewController,
        /// It is listed, and has no table yet.
        Register,
        /// It serves from the table file.
        Start(usize),
        /// It serves from the newest table.
        Take(usize),
        /// It begins to save the table that it serves, unless it is saving one.
        BeginSave(usize),
        /// The table is in the file, if none that is newer was.
        EndSave(usize),
        /// The acknowledgement of what it saved last arrives.
        Acknowledge(usize),
        /// Its connection ends; it may come back with a report, which is an acknowledgement.
        Disconnect(usize),
        End(usize),
        ReadList,
    }

    fn happening() -> impl Strategy<Value = Happening> {
        let containers = prop::sample::subsequence(vec!["a", "b"], 0..=2);
        let which = 0..3usize;
        prop_oneof![
            4 => containers.prop_map(Happening::Publish),
            1 => Just(Happening::NewController),
            2 => Just(Happening::Register),
            2 => which.clone().prop_map(Happening::Start),
            6 => which.clone().prop_map(Happening::Take),
            6 => which.clone().prop_map(Happening::BeginSave),
            6 => which.clone().prop_map(Happening::EndSave),
            6 => which.clone().prop_map(Happening::Acknowledge),
            2 => which.clone().prop_map(Happening::Disconnect),
            2 => which.prop_map(Happening::End),
            1 => Just(Happening::ReadList),
        ]
    }

    /// A process. Its tables are known by their places in the order in which they were published.
    #[derive(Debug)]
    struct Process {
        id: BalancerId,
        serves: Option<usize>,
        saving: Option<usize>,
        saved: Option<usize>,
    }

    /// Balancers that come and go, their file, and what the controller sees of them.
    #[derive(Debug, Default)]
    struct Node {
        tables: Vec<RoutingTable>,
        /// The first table of this controller.
        epoch_began: usize,
        epoch: u64,
        published: Published,
        processes: Vec<Process>,
        registered: usize,
        file: Option<usize>,
        reports: BalancerReports,
    }

    impl Node {
        /// The newest table of this controller.
        fn newest(&self) -> Option<usize> {
            (self.tables.len() > self.epoch_began).then(|| self.tables.len() - 1)
        }

        /// As the plane does: after an acknowledgement has arrived, and at any other time.
        fn read_list(&mut self) {
            let process = |p: &Process| BalancerProcess { id: p.id.clone(), pid: None };
            self.reports.set_running(self.processes.iter().map(process).collect());
        }

        fn happen(&mut self, happening: &Happening) {
            let newest = self.newest();
            let running = self.processes.len().max(1);
            match happening {
                Happening::Publish(containers) => {
                    let revision = u64::try_from(self.tables.len() - self.epoch_began).unwrap() + 1;
                    let table =
                        RoutingTable { name: name(self.epoch, revision), ..table(revision, containers) };
                    self.published.record(&table);
                    self.published.forget_acknowledged(&self.reports);
                    self.tables.push(table);
                }
                Happening::NewController => {
                    self.epoch += 1;
                    self.epoch_began = self.tables.len();
                    self.published = Published::default();
                    self.reports = BalancerReports::default();
                }
                Happening::Register => {
                    self.registered += 1;
                    let id = BalancerId::new(format!("process-{}", self.registered));
                    self.processes.push(Process { id, serves: None, saving: None, saved: None });
                }
                Happening::ReadList => self.read_list(),
                _ if self.processes.is_empty() => {}
                Happening::Start(at) => {
                    let process = &mut self.processes[at % running];
                    if process.serves.is_none() {
                        process.serves = self.file;
                        process.saved = self.file;
                    }
                }
                Happening::Take(at) => {
                    let process = &mut self.processes[at % running];
                    process.serves = newest.or(process.serves);
                }
                Happening::BeginSave(at) => {
                    let process = &mut self.processes[at % running];
                    process.saving = process.saving.or(process.serves);
                }
                Happening::EndSave(at) => {
                    let process = &mut self.processes[at % running];
                    if let Some(saved) = process.saving.take() {
                        process.saved = Some(saved);
                        self.file = self.file.max(Some(saved));
                    }
                }
                Happening::Acknowledge(at) => {
                    let Process { id, saved, .. } = &self.processes[at % running];
                    let applied = saved.map(|saved| self.tables[saved].name.clone());
                    let report = BalancerReport { applied, ..testing::report("i") };
                    let id = id.clone();
                    self.read_list();
                    self.reports.set(&id, Some(report));
                }
                Happening::Disconnect(at) => {
                    let id = self.processes[at % running].id.clone();
                    self.reports.set(&id, None);
                }
                Happening::End(at) => {
                    let ended = self.processes.remove(at % running);
                    self.reports.set(&ended.id, None);
                }
            }
        }

        /// Tables that requests may be sent by: those that are served, and that a process starts from.
        fn in_use(&self) -> impl Iterator<Item = &RoutingTable> {
            let served = self.processes.iter().filter_map(|process| process.serves);
            served.chain(self.file).map(|at| &self.tables[at])
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_balancer_sends_to_an_absent_endpoint_however_balancers_come_and_go(
            happenings in prop::collection::vec(happening(), 1..80),
        ) {
            let mut node = Node::default();
            for happening in &happenings {
                node.happen(happening);
                let barrier = Barrier { published: Arc::new(node.published.clone()), reports: node.reports.clone() };
                for endpoint in ["a", "b"].map(id) {
                    if barrier.acked_absent(&endpoint) {
                        prop_assert!(node.in_use().all(|table| !table.has_endpoint(&endpoint)), "{node:?}");
                    }
                    if barrier.acked_present(&endpoint) {
                        prop_assert!(node.in_use().all(|table| table.has_endpoint(&endpoint)), "{node:?}");
                    }
                }
            }
        }
    }
}
