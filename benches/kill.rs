//! A container is killed, a hundred times, under load: from the time in Docker's `die` event to the moment at which the
//! last thread of the balancer serves without it, and what became of the requests.
//!
//! That moment is reported by the balancer itself: an endpoint that a table lacks is passed over by every thread from one
//! moment on, which it logs with the wall time, in whole milliseconds. Docker's event carries its own
//! wall time. Both are of one machine and one clock; a millisecond is added for what the log cuts off.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use bollard::query_parameters::{EventsOptionsBuilder, KillContainerOptionsBuilder};
use coxswain::clock::{Clock, RealClock};
use coxswain::engine::LABEL_STORE;
use futures::StreamExt;

use crate::Shared;
use crate::daemon::{Daemon, wait_for};
use crate::figure::{Figure, median, percentile};
use crate::images::client;
use crate::load::{Client, Load, Tally};
use crate::replicas::{HOST, manifest};

const KILLS: usize = 100;
/// Each replica is killed four times: its back-off stays short, and ready replicas are never few.
const REPLICAS: usize = 25;
/// The next container is killed once so many are ready.
const READY: usize = 10;
/// In the balancer's log, before the endpoint's id.
const LEFT: &str = "no thread picks it any more endpoint=";

pub(crate) fn measure(_: &Shared) -> Vec<Figure> {
    let daemon = Daemon::start_logging("info,coxswain::balancer=debug,coxswain::registry=debug");
    let file =
        manifest(&daemon, &daemon.image("v1"), REPLICAS, "  health: /healthz\n  rollout: {healthyFor: 0s}\n");
    daemon.expect(0, &["apply", "-f", &file]);
    let engine = Engine::follow(daemon.store());
    let kinds = [
        ("GET", Client::KeepAlive),
        ("GET on new connections", Client::Fresh),
        ("slow GET", Client::Slow(100)),
        ("POST", Client::Post(20_000)),
    ];
    let loads = kinds.map(|(name, kind)| (name, Load::start(daemon.http, HOST, &[kind])));
    let mut kills: BTreeMap<String, usize> = BTreeMap::new();
    let mut delays = Vec::new();
    for _ in 0..KILLS {
        let (replica, container) = victim(&daemon, &kills);
        *kills.entry(replica).or_default() += 1;
        engine.kill(&container);
        let mut left = None;
        wait_for("the balancer serves without it", || {
            left = left_at(&daemon.log(), &container);
            left.is_some()
        });
        let mut died = None;
        wait_for("Docker's event", || {
            died = engine.died_at(&container);
            died.is_some()
        });
        let (left, died) = (left.expect("waited for"), died.expect("waited for"));
        delays.push((left - died) as f64 / 1e6 + 1.0);
    }
    let tallies = loads.map(|(name, load)| (name, load.stop()));
    let details = format!(
        "median {:.0}, p90 {:.0}, longest {:.0}",
        median(&delays),
        percentile(&delays, 90),
        percentile(&delays, 100)
    );
    let what = "`docker kill`, 100 times under load: from Docker's event until no thread serves it, p99";
    let mut figures = vec![Figure::at_most(what, percentile(&delays, 99), 50.0, "ms", &details)];
    figures.extend(failed(&tallies));
    figures
}

/// A ready replica that was killed as seldom as any.
fn victim(daemon: &Daemon, kills: &BTreeMap<String, usize>) -> (String, String) {
    let mut chosen = None;
    wait_for("enough replicas are ready", || {
        let listing = daemon.json(&["get", "replicas", "-o", "json"]);
        let items = listing["items"].as_array().cloned().unwrap_or_default();
        let mut ready: Vec<(usize, String, String)> = items
            .iter()
            .filter(|item| item["status"]["available"] == true)
            .filter_map(|item| {
                let name = item["spec"]["name"].as_str()?.to_owned();
                let container = item["status"]["container"].as_str()?.to_owned();
                Some((kills.get(&name).copied().unwrap_or(0), name, container))
            })
            .collect();
        ready.sort();
        let enough = ready.len() >= READY;
        chosen = ready.into_iter().next().map(|(_, name, container)| (name, container)).filter(|_| enough);
        chosen.is_some()
    });
    chosen.expect("waited for")
}

/// When the balancer says that it left, in nanoseconds since 1970.
fn left_at(log: &str, container: &str) -> Option<i128> {
    let wanted = format!("{LEFT}{container}@");
    let line = log.lines().find(|line| line.contains(&wanted))?;
    let at: jiff::Timestamp = line.split_whitespace().next()?.parse().ok()?;
    Some(at.as_nanosecond())
}

/// What a client sees of a request that the dead container had been sent: the balancer's answer, or the beginning of the
/// container's own. An end before the answer began would be the balancer's fault and is reported separately.
const BROKEN_OFF: [&str; 2] = ["502 the instance broke off", "failed to fill whole buffer"];

/// How many requests failed, and why. One that was sent to the dead container may have been acted upon; it is repeated
/// only where that does no harm and nothing of an answer came. Whatever else fails is a defect.
fn failed(tallies: &[(&str, Tally)]) -> Vec<Figure> {
    let sent: u64 = tallies.iter().map(|(_, tally)| tally.sent).sum();
    let mut by_kind = Vec::new();
    let (mut excused, mut others) = (0, Vec::new());
    for (name, tally) in tallies {
        if tally.failures.is_empty() {
            continue;
        }
        by_kind.push(format!("{} {name}", tally.failures.len()));
        let is_sent = |failure: &&String| BROKEN_OFF.iter().any(|words| failure.contains(words));
        excused += tally.failures.iter().filter(is_sent).count();
        others.extend(tally.failures.iter().filter(|failure| !is_sent(failure)).cloned());
    }
    let details = if by_kind.is_empty() { String::new() } else { format!(": {}", by_kind.join(", ")) };
    let note = format!("{excused} of {sent}{details}");
    let what = "the same: failed for another reason";
    vec![
        Figure::note("the same: already sent to the dead container and not safely replayable", note),
        Figure::at_most(what, others.len() as f64, 0.0, "requests", &others.join("; ")),
    ]
}

/// The Engine, and the times in its `die` events.
struct Engine {
    runtime: tokio::runtime::Runtime,
    died: Arc<Mutex<HashMap<String, i128>>>,
}

impl Engine {
    fn follow(store: String) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let died: Arc<Mutex<HashMap<String, i128>>> = Arc::default();
        let noted = Arc::clone(&died);
        // From now on, however long the stream takes to open.
        let since = RealClock::new().wall().as_second().to_string();
        runtime.spawn(async move {
            let filters = HashMap::from([
                ("event", vec!["die".to_owned()]),
                ("label", vec![format!("{LABEL_STORE}={store}")]),
            ]);
            let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
            let mut events = client().events(Some(options));
            while let Some(event) = events.next().await {
                let event = event.unwrap();
                let (Some(id), Some(at)) = (event.actor.and_then(|actor| actor.id), event.time_nano) else {
                    continue;
                };
                noted.lock().unwrap().entry(id).or_insert(i128::from(at));
            }
        });
        Self { runtime, died }
    }

    fn kill(&self, container: &str) {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        self.runtime.block_on(client().kill_container(container, Some(options))).unwrap();
    }

    fn died_at(&self, container: &str) -> Option<i128> {
        self.died.lock().unwrap().get(container).copied()
    }
}
