//! A container of the fake, as plain data.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::behaviour::{Behaviour, Healthy};
use crate::engine::{ContainerSpec, ContainerState, LogLine, ObservedContainer};
use crate::model::ContainerId;

/// A container of the fake.
pub(super) struct Container {
    pub(super) spec: ContainerSpec,
    pub(super) image: String,
    pub(super) behaviour: Behaviour,
    pub(super) state: ContainerState,
    pub(super) started_at: Option<jiff::Timestamp>,
    pub(super) finished_at: Option<jiff::Timestamp>,
    pub(super) error: String,
    /// Whether it is on the network of its spec, unless someone disconnected it.
    pub(super) on_network: bool,
    /// When it will exit and with which code.
    pub(super) ends: Option<(jiff::Timestamp, i64)>,
    pub(super) log: Vec<LogLine>,
}

impl Container {
    pub(super) fn is_healthy(&self, now: jiff::Timestamp) -> bool {
        match self.behaviour.health {
            Healthy::Never | Healthy::Hangs => false,
            Healthy::After(wait) => self.started_at.is_some_and(|start| start + wait.std() <= now),
        }
    }

    /// Whether a probe of this address reaches it: at its own address, or at a published port of this node.
    pub(super) fn is_at(&self, at: SocketAddr) -> bool {
        self.state == ContainerState::Running
            && self.on_network
            && match at.ip().is_loopback() {
                true => self.spec.published.values().any(|port| *port == at.port()),
                false => self.spec.address == at.ip(),
            }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, ContainerState::Running | ContainerState::Paused)
    }

    /// As the Engine describes it.
    pub(super) fn observed(&self, id: &ContainerId) -> ObservedContainer {
        ObservedContainer {
            id: id.clone(),
            name: self.spec.name.clone(),
            labels: self.spec.labels.clone(),
            state: self.state.clone(),
            started_at: self.started_at,
            finished_at: self.finished_at,
            addresses: match self.on_network {
                true => BTreeMap::from([(self.spec.network.clone(), self.spec.address)]),
                false => BTreeMap::new(),
            },
            published: self.spec.published.clone(),
            volumes: self.spec.mounts.iter().map(|mount| mount.volume.name.clone()).collect(),
            error: self.error.clone(),
        }
    }
}
