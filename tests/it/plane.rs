//! Both ends of the plane over a real unix socket.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use coxswain::model::{BalancerReport, EndpointStats, Epoch, RoutingTable, TableName, TableService};
use coxswain::plane::{self, PROTOCOL, ToBalancer, ToController};
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

/// A controller's end.
struct Controller {
    path: PathBuf,
    tables: watch::Sender<Option<Arc<RoutingTable>>>,
    watchers: watch::Sender<usize>,
    reports: watch::Receiver<Option<BalancerReport>>,
    _stop: DropGuard,
    _dir: tempfile::TempDir,
}

fn controller() -> Controller {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plane.sock");
    let (tables, tables_rx) = watch::channel(None);
    let (reports_tx, reports) = watch::channel(None);
    let (watchers, watchers_rx) = watch::channel(0);
    let stop = CancellationToken::new();
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(plane::serve(listener, tables_rx, watchers_rx, reports_tx, stop.clone()));
    Controller { path, tables, watchers, reports, _stop: stop.drop_guard(), _dir: dir }
}

/// A balancer's end.
struct Follower {
    tables: watch::Receiver<Option<Arc<RoutingTable>>>,
    reports: watch::Sender<BalancerReport>,
    watched: watch::Receiver<bool>,
    _stop: DropGuard,
}

fn follower(path: &Path, first: BalancerReport) -> Follower {
    let (tables_tx, tables) = watch::channel(None);
    let (reports, reports_rx) = watch::channel(first);
    let stop = CancellationToken::new();
    let (watch, watched) = watch::channel(false);
    tokio::spawn(plane::follow(path.to_owned(), tables_tx, reports_rx, watch, stop.clone()));
    Follower { tables, reports, watched, _stop: stop.drop_guard() }
}

async fn until<T: Clone>(receiver: &mut watch::Receiver<T>, wanted: impl FnMut(&T) -> bool) -> T {
    let got = tokio::time::timeout(PATIENCE, receiver.wait_for(wanted)).await;
    got.expect("the value came in time").unwrap().clone()
}

/// A balancer that speaks the frames by hand.
struct Raw(UnixStream);

impl Raw {
    async fn connect(path: &Path) -> Self {
        Self(UnixStream::connect(path).await.unwrap())
    }

    async fn say(&mut self, message: &ToController) {
        let json = serde_json::to_vec(message).unwrap();
        self.0.write_u32(u32::try_from(json.len()).unwrap()).await.unwrap();
        self.0.write_all(&json).await.unwrap();
    }

    async fn hear(&mut self) -> Option<ToBalancer> {
        let length = tokio::time::timeout(PATIENCE, self.0.read_u32()).await.unwrap().ok()?;
        let mut json = vec![0; length as usize];
        self.0.read_exact(&mut json).await.unwrap();
        Some(serde_json::from_slice(&json).unwrap())
    }
}

#[tokio::test]
async fn tables_go_down_and_reports_go_up() {
    let mut controller = controller();
    let mut follower = follower(&controller.path, report("a", 0));
    until(&mut controller.reports, |r| *r == Some(report("a", 0))).await;
    assert!(follower.tables.borrow().is_none(), "nothing is published yet");

    for (revision, services) in [(1, &["x"][..]), (2, &["x", "y"]), (3, &["y"])] {
        let sent = table(revision, services);
        controller.tables.send_replace(Some(Arc::clone(&sent)));
        until(&mut follower.tables, |t| t.as_ref() == Some(&sent)).await;
    }
    follower.reports.send_replace(report("a", 7));
    until(&mut controller.reports, |r| *r == Some(report("a", 7))).await;
    drop(follower);
    until(&mut controller.reports, Option::is_none).await;
}

#[tokio::test]
async fn first_the_whole_table_then_deltas_and_the_whole_again_on_request() {
    let controller = controller();
    let mut balancer = Raw::connect(&controller.path).await;
    balancer.say(&ToController::Hello { protocol: PROTOCOL, report: report("a", 0) }).await;
    let [first, second] = [table(1, &["x"]), table(2, &["x", "y"])];
    controller.tables.send_replace(Some(Arc::clone(&first)));
    assert_eq!(balancer.hear().await, Some(ToBalancer::Table { table: (*first).clone() }));
    controller.tables.send_replace(Some(Arc::clone(&second)));
    let delta = plane::diff(&first, &second);
    assert_eq!(balancer.hear().await, Some(ToBalancer::Delta { delta }));
    balancer.say(&ToController::NeedTable).await;
    assert_eq!(balancer.hear().await, Some(ToBalancer::Table { table: (*second).clone() }));
}

#[tokio::test]
async fn a_slow_balancer_is_sent_only_the_newest_table() {
    let controller = controller();
    let mut balancer = Raw::connect(&controller.path).await;
    for revision in 1..=50 {
        controller.tables.send_replace(Some(table(revision, &["x"])));
    }
    balancer.say(&ToController::Hello { protocol: PROTOCOL, report: report("a", 0) }).await;
    let Some(ToBalancer::Table { table }) = balancer.hear().await else { panic!("a table comes first") };
    assert_eq!(table.name.revision, 50);
}

#[tokio::test]
async fn another_protocol_is_refused_and_changes_nothing() {
    let mut controller = controller();
    let _good = follower(&controller.path, report("good", 0));
    until(&mut controller.reports, Option::is_some).await;
    for first in [
        ToController::Hello { protocol: PROTOCOL + 1, report: report("bad", 0) },
        ToController::Report { report: report("bad", 0) },
        ToController::NeedTable,
    ] {
        let mut bad = Raw::connect(&controller.path).await;
        bad.say(&first).await;
        assert_eq!(bad.hear().await, None, "{first:?}");
        assert_eq!(*controller.reports.borrow(), Some(report("good", 0)));
    }
}

#[tokio::test]
async fn a_newer_balancer_takes_the_place_of_an_older() {
    let mut controller = controller();
    let mut old = Raw::connect(&controller.path).await;
    old.say(&ToController::Hello { protocol: PROTOCOL, report: report("old", 0) }).await;
    until(&mut controller.reports, |r| *r == Some(report("old", 0))).await;
    let mut new = Raw::connect(&controller.path).await;
    new.say(&ToController::Hello { protocol: PROTOCOL, report: report("new", 0) }).await;
    until(&mut controller.reports, |r| *r == Some(report("new", 0))).await;
    assert_eq!(old.hear().await, None, "the older connection ends");
    controller.tables.send_replace(Some(table(1, &[])));
    assert!(new.hear().await.is_some());
    assert_eq!(*controller.reports.borrow(), Some(report("new", 0)));
}

#[tokio::test]
async fn a_balancer_finds_a_controller_that_comes_later_or_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plane.sock");
    let mut follower = follower(&path, report("a", 3));
    for revision in [1, 2] {
        let listener = UnixListener::bind(&path).unwrap();
        let (_tables, tables) = watch::channel(Some(table(revision, &["x"])));
        let (reports_tx, mut reports) = watch::channel(None);
        let stop = CancellationToken::new();
        let (_watchers, watchers) = watch::channel(0);
        let serving = tokio::spawn(plane::serve(listener, tables, watchers, reports_tx, stop.clone()));
        until(&mut follower.tables, |t| t.as_ref().is_some_and(|t| t.name.revision == revision)).await;
        until(&mut reports, |r| *r == Some(report("a", 3))).await;
        stop.cancel();
        serving.await.unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn a_delta_from_another_base_is_answered_with_a_request_for_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plane.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut follower = follower(&path, report("a", 0));
    let (stream, _) = listener.accept().await.unwrap();
    let (reader, mut writer) = stream.into_split();
    let mut reader = tokio::io::BufReader::new(reader);
    let [a, b, c] = [table(1, &["x"]), table(2, &["x", "y"]), table(3, &["y"])];
    let whole = |t: &RoutingTable| ToBalancer::Table { table: t.clone() };
    for message in [whole(&a), ToBalancer::Delta { delta: plane::diff(&b, &c) }] {
        let json = serde_json::to_vec(&message).unwrap();
        writer.write_u32(u32::try_from(json.len()).unwrap()).await.unwrap();
        writer.write_all(&json).await.unwrap();
    }
    let mut heard = Vec::new();
    while heard.last() != Some(&ToController::NeedTable) {
        let length = tokio::time::timeout(PATIENCE, reader.read_u32()).await.unwrap().unwrap();
        let mut json = vec![0; length as usize];
        reader.read_exact(&mut json).await.unwrap();
        heard.push(serde_json::from_slice::<ToController>(&json).unwrap());
    }
    assert!(matches!(heard[0], ToController::Hello { .. }));
    until(&mut follower.tables, |t| t.as_ref() == Some(&a)).await;
}

#[tokio::test]
async fn counters_are_asked_for_while_somebody_watches() {
    let controller = controller();
    let mut follower = follower(&controller.path, report("a", 0));
    let answered = |watched: bool| move |now: &bool| *now == watched;
    controller.tables.send_replace(Some(table(1, &["x"])));
    until(&mut follower.tables, Option::is_some).await;
    assert!(!*follower.watched.borrow());
    controller.watchers.send_replace(2);
    until(&mut follower.watched, answered(true)).await;
    controller.watchers.send_replace(1);
    controller.tables.send_replace(Some(table(2, &["x"])));
    until(&mut follower.tables, |t| t.as_ref().is_some_and(|t| t.name.revision == 2)).await;
    assert!(*follower.watched.borrow(), "one is left");
    controller.watchers.send_replace(0);
    until(&mut follower.watched, answered(false)).await;
    controller.watchers.send_replace(1);
    until(&mut follower.watched, answered(true)).await;
    drop(controller);
    until(&mut follower.watched, answered(false)).await;
}
