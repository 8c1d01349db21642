//! An engine that behaves, for tests and the simulation: Docker's rules without Docker.
//!
//! Purpose: containers with states, names, networks and addresses; images that can be pulled; events; and faults on
//! demand. It answers at once; what takes time (a slow stop) happens when the caller's clock has passed it, at the next
//! call or [`FakeEngine::tick`].
//! Invariants: no clock, randomness or task of its own, so a seed replays; ids follow from the order of the calls; the
//! same contract tests run on it and on real Docker.
//! Deliberately absent: processes and packets. A simulated prober asks [`FakeEngine::answer`].

mod behaviour;
mod container;
mod engine;
mod faults;
mod hub;
mod images;
mod ports;
mod subnet;
#[cfg(test)]
mod tests;
mod volumes;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

pub use behaviour::{Behaviour, Healthy, Runs, Stops};
pub use faults::{Call, Fault, Mutation};

use super::{ContainerSpec, EngineError, EngineInfo, ImageInfo, LogLine, NetworkSpec, ObservedContainer};
use crate::model::{ContainerId, EngineKind, ExposureMode, MemorySize};
use faults::Faults;
use world::World;

/// The fake. Clones are handles to the same engine: a test keeps one and gives one away.
#[derive(Clone)]
pub struct FakeEngine {
    now: Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>,
    info: EngineInfo,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    world: World,
    faults: Faults,
}

/// What a probe of an address would find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The container that runs there.
    pub container: ContainerId,
    /// Whether it passes.
    pub healthy: bool,
}

/// Path shown in errors; nothing is opened.
const SOCKET: &str = "/fake/docker.sock";

impl FakeEngine {
    /// An empty engine that reads the time from `now` (`{ let c = clock.clone(); move || c.wall() }`).
    pub fn new(now: impl Fn() -> jiff::Timestamp + Send + Sync + 'static) -> Self {
        let info = EngineInfo {
            id: "FAKE:ENGINE".to_owned(),
            name: "fake".to_owned(),
            version: "0".to_owned(),
            api_version: "1.41".to_owned(),
            memory: None,
            kind: EngineKind::Native,
            unenforced: Vec::new(),
        };
        Self { now: Arc::new(now), info, state: Arc::default() }
    }

    /// The same engine under another id and host name: for a second host.
    #[must_use]
    pub fn named(mut self, id: &str, name: &str) -> Self {
        self.info.id = id.to_owned();
        self.info.name = name.to_owned();
        self
    }

    fn locked<T>(&self, f: impl FnOnce(&mut State, jiff::Timestamp) -> T) -> T {
        let now = (self.now)();
        let mut state = self.state.lock();
        state.world.settle(now);
        f(&mut state, now)
    }

    /// Lets everything happen that is due by now.
    pub fn tick(&self) {
        self.locked(|_, _| ());
    }

    /// The next time at which something happens by itself: where a virtual clock may jump to.
    pub fn next_due(&self) -> Option<jiff::Timestamp> {
        self.locked(|state, _| state.world.next_due())
    }

    /// Builds an image that only this Engine has; a tag that was taken moves to it.
    pub fn add_image(&self, tag: &str, behaviour: Behaviour) -> ImageInfo {
        self.locked(|state, _| state.world.images.build(tag, behaviour))
    }

    /// Puts an image into the registry; returns its digest reference. A tag that was taken moves to it.
    pub fn publish(&self, tag: &str, behaviour: Behaviour) -> String {
        self.locked(|state, _| state.world.images.publish(tag, behaviour))
    }

    /// From now on a pull of this reference fails so, until it is published again.
    pub fn fail_pull(&self, reference: &str, error: EngineError) {
        self.locked(|state, _| state.world.images.fail_pull(reference, error));
    }

    /// Removes an image by hand, with all its tags.
    pub fn remove_image(&self, reference: &str) {
        self.locked(|state, _| state.world.images.remove(reference));
    }

    /// Changes what one container does from now on.
    pub fn set_behaviour(&self, id: &ContainerId, behaviour: Behaviour) {
        self.locked(|state, _| state.world.set_behaviour(id, behaviour));
    }

    /// Makes a container by hand, such as somebody else's; not in the journal.
    pub fn create_by_hand(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        self.unrecorded(|world, now| world.create(spec, now))
    }

    /// Starts a container by hand.
    pub fn start_by_hand(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.unrecorded(|world, now| world.start(id, now))
    }

    /// Makes a network by hand, such as one whose subnet is in the way.
    pub fn create_network_by_hand(&self, spec: &NetworkSpec) -> Result<(), EngineError> {
        self.unrecorded(|world, _| world.create_network(spec))
    }

    /// Removes a network by hand.
    pub fn remove_network_by_hand(&self, name: &str) -> Result<(), EngineError> {
        self.unrecorded(|world, now| world.remove_network(name, now))
    }

    /// The container's process ends by itself with this code.
    pub fn exit(&self, id: &ContainerId, code: i64) {
        self.locked(|state, now| state.world.end(id, now, code));
    }

    /// Somebody sends the container a signal by hand.
    pub fn kill_by_hand(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError> {
        self.unrecorded(|world, now| world.kill(id, signal, now))
    }

    /// Somebody removes the container by hand.
    pub fn remove_by_hand(&self, id: &ContainerId) {
        self.locked(|state, now| state.world.remove(id, now));
    }

    /// Somebody pauses the container by hand.
    pub fn pause_by_hand(&self, id: &ContainerId) {
        self.locked(|state, now| state.world.pause(id, true, now));
    }

    /// Somebody lets a paused container go on.
    pub fn unpause_by_hand(&self, id: &ContainerId) {
        self.locked(|state, now| state.world.pause(id, false, now));
    }

    /// Says how much memory the machine has.
    #[must_use]
    pub fn with_memory(mut self, memory: MemorySize) -> Self {
        self.info.memory = Some(memory);
        self
    }

    /// Says where the Engine runs its containers.
    #[must_use]
    pub fn of_kind(mut self, kind: EngineKind) -> Self {
        self.info.kind = kind;
        self
    }

    /// The container writes a line.
    pub fn write_log(&self, id: &ContainerId, line: LogLine) {
        self.locked(|state, _| state.world.write_log(id, line));
    }

    /// Every container, whoever made it; works while the engine is away.
    pub fn containers(&self) -> Vec<ObservedContainer> {
        self.locked(|state, _| state.world.all())
    }

    /// What a container was made from.
    pub fn spec(&self, id: &ContainerId) -> Option<ContainerSpec> {
        self.locked(|state, _| state.world.spec(id))
    }

    /// What a probe there would find now; `None` if nobody is reached there.
    pub fn answer(&self, address: SocketAddr) -> Option<Answer> {
        if self.info.kind.exposure() == ExposureMode::Published && !address.ip().is_loopback() {
            return None;
        }
        self.locked(|state, now| {
            let found = state.world.at_address(address, now);
            found.map(|(container, healthy)| Answer { container, healthy })
        })
    }

    /// The changes asked for so far, in their order: those that happened, whether or not the answer arrived.
    pub fn journal(&self) -> Vec<Mutation> {
        self.locked(|state, _| state.world.journal.clone())
    }

    /// The changes since the last time this was called.
    pub fn take_journal(&self) -> Vec<Mutation> {
        self.locked(|state, _| std::mem::take(&mut state.world.journal))
    }

    /// The next call of this kind fails so and does nothing. Several are taken in their order.
    pub fn fail_next(&self, call: Call, error: EngineError) {
        self.locked(|state, _| state.faults.plan(call, Fault::Fails(error)));
    }

    /// The next call of this kind happens, and its answer is lost.
    pub fn lose_answer(&self, call: Call) {
        self.locked(|state, _| state.faults.plan(call, Fault::AnswerLost));
    }

    /// Asks for each call whether something goes wrong: for a seeded world. Planned faults come first.
    pub fn choose_faults(&self, chooser: impl FnMut(Call) -> Option<Fault> + Send + 'static) {
        self.locked(|state, _| state.faults.choose_by(Some(Box::new(chooser))));
    }

    /// No faults any more, planned or chosen; an engine that is away is there again.
    pub fn clear_faults(&self) {
        self.locked(|state, _| state.faults = Faults::default());
    }

    /// The engine goes away: all calls fail as stopped and event streams end. Its containers live on.
    pub fn go_away(&self) {
        self.go_away_with(EngineError::Stopped { socket: SOCKET.to_owned() });
    }

    /// As [`Self::go_away`], with another reason.
    pub fn go_away_with(&self, error: EngineError) {
        self.locked(|state, _| {
            state.world.hub.interrupt(&error);
            state.faults.away = Some(error);
        });
    }

    /// The engine is there again.
    pub fn come_back(&self) {
        self.locked(|state, _| state.faults.away = None);
    }

    /// Something other than a container listens on a port of the machine.
    pub fn take_port(&self, port: u16) {
        self.locked(|state, _| state.world.taken_ports.insert(port));
    }

    /// While on, no event reaches anybody, and the streams stay open.
    pub fn silence_events(&self, on: bool) {
        self.locked(|state, _| state.world.hub.silent = on);
    }

    /// Ends every event stream with an error.
    pub fn break_events(&self) {
        let message = "the stream ended".to_owned();
        let error = EngineError::Unanswered { call: Call::Events.name(), message };
        self.locked(|state, _| state.world.hub.interrupt(&error));
    }

    /// Runs a change that is not the caller's of the trait, so the journal stays as it was.
    fn unrecorded<T>(&self, f: impl FnOnce(&mut World, jiff::Timestamp) -> T) -> T {
        self.locked(|state, now| {
            let length = state.world.journal.len();
            let result = f(&mut state.world, now);
            state.world.journal.truncate(length);
            result
        })
    }
}
