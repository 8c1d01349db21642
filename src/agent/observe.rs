//! What the Engine shows: a cache of containers and networks, kept by full looks and by inspecting what a hint names.
//!
//! Every answer carries the tick at which its question was asked; an answer to an earlier question never replaces one to
//! a later, in whatever order they arrive. An event is a hint where to look, never a fact.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::engine::{
    ContainerState, Engine, EngineError, EngineEvent, EngineInfo, LABEL_STORE, NetworkSpec,
    ObservedContainer, ObservedNetwork,
};
use crate::model::ContainerId;
use crate::registry::Registry;

/// Events of so long before the last one seen are asked for again: the stream may have lost some, and doubles do no harm.
const EVENT_OVERLAP: Duration = Duration::from_secs(5);
/// Wait before the event stream is asked for again.
const EVENTS_RETRY: Duration = Duration::from_millis(500);
/// A start event so soon after the start that is known is the event of that start.
const SAME_START: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);

/// When a question was asked, as an order.
#[derive(Debug, Clone, Default)]
pub(super) struct Ticks(Arc<AtomicU64>);

impl Ticks {
    /// The next one.
    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// One full look at the Engine.
#[derive(Debug)]
pub(super) struct Look {
    /// What it is; only asked for after it was away.
    pub(super) info: Option<EngineInfo>,
    containers: Vec<ObservedContainer>,
    networks: Vec<ObservedNetwork>,
    subnets: Vec<String>,
}

impl Look {
    /// Looks at everything.
    pub(super) async fn take(engine: &dyn Engine, with_info: bool) -> Result<Look, EngineError> {
        let info = if with_info { Some(engine.info().await?) } else { None };
        let (containers, networks, subnets) =
            futures::try_join!(engine.list(), engine.networks(), engine.subnets())?;
        Ok(Look { info, containers, networks, subnets })
    }
}

/// The cache.
#[derive(Debug, Default)]
pub(super) struct Observation {
    /// With the tick of the question; `None` is known to be gone.
    containers: BTreeMap<ContainerId, (u64, Option<ObservedContainer>)>,
    networks: (u64, Vec<ObservedNetwork>),
    subnets: Vec<String>,
    /// The tick of the last full look; `None` before the first.
    looked: Option<u64>,
}

impl Observation {
    /// Whether a full look was ever taken.
    pub(super) fn is_complete(&self) -> bool {
        self.looked.is_some()
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = &ObservedContainer> {
        self.containers.values().filter_map(|(_, container)| container.as_ref())
    }

    pub(super) fn networks(&self) -> &[ObservedNetwork] {
        &self.networks.1
    }

    pub(super) fn subnets(&self) -> &[String] {
        &self.subnets
    }

    pub(super) fn get(&self, id: &ContainerId) -> Option<&ObservedContainer> {
        self.containers.get(id).and_then(|(_, container)| container.as_ref())
    }

    /// A full look, begun at this tick.
    pub(super) fn looked(&mut self, tick: u64, look: Look) {
        let listed: BTreeSet<ContainerId> = look.containers.iter().map(|c| c.id.clone()).collect();
        for container in look.containers {
            self.saw(tick, container);
        }
        self.containers.retain(|id, (asked, _)| listed.contains(id) || *asked > tick);
        if tick > self.networks.0 {
            self.networks = (tick, look.networks);
            self.subnets = look.subnets;
        }
        self.looked = self.looked.max(Some(tick));
    }

    /// A container, asked for at this tick. One without a store label is nobody's of us and is not kept.
    ///
    /// One that is not known was not listed by the last full look: where that was begun later, it is gone since. Docker
    /// answers for a container that is being removed only when it is done with it, and tells how it was.
    pub(super) fn saw(&mut self, tick: u64, container: ObservedContainer) {
        let known = self.containers.get(&container.id).map(|(asked, _)| *asked).or(self.looked);
        let newer = known.is_none_or(|asked| tick > asked);
        if newer && container.labels.contains_key(LABEL_STORE) {
            self.containers.insert(container.id.clone(), (tick, Some(container)));
        }
    }

    /// A container does not exist, as of this tick.
    pub(super) fn gone(&mut self, tick: u64, id: &ContainerId) {
        if let Some(known) = self.containers.get_mut(id).filter(|(asked, _)| tick > *asked) {
            *known = (tick, None);
        }
    }

    /// A network was made.
    pub(super) fn network_made(&mut self, tick: u64, spec: &NetworkSpec) {
        self.network_gone(tick, &spec.name);
        self.subnets.push(spec.subnet.clone());
        self.networks.1.push(ObservedNetwork {
            id: String::new(),
            name: spec.name.clone(),
            subnets: vec![spec.subnet.clone()],
            labels: spec.labels.clone(),
        });
    }

    /// A network is gone.
    pub(super) fn network_gone(&mut self, tick: u64, name: &str) {
        self.networks.0 = tick;
        let gone: Vec<String> =
            self.networks.1.iter().filter(|n| n.name == name).flat_map(|n| n.subnets.clone()).collect();
        self.networks.1.retain(|n| n.name != name);
        self.subnets.retain(|s| !gone.contains(s));
    }
}

/// Whether an event may say something that the cache does not know. Our own creates and starts are looked at by
/// themselves, so their events are old news; what nobody knows and ends does not matter.
fn is_news(event: &EngineEvent, known: Option<&ObservedContainer>) -> bool {
    let started = known.filter(|c| c.state == ContainerState::Running).and_then(|c| c.started_at);
    match (event.action.as_str(), known) {
        ("create", known) => known.is_none(),
        ("start", Some(_)) => started.is_none_or(|at| event.at.duration_since(at) > SAME_START),
        // Every container comes to its network as it is started, and leaves it as it ends.
        ("connect", Some(_)) => started.is_none_or(|at| event.at.duration_since(at) > SAME_START),
        ("destroy" | "die" | "kill" | "stop" | "connect" | "disconnect", None) => false,
        _ => true,
    }
}

/// What the event stream found: shared between its reader and the loop.
#[derive(Debug, Default)]
pub(super) struct Hints {
    events: Mutex<BTreeMap<ContainerId, EngineEvent>>,
    look: Mutex<bool>,
}

impl Hints {
    fn note(&self, event: EngineEvent) {
        let Some(id) = event.container.clone() else {
            // A network that goes frees a subnet, which somebody may wait for; or it is ours, gone by hand.
            if event.action == "destroy" {
                self.look_at_all();
            }
            return;
        };
        let mut events = self.events.lock();
        // `create` and `start` of one container: the later says all.
        events.insert(id, event);
    }

    /// Everything must be looked at again.
    pub(super) fn look_at_all(&self) {
        *self.look.lock() = true;
    }

    /// Whether that was said since the last time this was asked.
    pub(super) fn take_look(&self) -> bool {
        std::mem::take(&mut *self.look.lock())
    }

    /// Containers to inspect. While containers are being made (`making`), events of unknown ones wait: most are theirs,
    /// and each of these is looked at when it is done.
    pub(super) fn take_news(&self, observation: &Observation, making: bool) -> Vec<ContainerId> {
        let mut events = self.events.lock();
        let taken = std::mem::take(&mut *events);
        let mut news = Vec::new();
        for (id, event) in taken {
            let known = observation.get(&id);
            if !is_news(&event, known) {
                continue;
            }
            if known.is_none() && making {
                events.insert(id, event);
            } else {
                news.push(id);
            }
        }
        news
    }
}

/// Reads the event stream for as long as the agent runs. Each time it is opened everything is looked at *afterwards*,
/// so that nothing falls between a look and the stream.
///
/// One event is more than a hint: the end of a container tells which start of it ended, for good. Its endpoint is out at
/// once, because Docker answers no question about a container while it clears up behind it, hundreds of milliseconds
/// long.
pub(super) async fn follow_events(
    engine: Arc<dyn Engine>,
    registry: Arc<Registry>,
    hints: Arc<Hints>,
    wake: Arc<Notify>,
) {
    let mut last: Option<jiff::Timestamp> = None;
    loop {
        let since = last.map(|at| at - EVENT_OVERLAP);
        if let Ok(mut events) = engine.events(since).await {
            hints.look_at_all();
            wake.notify_one();
            while let Some(Ok(event)) = events.next().await {
                last = last.max(Some(event.at));
                // A health check in a container makes three of these a time, and they say nothing of the container: one
                // must not take the place of an event that does.
                if event.action.starts_with("exec_") {
                    continue;
                }
                if let ("die", Some(container)) = (event.action.as_str(), &event.container) {
                    registry.withdraw_ended(container, event.at);
                }
                hints.note(event);
                wake.notify_one();
            }
            hints.look_at_all();
            wake.notify_one();
        }
        tokio::time::sleep(EVENTS_RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, state: ContainerState) -> ObservedContainer {
        ObservedContainer {
            id: ContainerId::new(id),
            name: id.to_owned(),
            labels: [(LABEL_STORE.to_owned(), "s".to_owned())].into(),
            state,
            started_at: None,
            finished_at: None,
            addresses: BTreeMap::new(),
            published: BTreeMap::new(),
            error: String::new(),
        }
    }

    fn look(containers: Vec<ObservedContainer>) -> Look {
        Look { info: None, containers, networks: Vec::new(), subnets: Vec::new() }
    }

    fn seen(observation: &Observation) -> Vec<&str> {
        observation.containers().map(|c| c.name.as_str()).collect()
    }

    #[test]
    fn a_late_answer_brings_nothing_back_that_a_later_look_did_not_find() {
        let mut observation = Observation::default();
        observation.looked(1, look(vec![container("a", ContainerState::Running)]));
        // asked at 2: Docker answers for a container that it removes only when it is done with it
        observation.gone(4, &ContainerId::new("a"));
        observation.looked(5, look(Vec::new()));
        observation.saw(2, container("a", ContainerState::Removing));
        assert_eq!(seen(&observation), [] as [&str; 0]);
        observation.saw(6, container("b", ContainerState::Running));
        assert_eq!(seen(&observation), ["b"], "a later answer counts");
    }

    #[test]
    fn a_look_that_began_earlier_takes_nothing_away_that_was_seen_since() {
        let mut observation = Observation::default();
        observation.saw(3, container("a", ContainerState::Running));
        observation.looked(2, look(vec![container("b", ContainerState::Running)]));
        assert_eq!(seen(&observation), ["a", "b"]);
        observation.gone(4, &ContainerId::new("a"));
        observation.looked(3, look(vec![container("a", ContainerState::Running)]));
        assert_eq!(seen(&observation), [] as [&str; 0], "gone as of 4, b by the look of 3");
    }

    #[test]
    fn a_network_that_goes_is_a_hint_to_look_and_one_that_comes_is_none() {
        let hints = Hints::default();
        let event = |action: &str| EngineEvent {
            container: None,
            action: action.to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        hints.note(event("create"));
        assert!(!hints.take_look());
        hints.note(event("destroy"));
        assert!(hints.take_look() && !hints.take_look());
    }
}
