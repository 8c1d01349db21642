//! The containers and networks of the Engine: a cache, kept by full listings and by inspecting what events name.
//!
//! Every response carries the tick of its request; the response to an earlier request never replaces that to a later one, in
//! whatever order they arrive. An event is a hint where to look, never a fact.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::engine::{
    ContainerState, Engine, EngineError, EngineEvent, EngineEventKind, EngineInfo, LABEL_STORE, NetworkSpec,
    ObservedContainer, ObservedNetwork,
};
use crate::model::ContainerId;
use crate::registry::Registry;

/// A reopened stream starts this long before the last event: the old one may have lost some, and duplicates do no harm.
const EVENT_OVERLAP: Duration = Duration::from_secs(5);
/// Wait before the event stream is reopened.
const EVENTS_RETRY: Duration = Duration::from_millis(500);
/// A start event within this time of the known start belongs to that start.
const SAME_START: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);

/// Numbers requests in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Ticks(Arc<AtomicU64>);

impl Ticks {
    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A full listing of the Engine's objects.
#[derive(Debug)]
pub(super) struct EngineListing {
    /// Only requested after the Engine was away.
    pub(super) info: Option<EngineInfo>,
    containers: Vec<ObservedContainer>,
    networks: Vec<ObservedNetwork>,
    subnets: Vec<String>,
}

impl EngineListing {
    pub(super) async fn take(engine: &dyn Engine, with_info: bool) -> Result<EngineListing, EngineError> {
        let info = if with_info { Some(engine.info().await?) } else { None };
        let (containers, networks, subnets) =
            futures::try_join!(engine.list(), engine.networks(), engine.subnets())?;
        Ok(EngineListing { info, containers, networks, subnets })
    }
}

#[derive(Debug, Default)]
pub(super) struct Observation {
    /// With the tick of the request; `None` is known to be gone.
    containers: BTreeMap<ContainerId, (u64, Option<ObservedContainer>)>,
    networks: (u64, Vec<ObservedNetwork>),
    subnets: Vec<String>,
    /// The tick of the last full listing; `None` before the first.
    listed_at: Option<u64>,
}

impl Observation {
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

    /// A full listing, requested at this tick.
    pub(super) fn listed(&mut self, tick: u64, listing: EngineListing) {
        let listed: BTreeSet<ContainerId> = listing.containers.iter().map(|c| c.id.clone()).collect();
        for container in listing.containers {
            self.saw(tick, container);
        }
        self.containers.retain(|id, (asked, _)| listed.contains(id) || *asked > tick);
        if tick > self.networks.0 {
            self.networks = (tick, listing.networks);
            self.subnets = listing.subnets;
        }
        self.listed_at = self.listed_at.max(Some(tick));
    }

    /// A container, requested at this tick. One without a store label is ignored.
    ///
    /// An unknown container was not in the last full listing: if that was requested later, the container is gone. Docker
    /// answers for a container that is being removed only after the removal, with the old state.
    pub(super) fn saw(&mut self, tick: u64, container: ObservedContainer) {
        let known = self.containers.get(&container.id).map(|(asked, _)| *asked).or(self.listed_at);
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

    pub(super) fn network_created(&mut self, tick: u64, spec: &NetworkSpec) {
        self.network_removed(tick, &spec.name);
        self.subnets.push(spec.subnet.clone());
        self.networks.1.push(ObservedNetwork {
            id: String::new(),
            name: spec.name.clone(),
            subnets: vec![spec.subnet.clone()],
            labels: spec.labels.clone(),
        });
    }

    pub(super) fn network_removed(&mut self, tick: u64, name: &str) {
        self.networks.0 = tick;
        let gone: Vec<String> =
            self.networks.1.iter().filter(|n| n.name == name).flat_map(|n| n.subnets.clone()).collect();
        self.networks.1.retain(|n| n.name != name);
        self.subnets.retain(|s| !gone.contains(s));
    }
}

/// Whether an event may say something that the cache does not know. The agent inspects its own creates and starts anyway;
/// the exit of an unknown container does not matter.
fn is_news(event: &EngineEvent, known: Option<&ObservedContainer>) -> bool {
    let started = known.filter(|c| c.state == ContainerState::Running).and_then(|c| c.started_at);
    match (event.kind, known) {
        (EngineEventKind::Create, known) => known.is_none(),
        // Docker connects every container to its network as it starts, and disconnects it as it exits.
        (EngineEventKind::Start | EngineEventKind::Connect, Some(_)) => {
            started.is_none_or(|at| event.at.duration_since(at) > SAME_START)
        }
        (
            EngineEventKind::Die
            | EngineEventKind::Destroy
            | EngineEventKind::Stop
            | EngineEventKind::Connect,
            None,
        ) => false,
        _ => true,
    }
}

/// What the events hint at: shared between the stream's reader and the loop.
#[derive(Debug, Default)]
pub(super) struct Hints {
    events: Mutex<BTreeMap<ContainerId, EngineEvent>>,
    list_all: Mutex<bool>,
}

impl Hints {
    fn note(&self, event: EngineEvent) {
        let Some(id) = event.container.clone() else {
            // A removed network frees a subnet that a replica may wait for; or it is ours, removed by a user.
            if event.kind == EngineEventKind::Destroy {
                self.list_all();
            }
            return;
        };
        let mut events = self.events.lock();
        // Of `create` and `start` of one container the later one is enough.
        events.insert(id, event);
    }

    /// Requests a full listing.
    pub(super) fn list_all(&self) {
        *self.list_all.lock() = true;
    }

    /// Whether a full listing was requested since the last call.
    pub(super) fn take_list_all(&self) -> bool {
        std::mem::take(&mut *self.list_all.lock())
    }

    /// Containers to inspect. While containers are being created, events of unknown ones wait: most belong to those, and the
    /// agent inspects each of them when it is done.
    pub(super) fn take_news(&self, observation: &Observation, creating: bool) -> Vec<ContainerId> {
        let mut events = self.events.lock();
        let taken = std::mem::take(&mut *events);
        let mut news = Vec::new();
        for (id, event) in taken {
            let known = observation.get(&id);
            if !is_news(&event, known) {
                continue;
            }
            if known.is_none() && creating {
                events.insert(id, event);
            } else {
                news.push(id);
            }
        }
        news
    }
}

/// Reads the event stream for as long as the agent runs. Each time the stream is opened, a full listing follows
/// *afterwards*, so that nothing is lost between the two.
///
/// One event is more than a hint: `die` says which start of a container has ended, for good. Its endpoint is withdrawn at
/// once, because Docker answers no request about a container while it cleans up, for hundreds of milliseconds.
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
            hints.list_all();
            wake.notify_one();
            while let Some(Ok(event)) = events.next().await {
                last = last.max(Some(event.at));
                // Each exec probe causes three of these, and they say nothing about the container: one must not replace an
                // event that does.
                if event.kind == EngineEventKind::Exec {
                    continue;
                }
                if let (EngineEventKind::Die, Some(container)) = (event.kind, &event.container) {
                    registry.withdraw_ended(container, event.at);
                }
                hints.note(event);
                wake.notify_one();
            }
            hints.list_all();
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
            volumes: BTreeSet::new(),
            error: String::new(),
        }
    }

    fn listing(containers: Vec<ObservedContainer>) -> EngineListing {
        EngineListing { info: None, containers, networks: Vec::new(), subnets: Vec::new() }
    }

    fn seen(observation: &Observation) -> Vec<&str> {
        observation.containers().map(|c| c.name.as_str()).collect()
    }

    #[test]
    fn observation_ignores_a_late_response_to_a_request_before_the_last_listing() {
        let mut observation = Observation::default();
        observation.listed(1, listing(vec![container("a", ContainerState::Running)]));
        // Requested at 2: Docker answers for a container that it removes only after the removal.
        observation.gone(4, &ContainerId::new("a"));
        observation.listed(5, listing(Vec::new()));
        observation.saw(2, container("a", ContainerState::Removing));
        assert_eq!(seen(&observation), [] as [&str; 0]);
        observation.saw(6, container("b", ContainerState::Running));
        assert_eq!(seen(&observation), ["b"], "a later response counts");
    }

    #[test]
    fn observation_keeps_what_was_seen_after_a_listing_was_requested() {
        let mut observation = Observation::default();
        observation.saw(3, container("a", ContainerState::Running));
        observation.listed(2, listing(vec![container("b", ContainerState::Running)]));
        assert_eq!(seen(&observation), ["a", "b"]);
        observation.gone(4, &ContainerId::new("a"));
        observation.listed(3, listing(vec![container("a", ContainerState::Running)]));
        assert_eq!(seen(&observation), [] as [&str; 0], "a is gone as of 4, b by the listing of 3");
    }

    #[test]
    fn hints_request_a_listing_when_a_network_is_removed_not_when_one_is_created() {
        let hints = Hints::default();
        let event = |kind| EngineEvent { container: None, kind, at: jiff::Timestamp::UNIX_EPOCH };
        hints.note(event(EngineEventKind::Create));
        assert!(!hints.take_list_all());
        hints.note(event(EngineEventKind::Destroy));
        assert!(hints.take_list_all() && !hints.take_list_all());
    }
}
