//! Both ends of the plane over a real unix socket.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use coxswain::model::{
    BalancerId, BalancerReport, BalancerReports, EndpointStats, Epoch, RoutingTable, TableName, TableService,
};
use coxswain::plane::{
    self, ListBalancers, PROTOCOL, PlaneClient, PlaneServer, ReceivedTable, ToBalancer, ToController,
};
use coxswain::testing;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

const PATIENCE: Duration = Duration::from_secs(60);

fn table(revision: u64, services: &[&str]) -> Arc<RoutingTable> {
    let name = TableName { store: "s".into(), epoch: Epoch(1), revision };
    let services = services.iter().map(|s| ((*s).into(), TableService::default())).collect();
    Arc::new(RoutingTable { services, ..RoutingTable::empty(name) })
}

fn report(incarnation: &str, requests: u64) -> BalancerReport {
    let id = coxswain::model::EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
    let stats = EndpointStats { requests, ..EndpointStats::default() };
    BalancerReport { endpoints: [(id, stats)].into(), ..testing::report(incarnation) }
}

/// The reports of balancers `a` and `b`.
fn reports(a: Option<BalancerReport>, b: Option<BalancerReport>) -> BalancerReports {
    let mut reports = BalancerReports::of_known(["a".into(), "b".into()]);
    reports.set(&"a".into(), a);
    reports.set(&"b".into(), b);
    reports
}

/// A controller's end. It knows the balancers `a` and `b`.
struct Controller {
    path: PathBuf,
    tables: watch::Sender<Option<Arc<RoutingTable>>>,
    watchers: watch::Sender<usize>,
    reports: watch::Receiver<BalancerReports>,
    _stop: DropGuard,
    _dir: tempfile::TempDir,
}

fn controller() -> Controller {
    controller_that_lists(testing::running(&["a", "b"]))
}

fn controller_that_lists(running: ListBalancers) -> Controller {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plane.sock");
    let (tables, tables_rx) = watch::channel(None);
    let (reports_tx, reports) = watch::channel(reports(None, None));
    let (watchers, watchers_rx) = watch::channel(0);
    let stop = CancellationToken::new();
    let listener = UnixListener::bind(&path).unwrap();
    let server =
        PlaneServer { tables: tables_rx, metrics_subscribers: watchers_rx, reports: reports_tx, running };
    tokio::spawn(server.serve(listener, stop.clone()));
    Controller { path, tables, watchers, reports, _stop: stop.drop_guard(), _dir: dir }
}

/// A balancer's end.
struct Follower {
    tables: watch::Receiver<Option<ReceivedTable>>,
    reports: watch::Sender<BalancerReport>,
    watched: watch::Receiver<bool>,
    _stop: DropGuard,
}

fn follower(path: &Path, id: &str, first: BalancerReport) -> Follower {
    let (tables_tx, tables) = watch::channel(None);
    let (reports, reports_rx) = watch::channel(first);
    let stop = CancellationToken::new();
    let (watched_tx, watched) = watch::channel(false);
    let client = PlaneClient { id: id.into(), tables: tables_tx, reports: reports_rx, watched: watched_tx };
    tokio::spawn(client.follow(path.to_owned(), stop.clone()));
    Follower { tables, reports, watched, _stop: stop.drop_guard() }
}

impl Follower {
    async fn until_table(&mut self, wanted: &Arc<RoutingTable>) {
        let wanted = Some(ReceivedTable::Table(Arc::clone(wanted)));
        until(&mut self.tables, |table| *table == wanted).await;
    }
}

async fn until<T: Clone>(receiver: &mut watch::Receiver<T>, wanted: impl FnMut(&T) -> bool) -> T {
    let got = tokio::time::timeout(PATIENCE, receiver.wait_for(wanted)).await;
    got.expect("the value came in time").unwrap().clone()
}

/// One end of a connection that speaks the frames by hand.
struct Raw(UnixStream);

impl Raw {
    async fn connect(path: &Path) -> Self {
        Self(UnixStream::connect(path).await.unwrap())
    }

    /// Connects and says a valid hello.
    async fn hello(path: &Path, id: &str, report: BalancerReport) -> Self {
        let mut raw = Self::connect(path).await;
        raw.say(&hello(PROTOCOL, id, report)).await;
        raw
    }

    async fn say(&mut self, message: &impl serde::Serialize) {
        let json = serde_json::to_vec(message).unwrap();
        self.0.write_u32(u32::try_from(json.len()).unwrap()).await.unwrap();
        self.0.write_all(&json).await.unwrap();
    }

    /// The next message; `None` once the other end has closed the connection.
    async fn hear<T: serde::de::DeserializeOwned>(&mut self) -> Option<T> {
        let length = tokio::time::timeout(PATIENCE, self.0.read_u32()).await.unwrap().ok()?;
        let mut json = vec![0; length as usize];
        self.0.read_exact(&mut json).await.unwrap();
        Some(serde_json::from_slice(&json).unwrap())
    }

    async fn table(&mut self) -> Option<ToBalancer> {
        self.hear().await
    }
}

fn hello(protocol: u32, id: &str, report: BalancerReport) -> ToController {
    ToController::Hello { protocol, balancer: BalancerId::from(id), report }
}

#[tokio::test]
async fn tables_reach_balancer_and_reports_reach_controller() {
    let mut controller = controller();
    let mut follower = follower(&controller.path, "a", report("a", 0));
    let first = reports(Some(report("a", 0)), None);
    until(&mut controller.reports, |r| *r == first).await;
    assert!(follower.tables.borrow().is_none(), "nothing is published yet");

    for (revision, services) in [(1, &["x"][..]), (2, &["x", "y"]), (3, &["y"])] {
        let sent = table(revision, services);
        controller.tables.send_replace(Some(Arc::clone(&sent)));
        follower.until_table(&sent).await;
    }
    follower.reports.send_replace(report("a", 7));
    let second = reports(Some(report("a", 7)), None);
    until(&mut controller.reports, |r| *r == second).await;
    drop(follower);
    until(&mut controller.reports, |r| *r == reports(None, None)).await;
}

#[tokio::test]
async fn two_balancers_are_served_independently() {
    let mut controller = controller();
    let mut first = follower(&controller.path, "a", report("a", 1));
    let mut second = follower(&controller.path, "b", report("b", 2));
    let both = reports(Some(report("a", 1)), Some(report("b", 2)));
    until(&mut controller.reports, |r| *r == both).await;
    for revision in [1, 2] {
        let sent = table(revision, &["x"]);
        controller.tables.send_replace(Some(Arc::clone(&sent)));
        first.until_table(&sent).await;
        second.until_table(&sent).await;
    }
    drop(first);
    let one = reports(None, Some(report("b", 2)));
    until(&mut controller.reports, |r| *r == one).await;
    let sent = table(3, &["y"]);
    controller.tables.send_replace(Some(Arc::clone(&sent)));
    second.until_table(&sent).await;
    second.reports.send_replace(report("b", 3));
    let later = reports(None, Some(report("b", 3)));
    until(&mut controller.reports, |r| *r == later).await;
}

#[tokio::test]
async fn balancer_that_does_not_read_holds_up_no_other() {
    let controller = controller();
    // More than the socket's buffer holds, so that the write waits for the reader.
    let names: Vec<String> = (0..50_000).map(|n| format!("service-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let _stuck = Raw::hello(&controller.path, "a", report("a", 0)).await;
    let mut other = follower(&controller.path, "b", report("b", 0));
    for revision in [1, 2] {
        let sent = table(revision, &names[usize::try_from(revision).unwrap()..]);
        controller.tables.send_replace(Some(Arc::clone(&sent)));
        other.until_table(&sent).await;
    }
}

#[tokio::test]
async fn balancer_gets_whole_table_then_deltas_and_whole_on_request() {
    let controller = controller();
    let mut balancer = Raw::hello(&controller.path, "a", report("a", 0)).await;
    let [first, second] = [table(1, &["x"]), table(2, &["x", "y"])];
    controller.tables.send_replace(Some(Arc::clone(&first)));
    assert_eq!(balancer.table().await, Some(ToBalancer::Table { table: (*first).clone() }));
    controller.tables.send_replace(Some(Arc::clone(&second)));
    let delta = plane::diff(&first, &second);
    assert_eq!(balancer.table().await, Some(ToBalancer::Delta { delta }));
    balancer.say(&ToController::NeedTable).await;
    assert_eq!(balancer.table().await, Some(ToBalancer::Table { table: (*second).clone() }));
}

#[tokio::test]
async fn slow_balancer_gets_only_newest_table() {
    let controller = controller();
    let mut balancer = Raw::connect(&controller.path).await;
    for revision in 1..=50 {
        controller.tables.send_replace(Some(table(revision, &["x"])));
    }
    balancer.say(&hello(PROTOCOL, "a", report("a", 0))).await;
    let Some(ToBalancer::Table { table }) = balancer.table().await else { panic!("a table comes first") };
    assert_eq!(table.name.revision, 50);
}

#[tokio::test]
async fn invalid_hello_is_disconnected() {
    let mut controller = controller();
    let _good = follower(&controller.path, "a", report("good", 0));
    let good = reports(Some(report("good", 0)), None);
    until(&mut controller.reports, |r| *r == good).await;
    let long = "x".repeat(100_000);
    for first in [
        hello(PROTOCOL + 1, "a", report("bad", 0)),
        hello(PROTOCOL, "c", report("bad", 0)),
        hello(PROTOCOL, "", report("bad", 0)),
        hello(PROTOCOL, &long, report("bad", 0)),
        ToController::Report { report: report("bad", 0) },
        ToController::NeedTable,
    ] {
        let mut bad = Raw::connect(&controller.path).await;
        bad.say(&first).await;
        assert_eq!(bad.table().await, None);
        assert_eq!(*controller.reports.borrow(), good);
    }
}

/// A list that a test changes; `None` cannot be read.
#[derive(Clone, Default)]
struct List(Arc<std::sync::Mutex<Option<Vec<&'static str>>>>);

impl List {
    fn set(&self, ids: Option<&[&'static str]>) {
        *self.0.lock().unwrap() = ids.map(<[&str]>::to_vec);
    }

    fn reader(&self) -> ListBalancers {
        let list = self.clone();
        Arc::new(move || match &*list.0.lock().unwrap() {
            Some(ids) => testing::running(ids)(),
            None => Err(std::io::Error::other("too many open files")),
        })
    }
}

fn applied(incarnation: &str, revision: u64) -> BalancerReport {
    BalancerReport { applied: Some(table(revision, &[]).name.clone()), ..report(incarnation, 0) }
}

fn applies(reports: &BalancerReports, id: &str) -> Option<u64> {
    Some(reports.get(&id.into())?.applied.as_ref()?.revision)
}

#[tokio::test]
async fn balancer_that_was_started_before_an_acknowledgement_counts_with_it() {
    let list = List::default();
    list.set(Some(&["a"]));
    let mut controller = controller_that_lists(list.reader());
    let follower = follower(&controller.path, "a", applied("a", 1));
    let alone = until(&mut controller.reports, |r| applies(r, "a") == Some(1)).await;
    assert!(alone.are_all_connected());
    list.set(Some(&["a", "c"]));
    follower.reports.send_replace(applied("a", 2));
    let both = until(&mut controller.reports, |r| applies(r, "a") == Some(2)).await;
    assert!(both.is_known(&"c".into()), "the acknowledgement of `a` is not seen before `c` is");
    list.set(None);
    follower.reports.send_replace(applied("a", 3));
    let mut balancer = Raw::hello(&controller.path, "c", applied("c", 3)).await;
    controller.tables.send_replace(Some(table(4, &[])));
    assert!(balancer.table().await.is_some(), "it is connected");
    assert_eq!(applies(&controller.reports.borrow(), "a"), Some(2), "the list cannot be read");
    list.set(Some(&["a", "c"]));
    until(&mut controller.reports, |r| applies(r, "a") == Some(3) && applies(r, "c") == Some(3)).await;
}

#[tokio::test]
async fn balancer_counts_until_it_is_gone_and_is_missed_at_once() {
    let list = List::default();
    list.set(Some(&["a", "c"]));
    let mut controller = controller_that_lists(list.reader());
    let _follower = follower(&controller.path, "a", applied("a", 1));
    let leaving = Raw::hello(&controller.path, "c", applied("c", 1)).await;
    until(&mut controller.reports, BalancerReports::are_all_connected).await;
    drop(leaving);
    let away = until(&mut controller.reports, |r| !r.are_all_connected()).await;
    assert!(away.is_known(&"c".into()), "it runs, as far as the list says");
    list.set(Some(&["a"]));
    let rest = until(&mut controller.reports, BalancerReports::are_all_connected).await;
    assert!(!rest.is_known(&"c".into()));
    list.set(Some(&[]));
    let mut late = Raw::hello(&controller.path, "d", applied("d", 1)).await;
    assert_eq!(late.table().await, None, "it is not listed");
    until(&mut controller.reports, |r| r.known().next().is_none()).await;
}

#[tokio::test]
async fn peers_without_hello_are_disconnected_and_balancer_is_served() {
    let mut controller = controller();
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(Raw::connect(&controller.path).await);
    }
    let _balancer = follower(&controller.path, "a", report("a", 0));
    let expected = reports(Some(report("a", 0)), None);
    until(&mut controller.reports, |r| *r == expected).await;
    for peer in &mut silent {
        assert_eq!(peer.table().await, None);
    }
    assert_eq!(*controller.reports.borrow(), expected);
}

#[tokio::test]
async fn newer_connection_of_a_balancer_replaces_the_older_and_no_other() {
    let mut controller = controller();
    let mut other = Raw::hello(&controller.path, "b", report("other", 0)).await;
    let mut old = Raw::hello(&controller.path, "a", report("old", 0)).await;
    let before = reports(Some(report("old", 0)), Some(report("other", 0)));
    until(&mut controller.reports, |r| *r == before).await;
    let mut new = Raw::hello(&controller.path, "a", report("new", 0)).await;
    let after = reports(Some(report("new", 0)), Some(report("other", 0)));
    until(&mut controller.reports, |r| *r == after).await;
    assert_eq!(old.table().await, None, "the older connection ends");
    controller.tables.send_replace(Some(table(1, &[])));
    assert!(new.table().await.is_some());
    assert!(other.table().await.is_some());
    assert_eq!(*controller.reports.borrow(), after);
}

#[tokio::test]
async fn balancer_reconnects_to_late_and_restarted_controller() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plane.sock");
    let mut follower = follower(&path, "a", report("a", 3));
    for revision in [1, 2] {
        let listener = UnixListener::bind(&path).unwrap();
        let sent = table(revision, &["x"]);
        let (_tables, tables) = watch::channel(Some(Arc::clone(&sent)));
        let (reports_tx, mut received) = watch::channel(reports(None, None));
        let stop = CancellationToken::new();
        let (_watchers, watchers) = watch::channel(0);
        let server = PlaneServer {
            tables,
            metrics_subscribers: watchers,
            reports: reports_tx,
            running: testing::running(&["a", "b"]),
        };
        let serving = tokio::spawn(server.serve(listener, stop.clone()));
        follower.until_table(&sent).await;
        let expected = reports(Some(report("a", 3)), None);
        until(&mut received, |r| *r == expected).await;
        stop.cancel();
        serving.await.unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}

/// A controller's end by hand: the first connection of a follower, after its hello.
async fn accept(listener: &UnixListener) -> Raw {
    let (stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut raw = Raw(stream);
    assert!(matches!(raw.hear().await, Some(ToController::Hello { .. })));
    raw
}

#[tokio::test]
async fn delta_from_unknown_base_requests_whole_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plane.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut follower = follower(&path, "a", report("a", 0));
    let mut controller = accept(&listener).await;
    let [a, b, c] = [table(1, &["x"]), table(2, &["x", "y"]), table(3, &["y"])];
    controller.say(&ToBalancer::Table { table: (*a).clone() }).await;
    controller.say(&ToBalancer::Delta { delta: plane::diff(&b, &c) }).await;
    assert_eq!(controller.hear().await, Some(ToController::NeedTable));
    follower.until_table(&a).await;
}

#[tokio::test]
async fn table_that_cannot_be_decoded_is_rejected_and_the_connection_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plane.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut follower = follower(&path, "a", report("a", 0));
    let mut controller = accept(&listener).await;
    let mut unknown = serde_json::to_value(ToBalancer::Table { table: (*table(1, &["x"])).clone() }).unwrap();
    unknown["table"]["table"]["services"]["x"]["balance"] = "newestFirst".into();
    controller.say(&unknown).await;
    let got = until(&mut follower.tables, Option::is_some).await;
    let Some(ReceivedTable::Rejected(rejection)) = got else { panic!("{got:?}") };
    assert_eq!(rejection.table, table(1, &[]).name);
    assert!(rejection.reason.contains("newestFirst"), "{}", rejection.reason);

    let next = table(2, &["x"]);
    controller.say(&ToBalancer::Delta { delta: plane::diff(&table(1, &["x"]), &next) }).await;
    assert_eq!(controller.hear().await, Some(ToController::NeedTable));
    controller.say(&ToBalancer::Table { table: (*next).clone() }).await;
    follower.until_table(&next).await;
}

#[tokio::test]
async fn counters_are_requested_only_while_watched() {
    let controller = controller();
    let mut follower = follower(&controller.path, "a", report("a", 0));
    let answered = |watched: bool| move |now: &bool| *now == watched;
    controller.tables.send_replace(Some(table(1, &["x"])));
    follower.until_table(&table(1, &["x"])).await;
    assert!(!*follower.watched.borrow());
    controller.watchers.send_replace(2);
    until(&mut follower.watched, answered(true)).await;
    controller.watchers.send_replace(1);
    controller.tables.send_replace(Some(table(2, &["x"])));
    follower.until_table(&table(2, &["x"])).await;
    assert!(*follower.watched.borrow(), "one is left");
    controller.watchers.send_replace(0);
    until(&mut follower.watched, answered(false)).await;
    controller.watchers.send_replace(1);
    until(&mut follower.watched, answered(true)).await;
    drop(controller);
    until(&mut follower.watched, answered(false)).await;
}
