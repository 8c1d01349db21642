//! What the fake shows of its containers: descriptions, logs, the result of a probe.

use std::net::SocketAddr;

use futures::future::{BoxFuture, FutureExt};

use super::behaviour::Healthy;
use super::world::{World, no_such};
use crate::engine::{
    ContainerSpec, ContainerState, EngineError, EngineObject, ExecId, ExecOutcome, LABEL_STORE, LogLine,
    ObservedContainer,
};
use crate::model::{ContainerId, ListeningSocket};

impl World {
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

    /// The container that runs at this address, and whether it is healthy.
    pub(super) fn at_address(&self, at: SocketAddr, now: jiff::Timestamp) -> Option<(ContainerId, bool)> {
        let (id, container) = self.containers.iter().find(|(_, c)| c.is_at(at))?;
        Some((id.clone(), container.is_healthy(now)))
    }

    /// The exit code of a command says what a probe would find.
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

    /// The id of a command is its container's: it runs until the container exits or its behaviour no longer hangs.
    pub(super) fn exec_runs(&mut self, exec: &ExecId) -> Result<bool, EngineError> {
        let container = self.container(&ContainerId::new(exec.0.clone()))?;
        Ok(container.state == ContainerState::Running && container.behaviour.health == Healthy::Hangs)
    }

    pub(super) fn write_log(&mut self, id: &ContainerId, line: LogLine) {
        if let Some(container) = self.containers.get_mut(id) {
            container.log.push(line);
        }
    }

    /// The log of a container, and a future that completes when it exits.
    pub(super) fn log(
        &mut self,
        id: &ContainerId,
    ) -> Result<(Vec<LogLine>, BoxFuture<'static, ()>), EngineError> {
        let container = self.container(id)?;
        let lines = container.log.clone();
        let end = if container.is_up() { self.hub.end_of(id) } else { std::future::ready(()).boxed() };
        Ok((lines, end))
    }

    pub(super) fn listening(
        &mut self,
        id: &ContainerId,
    ) -> Result<Option<Vec<ListeningSocket>>, EngineError> {
        let container = self.container(id)?;
        Ok(container.behaviour.listens.clone().filter(|_| container.state == ContainerState::Running))
    }
}
