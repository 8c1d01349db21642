//! Containers, networks and images of the fake, as plain data with Docker's rules. Time comes in as an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use futures::future::{BoxFuture, FutureExt};

use super::behaviour::{Behaviour, Healthy, Runs, Stops};
use super::container::Container;
use super::faults::Mutation;
use super::hub::Hub;
use super::images::{Images, hex_id};
use super::{ports, subnet};
use crate::engine::{
    ContainerSpec, ContainerState, EngineError, EngineEvent, EngineEventKind, EngineObject, ExecId,
    ExecOutcome, LABEL_STORE, LogLine, NetworkSpec, ObservedContainer, ObservedNetwork, ObservedVolume,
    VolumeSpec,
};
use crate::model::{ContainerId, ListeningSocket};

/// The exit code of a process that SIGKILL ended.
const KILLED: i64 = 137;

/// Everything the fake engine has.
#[derive(Default)]
pub(super) struct World {
    containers: BTreeMap<ContainerId, Container>,
    networks: BTreeMap<String, NetworkSpec>,
    pub(super) volumes: BTreeMap<String, ObservedVolume>,
    pub(super) images: Images,
    pub(super) hub: Hub,
    pub(super) journal: Vec<Mutation>,
    /// Ports of the machine that something other than a container listens on.
    pub(super) taken_ports: BTreeSet<u16>,
    /// Containers ever made: the source of ids.
    made: u64,
    /// The last time given out, so that no two starts share one.
    last: Option<jiff::Timestamp>,
}

fn no_such(what: EngineObject, name: impl ToString) -> EngineError {
    EngineError::NotFound { what, name: name.to_string() }
}

impl World {
    /// Lets everything happen that is due by now, in the order of time.
    pub(super) fn settle(&mut self, now: jiff::Timestamp) {
        let due = |c: &Container| c.ends.filter(|(at, _)| *at <= now && c.state == ContainerState::Running);
        while let Some((at, code, id)) =
            self.containers.iter().filter_map(|(id, c)| due(c).map(|(at, code)| (at, code, id.clone()))).min()
        {
            self.end(&id, at, code);
        }
    }

    /// The next time at which something happens by itself.
    pub(super) fn next_due(&self) -> Option<jiff::Timestamp> {
        let running = self.containers.values().filter(|c| c.state == ContainerState::Running);
        running.filter_map(|c| c.ends.map(|(at, _)| at)).min()
    }

    fn event(&mut self, id: &ContainerId, kind: EngineEventKind, at: jiff::Timestamp) {
        self.hub.publish(EngineEvent { container: Some(id.clone()), kind, at });
    }

    fn container(&mut self, id: &ContainerId) -> Result<&mut Container, EngineError> {
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
        let (spec, runs) = (container.spec.clone(), container.behaviour.runs.clone());
        if let Err(error) = self.may_start(id, &spec, &runs) {
            self.container(id)?.error = error.to_string();
            return Err(error);
        }
        let at = self.last.map_or(now, |last| now.max(last + std::time::Duration::from_nanos(1)));
        self.last = Some(at);
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
        self.settle(at);
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
        let taken = |(other, c): (&ContainerId, &Container)| {
            other != id && c.is_up() && c.spec.network == spec.network && c.spec.address == spec.address
        };
        if spec.address == network.gateway || self.containers.iter().any(taken) {
            return Err(EngineError::Conflict { message: format!("{} is already in use", spec.address) });
        }
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
        self.settle(now);
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
        self.settle(now);
    }

    pub(super) fn write_log(&mut self, id: &ContainerId, line: LogLine) {
        if let Some(container) = self.containers.get_mut(id) {
            container.log.push(line);
        }
    }

    /// What the container wrote, and its end.
    pub(super) fn log(
        &mut self,
        id: &ContainerId,
    ) -> Result<(Vec<LogLine>, BoxFuture<'static, ()>), EngineError> {
        let container = self.container(id)?;
        let (lines, is_up) = (container.log.clone(), container.is_up());
        Ok((lines, if is_up { self.hub.end_of(id) } else { std::future::ready(()).boxed() }))
    }

    pub(super) fn listening(
        &mut self,
        id: &ContainerId,
    ) -> Result<Option<Vec<ListeningSocket>>, EngineError> {
        let container = self.container(id)?;
        Ok(container.behaviour.listens.clone().filter(|_| container.state == ContainerState::Running))
    }

    pub(super) fn create_network(&mut self, spec: &NetworkSpec) -> Result<(), EngineError> {
        if self.networks.contains_key(&spec.name) {
            let message = format!("network with name {} already exists", spec.name);
            return Err(EngineError::Conflict { message });
        }
        if !subnet::contains(&spec.subnet, spec.gateway) {
            let message = format!("the gateway {} is not in {}", spec.gateway, spec.subnet);
            return Err(EngineError::Invalid { message });
        }
        if self.networks.values().any(|n| subnet::overlap(&n.subnet, &spec.subnet)) {
            let message = "Pool overlaps with other one on this address space".to_owned();
            return Err(EngineError::Conflict { message });
        }
        self.networks.insert(spec.name.clone(), spec.clone());
        self.journal.push(Mutation::CreateNetwork { name: spec.name.clone() });
        Ok(())
    }

    pub(super) fn remove_network(&mut self, name: &str, now: jiff::Timestamp) -> Result<(), EngineError> {
        if self.containers.values().any(|c| c.is_up() && c.spec.network == name) {
            let message = format!("network {name} has active endpoints");
            return Err(EngineError::Conflict { message });
        }
        if self.networks.remove(name).is_some() {
            self.hub.publish(EngineEvent { container: None, kind: EngineEventKind::Destroy, at: now });
            self.journal.push(Mutation::RemoveNetwork { name: name.to_owned() });
        }
        Ok(())
    }

    pub(super) fn networks(&self) -> Vec<ObservedNetwork> {
        let ours = self.networks.values().filter(|n| n.labels.contains_key(LABEL_STORE));
        ours.map(|n| ObservedNetwork {
            id: hex_id(&format!("network {}", n.name)),
            name: n.name.clone(),
            subnets: vec![n.subnet.clone()],
            labels: n.labels.clone(),
        })
        .collect()
    }

    pub(super) fn subnets(&self) -> Vec<String> {
        self.networks.values().map(|n| n.subnet.clone()).collect()
    }

    pub(super) fn untag(&mut self, tag: &str) -> Result<(), EngineError> {
        let used = |image: &str| self.containers.values().any(|c| c.image == image);
        if self.images.untag(tag, used)? {
            self.journal.push(Mutation::Untag { tag: tag.to_owned() });
        }
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<ObservedContainer> {
        let ours = self.containers.iter().filter(|(_, c)| c.spec.labels.contains_key(LABEL_STORE));
        ours.map(|(id, c)| c.observed(id)).collect()
    }

    pub(super) fn all(&self) -> Vec<ObservedContainer> {
        self.containers.iter().map(|(id, c)| c.observed(id)).collect()
    }

    pub(super) fn inspect(&self, id: &ContainerId) -> Result<ObservedContainer, EngineError> {
        self.containers.get(id).map(|c| c.observed(id)).ok_or_else(|| no_such(EngineObject::Container, id))
    }

    pub(super) fn inspect_name(&self, name: &str) -> Result<ObservedContainer, EngineError> {
        let found = self.containers.iter().find(|(_, c)| c.spec.name == name);
        found.map(|(id, c)| c.observed(id)).ok_or_else(|| no_such(EngineObject::Container, name))
    }

    pub(super) fn specs(&self) -> impl Iterator<Item = &ContainerSpec> {
        self.containers.values().map(|container| &container.spec)
    }

    pub(super) fn spec(&self, id: &ContainerId) -> Option<ContainerSpec> {
        self.containers.get(id).map(|c| c.spec.clone())
    }

    /// Who runs at this address, and whether it is healthy.
    pub(super) fn at_address(&self, at: SocketAddr, now: jiff::Timestamp) -> Option<(ContainerId, bool)> {
        let (id, container) = self.containers.iter().find(|(_, c)| c.is_at(at))?;
        Some((id.clone(), container.is_healthy(now)))
    }

    /// A command's end is what a probe would find.
    pub(super) fn exec(
        &mut self,
        id: &ContainerId,
        now: jiff::Timestamp,
    ) -> Result<ExecOutcome, EngineError> {
        let container = self.container(id)?;
        if container.state != ContainerState::Running {
            return Err(EngineError::NotRunning { name: container.spec.name.clone() });
        }
        if container.behaviour.health == Healthy::Hangs {
            return Ok(ExecOutcome::Running { exec: ExecId(id.to_string()), output: String::new() });
        }
        Ok(match container.is_healthy(now) {
            true => ExecOutcome::Ended { code: 0, output: String::new() },
            false => ExecOutcome::Ended { code: 1, output: "not healthy\n".to_owned() },
        })
    }

    /// A command's id is its container's: it ends with that, or with the behaviour that made it hang.
    pub(super) fn exec_runs(&mut self, exec: &ExecId) -> Result<bool, EngineError> {
        let container = self.container(&ContainerId::new(exec.0.clone()))?;
        Ok(container.state == ContainerState::Running && container.behaviour.health == Healthy::Hangs)
    }

    pub(super) fn set_behaviour(&mut self, id: &ContainerId, behaviour: Behaviour) {
        if let Some(container) = self.containers.get_mut(id) {
            container.behaviour = behaviour;
        }
    }
}
