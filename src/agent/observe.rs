//! What the Engine shows: a cache of containers and networks, kept by full looks and by inspecting what a hint names.
//!
//! Every answer carries the tick at which its question was asked; an answer to an earlier question never replaces one to
//! a later, in whatever order they arrive. An event is a hint where to look, never a fact.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
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
    complete: bool,
}

impl Observation {
    /// Whether a full look was ever taken.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
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
        self.complete = true;
    }

    /// A container, asked for at this tick. One without a store label is nobody's of us and is not kept.
    pub(super) fn saw(&mut self, tick: u64, container: ObservedContainer) {
        let newer = self.containers.get(&container.id).is_none_or(|(asked, _)| tick > *asked);
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
        let Some(id) = event.container.clone() else { return };
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        // `create` and `start` of one container: the later says all.
        events.insert(id, event);
    }

    /// Everything must be looked at again.
    pub(super) fn look_at_all(&self) {
        *self.look.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Whether that was said since the last time this was asked.
    pub(super) fn take_look(&self) -> bool {
        std::mem::take(&mut *self.look.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Containers to inspect. While containers are being made (`making`), events of unknown ones wait: most are theirs,
    /// and each of these is looked at when it is done.
    pub(super) fn take_news(&self, observation: &Observation, making: bool) -> Vec<ContainerId> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
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
