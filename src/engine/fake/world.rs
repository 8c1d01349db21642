//! The state of the fake, and the life of its containers by Docker's rules. Time is an argument.

use std::collections::{BTreeMap, BTreeSet};

use super::behaviour::{Behaviour, Runs, Stops};
use super::container::Container;
use super::faults::Mutation;
use super::hub::Hub;
use super::images::{Images, hex_id};
use super::{ports, subnet};
use crate::engine::{
    ContainerSpec, ContainerState, EngineError, EngineEvent, EngineEventKind, EngineObject, NetworkSpec,
    ObservedVolume, OneOffSpec, VolumeSpec,
};
use crate::model::ContainerId;

/// The exit code of a process that SIGKILL ended.
const KILLED: i64 = 137;

/// Everything the fake engine has.
#[derive(Default)]
pub(super) struct World {
    pub(super) containers: BTreeMap<ContainerId, Container>,
    pub(super) networks: BTreeMap<String, NetworkSpec>,
    pub(super) volumes: BTreeMap<String, ObservedVolume>,
    pub(super) images: Images,
    pub(super) hub: Hub,
    pub(super) journal: Vec<Mutation>,
    /// Ports of the node that a process outside containers listens on.
    pub(super) taken_ports: BTreeSet<u16>,
    /// One-off containers that have run, and the code that the next one exits with.
    pub(super) one_offs: Vec<OneOffSpec>,
    pub(super) one_off_code: i64,
    /// Containers ever made: the source of ids.
    made: u64,
    /// Time of the last start, so that no two starts have the same.
    last_start: Option<jiff::Timestamp>,
}

pub(super) fn no_such(what: EngineObject, name: impl ToString) -> EngineError {
    EngineError::NotFound { what, name: name.to_string() }
}

impl World {
    /// Ends the processes that are due by now, in the order of time.
    pub(super) fn advance_processes(&mut self, now: jiff::Timestamp) {
        let due = |c: &Container| c.ends.filter(|(at, _)| *at <= now && c.state == ContainerState::Running);
        while let Some((at, code, id)) =
            self.containers.iter().filter_map(|(id, c)| due(c).map(|(at, code)| (at, code, id.clone()))).min()
        {
            self.end(&id, at, code);
        }
    }

    /// When the next process ends if no call comes before.
    pub(super) fn next_due(&self) -> Option<jiff::Timestamp> {
        let running = self.containers.values().filter(|c| c.state == ContainerState::Running);
        running.filter_map(|c| c.ends.map(|(at, _)| at)).min()
    }

    pub(super) fn event(&mut self, id: &ContainerId, kind: EngineEventKind, at: jiff::Timestamp) {
        self.hub.publish(EngineEvent { container: Some(id.clone()), kind, at });
    }

    pub(super) fn container(&mut self, id: &ContainerId) -> Result<&mut Container, EngineError> {
        self.containers.get_mut(id).ok_or_else(|| no_such(EngineObject::Container, id))
    }

    /// Ends a container's process; nothing if it does not run.
    pub(super) fn end(&mut self, id: &ContainerId, at: jiff::Timestamp, code: i64) {
        let Some(container) = self.containers.get_mut(id).filter(|c| c.is_up()) else { return };
        let oom_killed = code == KILLED && matches!(container.behaviour.runs, Runs::OutOfMemory { .. });
        container.state = ContainerState::Exited { code, oom_killed };
        container.finished_at = Some(at);
        container.ends = None;
        self.event(id, EngineEventKind::Die, at);
    }

    pub(super) fn create(
        &mut self,
        spec: &ContainerSpec,
        now: jiff::Timestamp,
    ) -> Result<ContainerId, EngineError> {
        if let Some((id, _)) = self.containers.iter().find(|(_, c)| c.spec.name == spec.name) {
            let message = format!("the container name \"/{}\" is already in use by {id}", spec.name);
            return Err(EngineError::Conflict { message });
        }
        let (image, behaviour) =
            self.images.behaviour(&spec.image).ok_or_else(|| no_such(EngineObject::Image, &spec.image))?;
        for mount in &spec.mounts {
            let VolumeSpec { name, labels } = mount.volume.clone();
            self.volumes.entry(name.clone()).or_insert(ObservedVolume { name, labels });
        }
        self.made += 1;
        let id = ContainerId::new(hex_id(&format!("container {}", self.made)));
        let container = Container {
            spec: spec.clone(),
            image,
            behaviour,
            state: ContainerState::Created,
            started_at: None,
            finished_at: None,
            error: String::new(),
            on_network: true,
            ends: None,
            log: Vec::new(),
        };
        self.containers.insert(id.clone(), container);
        self.journal.push(Mutation::Create { id: id.clone(), name: spec.name.clone() });
        self.event(&id, EngineEventKind::Create, now);
        Ok(id)
    }

    pub(super) fn start(&mut self, id: &ContainerId, now: jiff::Timestamp) -> Result<(), EngineError> {
        let container = self.container(id)?;
        if container.is_up() {
            return Ok(());
        }
        let spec = container.spec.clone();
        let runs = container.behaviour.runs.clone();
        if let Err(error) = self.may_start(id, &spec, &runs) {
            self.container(id)?.error = error.to_string();
            return Err(error);
        }
        let at = self.last_start.map_or(now, |last| now.max(last + std::time::Duration::from_nanos(1)));
        self.last_start = Some(at);
        let container = self.container(id)?;
        container.state = ContainerState::Running;
        container.started_at = Some(at);
        container.error.clear();
        container.ends = match runs {
            Runs::Exits { after, code } => Some((at + after.std(), code)),
            Runs::OutOfMemory { after } => Some((at + after.std(), KILLED)),
            Runs::Forever | Runs::CannotStart(_) => container.ends,
        };
        self.journal.push(Mutation::Start { id: id.clone(), name: spec.name });
        self.event(id, EngineEventKind::Start, at);
        self.advance_processes(at);
        Ok(())
    }

    /// What Docker checks only when a container is started.
    fn may_start(&self, id: &ContainerId, spec: &ContainerSpec, runs: &Runs) -> Result<(), EngineError> {
        let network =
            self.networks.get(&spec.network).ok_or_else(|| no_such(EngineObject::Network, &spec.network))?;
        if !subnet::contains(&network.subnet, spec.address) {
            let message =
                format!("invalid address {}: it does not belong to {}", spec.address, network.subnet);
            return Err(EngineError::Invalid { message });
        }
        self.is_free(id, network, spec.address)?;
        let running = self.containers.iter().filter(|(other, c)| *other != id && c.is_up());
        ports::are_free(spec, running.map(|(_, c)| &c.spec), &self.taken_ports)?;
        match runs {
            Runs::CannotStart(message) => Err(EngineError::Invalid { message: message.clone() }),
            Runs::Forever | Runs::Exits { .. } | Runs::OutOfMemory { .. } => Ok(()),
        }
    }

    pub(super) fn kill(
        &mut self,
        id: &ContainerId,
        signal: &str,
        now: jiff::Timestamp,
    ) -> Result<(), EngineError> {
        let container = self.container(id)?;
        if !container.is_up() {
            return Err(EngineError::NotRunning { name: container.spec.name.clone() });
        }
        let bare = |signal: &str| signal.strip_prefix("SIG").unwrap_or(signal).to_owned();
        let is_kill = bare(signal) == "KILL";
        let is_stop = bare(signal) == bare(&container.spec.stop_signal);
        if is_kill || is_stop {
            // Docker wakes a paused container for these.
            container.state = ContainerState::Running;
        }
        let end = match container.behaviour.stops {
            _ if is_kill => Some((now, KILLED)),
            Stops::After(wait) if is_stop => Some((now + wait.std(), 0)),
            Stops::After(_) | Stops::Never => None,
        };
        if let Some((at, code)) = end {
            let sooner = container.ends.is_none_or(|(earlier, _)| at < earlier);
            if sooner {
                container.ends = Some((at, code));
            }
        }
        let name = container.spec.name.clone();
        self.journal.push(Mutation::Kill { id: id.clone(), name, signal: signal.to_owned() });
        self.event(id, EngineEventKind::Stop, now);
        self.advance_processes(now);
        Ok(())
    }

    /// Removes a container, running or not; `None` if there is none.
    pub(super) fn remove(&mut self, id: &ContainerId, now: jiff::Timestamp) -> Option<String> {
        self.end(id, now, KILLED);
        let container = self.containers.remove(id)?;
        self.event(id, EngineEventKind::Destroy, now);
        Some(container.spec.name)
    }

    pub(super) fn pause(&mut self, id: &ContainerId, paused: bool, now: jiff::Timestamp) {
        let Some(container) = self.containers.get_mut(id).filter(|c| c.is_up()) else { return };
        container.state = if paused { ContainerState::Paused } else { ContainerState::Running };
        self.event(id, EngineEventKind::Other, now);
        self.advance_processes(now);
    }

    pub(super) fn untag(&mut self, tag: &str) -> Result<(), EngineError> {
        let used = |image: &str| self.containers.values().any(|c| c.image == image);
        if self.images.untag(tag, used)? {
            self.journal.push(Mutation::Untag { tag: tag.to_owned() });
        }
        Ok(())
    }

    pub(super) fn set_behaviour(&mut self, id: &ContainerId, behaviour: Behaviour) {
        if let Some(container) = self.containers.get_mut(id) {
            container.behaviour = behaviour;
        }
    }
}
