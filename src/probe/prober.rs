//! Watches many endpoints, a task for each, and remembers the state of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio_util::task::AbortOnDropHandle;

use super::address::ProbeAddress;
use super::tracker::{ProbeState, Tracker};
use super::{exec, grpc, http, observation, tcp};
use crate::clock::Clock;
use crate::engine::{Engine, ExecId};
use crate::model::{EndpointId, FailedProbe, Health, HealthCheck, Millis, Mono, ProbeAnswer};

/// How often at most a change in the wording of a failure is reported: an application that counts in its response must not
/// keep the agent busy.
const REWORDED_EVERY: Millis = Millis(1000);

/// A shortage is shown for this long after the last probe that could not be made.
const SHORTAGE_SHOWN: Millis = Millis::secs(10);

/// What is watched, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTarget {
    pub id: EndpointId,
    /// Ignored by a check that needs no connection.
    pub place: ProbeAddress,
    pub health: Health,
}

/// Runs probes: a port, because a simulation has no network to probe over.
pub trait Probes: Send + Sync {
    /// Probes this target, from now on or as before. A target that differs under the same identity (other timings) keeps
    /// its state. Call it within a tokio runtime.
    fn watch(&self, target: ProbeTarget);
    /// Stops all probes except these.
    fn retain(&self, keep: &BTreeSet<EndpointId>);
    /// The state of a target's probes; `None` for one that is not probed.
    fn state(&self, id: &EndpointId) -> Option<ProbeState>;
    /// Why probes could not be made a moment ago: a shortage of this machine.
    fn shortage(&self) -> Option<String> {
        None
    }
}

/// Watches endpoints; dropping it stops all probes.
pub struct Prober {
    shared: Arc<ProberState>,
}

struct ProberState {
    clock: Arc<dyn Clock>,
    engine: Arc<dyn Engine>,
    changed: Box<dyn Fn() + Send + Sync>,
    watched: Mutex<BTreeMap<EndpointId, WatchedEndpoint>>,
    /// The last probe that could not be made.
    not_made: Mutex<Option<(Mono, String)>>,
}

struct WatchedEndpoint {
    target: ProbeTarget,
    tracker: Tracker,
    /// The state last reported, and when.
    reported: (ProbeState, Mono),
    /// `None` where there is nothing to probe.
    _task: Option<AbortOnDropHandle<()>>,
}

impl Prober {
    /// A prober that watches nothing yet. The Engine runs commands in containers. `changed` is called from any thread when a
    /// state has changed, and must not block.
    pub fn new(
        clock: Arc<dyn Clock>,
        engine: Arc<dyn Engine>,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let changed = Box::new(changed);
        Self {
            shared: Arc::new(ProberState {
                clock,
                engine,
                changed,
                watched: Mutex::default(),
                not_made: Mutex::default(),
            }),
        }
    }
}

impl Probes for Prober {
    fn watch(&self, target: ProbeTarget) {
        let now = self.shared.clock.mono();
        let mut watched = self.shared.lock();
        let tracker = match watched.get(&target.id) {
            Some(known) if known.target == target => return,
            Some(known) => {
                let mut tracker = known.tracker.clone();
                tracker.set_health(&target.health, now);
                tracker
            }
            None => Tracker::new(&target.health, now),
        };
        let task = match target.health.check {
            HealthCheck::None(_) => None,
            HealthCheck::Http(_) | HealthCheck::Tcp(_) | HealthCheck::Grpc(_) | HealthCheck::Exec(_) => {
                let probing = Arc::clone(&self.shared).probe_on(target.clone());
                Some(AbortOnDropHandle::new(tokio::spawn(probing)))
            }
        };
        let reported = (tracker.state().clone(), now);
        watched.insert(target.id.clone(), WatchedEndpoint { target, tracker, reported, _task: task });
    }

    fn retain(&self, keep: &BTreeSet<EndpointId>) {
        self.shared.lock().retain(|id, _| keep.contains(id));
    }

    fn state(&self, id: &EndpointId) -> Option<ProbeState> {
        self.shared.lock().get(id).map(|watched| watched.tracker.state().clone())
    }

    fn shortage(&self) -> Option<String> {
        let now = self.shared.clock.mono();
        let not_made = self.shared.not_made.lock();
        let recent = not_made.as_ref().filter(|(at, _)| now.since(*at) < SHORTAGE_SHOWN);
        recent.map(|(_, message)| message.clone())
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        // Each task holds the map that holds its handle; only this ends the reference cycle.
        self.shared.lock().clear();
    }
}

impl ProberState {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<EndpointId, WatchedEndpoint>> {
        self.watched.lock()
    }

    /// Probes at once and then at intervals, until the endpoint is no longer watched.
    async fn probe_on(self: Arc<Self>, target: ProbeTarget) {
        let mut left = None;
        loop {
            let began = self.clock.mono();
            let outcome = probe(&*self.engine, &target, &mut left).await;
            let now = self.clock.mono();
            let outcome = self.unless_not_made(outcome, now);
            let Some(interval) = self.record(&target, outcome, now) else { return };
            let wait = sooner(interval, self.clock.random());
            tokio::time::sleep(began.after(wait).since(now).std()).await;
        }
    }

    /// A probe that could not be made has no outcome: the replica is not to blame for a shortage of this machine.
    fn unless_not_made(
        &self,
        outcome: Option<Result<(), FailedProbe>>,
        now: Mono,
    ) -> Option<Result<(), FailedProbe>> {
        match outcome {
            Some(Err(FailedProbe { answer: ProbeAnswer::NotMade, message })) => {
                let before = self.not_made.lock().replace((now, message.clone()));
                if before.is_none_or(|(at, _)| now.since(at) >= SHORTAGE_SHOWN) {
                    tracing::error!("a probe could not be made, replicas keep their state: {message}");
                    (self.changed)();
                }
                None
            }
            outcome => outcome,
        }
    }

    /// Records an outcome (`None` if the probe was not possible) and returns the time to the next probe; `None` if this
    /// target is no longer watched.
    fn record(
        &self,
        target: &ProbeTarget,
        outcome: Option<Result<(), FailedProbe>>,
        now: Mono,
    ) -> Option<Millis> {
        let (interval, is_news) = {
            let mut all = self.lock();
            let watched = all.get_mut(&target.id).filter(|watched| watched.target == *target)?;
            match outcome {
                Some(outcome) => watched.tracker.record(outcome, now),
                None => watched.tracker.skip(now),
            }
            let is_news = is_news(&watched.reported, watched.tracker.state(), now);
            if is_news {
                watched.reported = (watched.tracker.state().clone(), now);
            }
            (watched.tracker.interval(), is_news)
        };
        if is_news {
            (self.changed)();
        }
        Some(interval)
    }
}

/// Whether a state is worth a report after the one last reported.
fn is_news((reported, at): &(ProbeState, Mono), state: &ProbeState, now: Mono) -> bool {
    let another = std::mem::discriminant(reported) != std::mem::discriminant(state);
    let first_observation = reported.last().is_none() && state.last().is_some();
    another || first_observation || (reported.last() != state.last() && now.since(*at) >= REWORDED_EVERY)
}

/// Between four fifths of the interval and all of it, so that probes that began together drift apart within a few
/// rounds.
fn sooner(interval: Millis, random: u64) -> Millis {
    Millis(interval.0 - random % (interval.0 / 5 + 1))
}

/// Probes once; `None` if that was not possible. `left` is a command that an earlier probe left running.
async fn probe(
    engine: &dyn Engine,
    target: &ProbeTarget,
    left: &mut Option<ExecId>,
) -> Option<Result<(), FailedProbe>> {
    let Health { check, timeout, .. } = &target.health;
    let place = &target.place;
    let too_slow = format!("no answer in {timeout}");
    Some(match check {
        HealthCheck::Http(path) => {
            tokio::time::timeout(timeout.std(), http::probe(place, path, &target.health))
                .await
                .unwrap_or_else(|_| Err(observation::no_answer(path, &too_slow)))
        }
        HealthCheck::Tcp(_) => tokio::time::timeout(timeout.std(), tcp::probe(place, *timeout))
            .await
            .unwrap_or_else(|_| Err(observation::no_connection(place.port, &too_slow))),
        HealthCheck::Grpc(service) => tokio::time::timeout(timeout.std(), grpc::probe(place, service))
            .await
            .unwrap_or_else(|_| Err(observation::grpc(service, &too_slow, b""))),
        HealthCheck::Exec(command) => {
            let container = target.id.container()?;
            return exec::probe(engine, &container, command, *timeout, left).await;
        }
        HealthCheck::None(_) => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::clock::RealClock;
    use crate::engine::FakeEngine;
    use crate::model::ContainerId;

    use std::net::SocketAddr;

    /// Something to probe, with a switch and a counter.
    struct Server {
        address: SocketAddr,
        well: Arc<AtomicBool>,
        asked: Arc<AtomicUsize>,
    }

    impl Server {
        async fn start(well: bool) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = Self { address, well: Arc::new(AtomicBool::new(well)), asked: Arc::default() };
            let (well, asked) = (Arc::clone(&server.well), Arc::clone(&server.asked));
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    asked.fetch_add(1, Ordering::SeqCst);
                    let mut request = [0; 1024];
                    let _ = stream.read(&mut request).await;
                    let answer: &[u8] = if well.load(Ordering::SeqCst) {
                        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
                    } else {
                        b"HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nill\n"
                    };
                    let _ = stream.write_all(answer).await;
                }
            });
            server
        }

        fn target(&self, health: Health) -> ProbeTarget {
            let id = EndpointId::new(&ContainerId::new("c"), jiff::Timestamp::UNIX_EPOCH);
            ProbeTarget { id, place: ProbeAddress::direct(self.address), health }
        }
    }

    fn quick() -> Health {
        Health {
            interval: Millis(10),
            start_within: Millis(100),
            unhealthy_after: 2,
            ..Health::with(HealthCheck::Http("/h".into()))
        }
    }

    fn prober() -> (Prober, Arc<AtomicUsize>) {
        let news = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&news);
        let changed = move || {
            counter.fetch_add(1, Ordering::SeqCst);
        };
        let engine = Arc::new(FakeEngine::new(|| jiff::Timestamp::UNIX_EPOCH));
        (Prober::new(Arc::new(RealClock::new()), engine, changed), news)
    }

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert!(waited.is_ok(), "{what} did not happen");
    }

    #[tokio::test]
    async fn probe_that_could_not_be_made_changes_nothing_and_is_shown() {
        let (prober, _) = prober();
        let not_made = FailedProbe { message: "too many open files".into(), answer: ProbeAnswer::NotMade };
        let now = prober.shared.clock.mono();
        assert_eq!(prober.shared.unless_not_made(Some(Err(not_made)), now), None);
        assert_eq!(prober.shortage(), Some("too many open files".to_owned()));
        assert_eq!(prober.shared.unless_not_made(Some(Ok(())), now), Some(Ok(())));
    }

    #[tokio::test]
    async fn prober_moves_endpoint_through_its_states() {
        let server = Server::start(false).await;
        let (prober, news) = prober();
        let target = server.target(quick());
        let id = target.id.clone();
        assert_eq!(prober.state(&id), None);
        prober.watch(target.clone());
        let state = || prober.state(&id).unwrap();
        assert!(matches!(state(), ProbeState::Starting { last: None, .. }));
        until("a first observation", || {
            state().last().map(|f| f.message.clone()).as_deref() == Some("GET /h → 503 \"ill\"")
        })
        .await;
        until("too late", || matches!(state(), ProbeState::TooLate { .. })).await;
        server.well.store(true, Ordering::SeqCst);
        until("ready", || state().is_ready()).await;
        server.well.store(false, Ordering::SeqCst);
        until("failing", || matches!(state(), ProbeState::Failing { .. })).await;
        until("reported of each", || news.load(Ordering::SeqCst) == 4).await;
        let asked = server.asked.load(Ordering::SeqCst);
        until("further probes", || server.asked.load(Ordering::SeqCst) > asked + 5).await;
        assert_eq!(news.load(Ordering::SeqCst), 4, "the same again is no news");
    }

    #[tokio::test]
    async fn new_timings_keep_the_state_and_the_same_target_changes_nothing() {
        let server = Server::start(true).await;
        let (prober, _) = prober();
        let slow = Health { interval: Millis::secs(3600), ..quick() };
        let target = server.target(slow);
        prober.watch(target.clone());
        until("ready", || prober.state(&target.id).is_some_and(|s| s.is_ready())).await;
        prober.watch(target.clone());
        assert_eq!(server.asked.load(Ordering::SeqCst), 1);
        prober.watch(server.target(quick()));
        assert!(prober.state(&target.id).unwrap().is_ready());
        until("probes as often as reported", || server.asked.load(Ordering::SeqCst) > 3).await;
    }

    #[tokio::test]
    async fn prober_stops_probing_dropped_targets() {
        let server = Server::start(true).await;
        let (prober, _) = prober();
        let target = server.target(quick());
        prober.watch(target.clone());
        until("probed", || server.asked.load(Ordering::SeqCst) > 2).await;
        prober.retain(&BTreeSet::from([target.id.clone()]));
        assert!(prober.state(&target.id).is_some());
        prober.retain(&BTreeSet::new());
        assert_eq!(prober.state(&target.id), None);
        until("the task is gone", || Arc::strong_count(&prober.shared) == 1).await;
        prober.watch(target);
        let shared = Arc::downgrade(&prober.shared);
        drop(prober);
        until("nothing is left of a dropped prober", || shared.strong_count() == 0).await;
    }

    #[tokio::test]
    async fn target_without_check_is_ready_and_has_no_task() {
        let (prober, _) = prober();
        let server = Server::start(false).await;
        let target = server.target(Health::with(HealthCheck::None(true)));
        prober.watch(target.clone());
        assert!(prober.state(&target.id).unwrap().is_ready());
        assert_eq!(Arc::strong_count(&prober.shared), 1);
    }

    #[tokio::test]
    async fn probe_of_silent_server_fails_at_timeout() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (prober, _) = prober();
        let server = Server::start(true).await;
        let health = Health { timeout: Millis(20), ..quick() };
        let target = ProbeTarget {
            place: ProbeAddress::direct(listener.local_addr().unwrap()),
            ..server.target(health)
        };
        prober.watch(target.clone());
        let reported = || prober.state(&target.id).and_then(|s| s.last().map(|f| f.message.clone()));
        until("reported", || reported().as_deref() == Some("GET /h → no answer in 20ms")).await;
    }

    #[test]
    fn probe_jitter_is_at_most_20_percent_early() {
        for random in [0, 1, 7, 999_999, u64::MAX] {
            let wait = sooner(Millis(5000), random);
            assert!((4000..=5000).contains(&wait.0), "{wait}");
        }
        assert_eq!(sooner(Millis(1), 5), Millis(1));
    }

    #[test]
    fn changed_message_is_news_at_most_once_per_second() {
        let failing = |last: &str| ProbeState::Failing { since: Mono(0), last: last.into() };
        let reported = (failing("1 of 3"), Mono(1000));
        assert!(!is_news(&reported, &failing("2 of 3"), Mono(1999)));
        assert!(is_news(&reported, &failing("2 of 3"), Mono(2000)));
        assert!(!is_news(&reported, &failing("1 of 3"), Mono(9000)));
        assert!(is_news(&reported, &ProbeState::Ready { since: Mono(1001) }, Mono(1001)));
    }
}
