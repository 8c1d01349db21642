//! A fake Engine for tests and the simulation: Docker's rules without Docker.
//!
//! Purpose: containers with states, names, networks and addresses; images that can be pulled; events; faults on demand.
//! Calls return at once; what takes time (a slow stop) happens at the first call or [`FakeEngine::tick`] after the
//! caller's clock has passed it.
//! Invariants: no clock, randomness or task of its own, so a seed replays; ids follow from the order of calls; the same
//! contract tests run on it and on Docker.
//! Deliberately absent: processes and packets. A simulated prober asks [`FakeEngine::reach`]. Built for tests and with the
//! feature `testing` only.

mod behaviour;
mod container;
mod engine;
mod faults;
mod hub;
mod images;
mod networks;
mod observe;
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

use super::{
    ContainerSpec, EngineError, EngineInfo, ImageInfo, LogLine, NetworkSpec, ObservedContainer, OneOffSpec,
};
use crate::model::{ContainerId, EngineKind, ExposureMode, MemorySize};
use faults::Faults;
use world::World;

/// The fake. Clones are handles to the same engine.
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

/// The container that a probe of an address reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachedContainer {
    pub container: ContainerId,
    /// Whether it passes the probe.
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
            cpu: None,
            kind: EngineKind::Native,
            unenforced: Vec::new(),
        };
        Self { now: Arc::new(now), info, state: Arc::default() }
    }

    fn locked<T>(&self, f: impl FnOnce(&mut State, jiff::Timestamp) -> T) -> T {
        let now = (self.now)();
        let mut state = self.state.lock();
        state.world.advance_processes(now);
        f(&mut state, now)
    }

    /// Makes everything happen that is due by now.
    pub fn tick(&self) {
        self.locked(|_, _| ());
    }

    /// When the next process ends by itself: a virtual clock may jump there.
    pub fn next_due(&self) -> Option<jiff::Timestamp> {
        self.locked(|state, _| state.world.next_due())
    }

    /// Builds an image that no registry has; an existing tag moves to it.
    pub fn add_image(&self, tag: &str, behaviour: Behaviour) -> ImageInfo {
        self.locked(|state, _| state.world.images.build(tag, behaviour))
    }

    /// Pushes an image to the registry; returns its digest reference. An existing tag moves to it.
    pub fn publish(&self, tag: &str, behaviour: Behaviour) -> String {
        self.locked(|state, _| state.world.images.publish(tag, behaviour))
    }

    /// Makes pulls of this reference fail until it is published again.
    pub fn fail_pull(&self, reference: &str, error: EngineError) {
        self.locked(|state, _| state.world.images.fail_pull(reference, error));
    }

    /// Removes an image by hand, with all its tags.
    pub fn remove_image(&self, reference: &str) {
        self.locked(|state, _| state.world.images.remove(reference));
    }

    /// Changes how one container behaves from now on.
    pub fn set_behaviour(&self, id: &ContainerId, behaviour: Behaviour) {
        self.locked(|state, _| state.world.set_behaviour(id, behaviour));
    }

    /// Creates a container by hand, for example a foreign one. Changes by hand are not in the journal.
    pub fn create_by_hand(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        self.unrecorded(|world, now| world.create(spec, now))
    }

    /// Starts a container by hand.
    pub fn start_by_hand(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.unrecorded(|world, now| world.start(id, now))
    }

    /// Creates a network by hand, for example one whose subnet is in the way.
    pub fn create_network_by_hand(&self, spec: &NetworkSpec) -> Result<(), EngineError> {
        self.unrecorded(|world, _| world.create_network(spec))
    }

    /// Removes a network by hand.
    pub fn remove_network_by_hand(&self, name: &str) -> Result<(), EngineError> {
        self.unrecorded(|world, now| world.remove_network(name, now))
    }

    /// The container's process exits with this code.
    pub fn exit(&self, id: &ContainerId, code: i64) {
        self.locked(|state, now| state.world.end(id, now, code));
    }

    /// Sends the container a signal by hand.
    pub fn kill_by_hand(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError> {
        self.unrecorded(|world, now| world.kill(id, signal, now))
    }

    /// Removes the container by hand.
    pub fn remove_by_hand(&self, id: &ContainerId) {
        self.locked(|state, now| state.world.remove(id, now));
    }

    /// Takes the container off its network by hand.
    pub fn disconnect_by_hand(&self, id: &ContainerId) {
        self.locked(|state, now| state.world.disconnect(id, now));
    }

    /// Pauses the container by hand.
    pub fn pause_by_hand(&self, id: &ContainerId) {
        self.locked(|state, now| state.world.pause(id, true, now));
    }

    /// Unpauses the container by hand.
    pub fn unpause_by_hand(&self, id: &ContainerId) {
        self.locked(|state, now| state.world.pause(id, false, now));
    }

    /// Sets the node's memory.
    #[must_use]
    pub fn with_memory(mut self, memory: MemorySize) -> Self {
        self.info.memory = Some(memory);
        self
    }

    /// Sets the kind of Engine.
    #[must_use]
    pub fn of_kind(mut self, kind: EngineKind) -> Self {
        self.info.kind = kind;
        self
    }

    /// The exit code of one-off containers from now on.
    pub fn end_one_offs_with(&self, code: i64) {
        self.locked(|state, _| state.world.one_off_code = code);
    }

    /// The one-off containers that have run so far.
    pub fn one_offs(&self) -> Vec<OneOffSpec> {
        self.locked(|state, _| state.world.one_offs.clone())
    }

    /// Adds a line to the container's log.
    pub fn write_log(&self, id: &ContainerId, line: LogLine) {
        self.locked(|state, _| state.world.write_log(id, line));
    }

    /// All containers, ours or not; works while the engine is away.
    pub fn containers(&self) -> Vec<ObservedContainer> {
        self.locked(|state, _| state.world.all())
    }

    /// The spec that a container was created from.
    pub fn spec(&self, id: &ContainerId) -> Option<ContainerSpec> {
        self.locked(|state, _| state.world.spec(id))
    }

    /// The container that a probe of this address reaches now.
    pub fn reach(&self, address: SocketAddr) -> Option<ReachedContainer> {
        if self.info.kind.exposure() == ExposureMode::Published && !address.ip().is_loopback() {
            return None;
        }
        self.locked(|state, now| {
            let found = state.world.at_address(address, now);
            found.map(|(container, healthy)| ReachedContainer { container, healthy })
        })
    }

    /// The changes that calls made so far, in order, also those whose response was lost.
    pub fn journal(&self) -> Vec<Mutation> {
        self.locked(|state, _| state.world.journal.clone())
    }

    /// The changes since the last call of this.
    pub fn take_journal(&self) -> Vec<Mutation> {
        self.locked(|state, _| std::mem::take(&mut state.world.journal))
    }

    /// Makes the next call of this kind fail without effect. Several are used up in order.
    pub fn fail_next(&self, call: Call, error: EngineError) {
        self.locked(|state, _| state.faults.plan(call, Fault::Fails(error)));
    }

    /// Makes the next call of this kind take effect and lose its response.
    pub fn lose_answer(&self, call: Call) {
        self.locked(|state, _| state.faults.plan(call, Fault::AnswerLost));
    }

    /// Asks `chooser` for the fault of each call, for seeded tests. Planned faults come first.
    pub fn choose_faults(&self, chooser: impl FnMut(Call) -> Option<Fault> + Send + 'static) {
        self.locked(|state, _| state.faults.choose_by(Some(Box::new(chooser))));
    }

    /// Removes all faults, planned or chosen; an engine that is away comes back.
    pub fn clear_faults(&self) {
        self.locked(|state, _| state.faults = Faults::default());
    }

    /// The engine goes away: all calls fail with `Stopped` and event streams end. Its containers keep running.
    pub fn go_away(&self) {
        let error = EngineError::Stopped { socket: SOCKET.to_owned() };
        self.locked(|state, _| {
            state.world.hub.interrupt(&error);
            state.faults.away = Some(error);
        });
    }

    /// The engine comes back.
    pub fn come_back(&self) {
        self.locked(|state, _| state.faults.away = None);
    }

    /// Makes a process outside containers listen on a port of the node.
    pub fn take_port(&self, port: u16) {
        self.locked(|state, _| state.world.taken_ports.insert(port));
    }

    /// While on, events are lost and the streams stay open.
    pub fn silence_events(&self, on: bool) {
        self.locked(|state, _| state.world.hub.silent = on);
    }

    /// Ends every event stream with an error.
    pub fn break_events(&self) {
        let message = "the stream ended".to_owned();
        let error = EngineError::Unanswered { call: Call::Events.name(), message };
        self.locked(|state, _| state.world.hub.interrupt(&error));
    }

    /// Makes a change that is not recorded in the journal.
    fn unrecorded<T>(&self, f: impl FnOnce(&mut World, jiff::Timestamp) -> T) -> T {
        self.locked(|state, now| {
            let length = state.world.journal.len();
            let result = f(&mut state.world, now);
            state.world.journal.truncate(length);
            result
        })
    }
}
