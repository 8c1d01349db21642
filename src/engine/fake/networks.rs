//! Networks of the fake: subnets must not overlap, and a network in use cannot be removed.

use std::net::IpAddr;

use super::faults::Mutation;
use super::images::hex_id;
use super::subnet;
use super::world::{World, no_such};
use crate::engine::{
    EngineError, EngineEvent, EngineEventKind, EngineObject, LABEL_STORE, NetworkSpec, ObservedNetwork,
};
use crate::model::ContainerId;

impl World {
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
        if self.containers.values().any(|c| c.is_up() && c.on_network && c.spec.network == name) {
            let message = format!("network {name} has active endpoints");
            return Err(EngineError::Conflict { message });
        }
        if self.networks.remove(name).is_some() {
            self.hub.publish(EngineEvent { container: None, kind: EngineEventKind::Destroy, at: now });
            self.journal.push(Mutation::RemoveNetwork { name: name.to_owned() });
        }
        Ok(())
    }

    /// Refuses an address of this network that is its gateway's, or that another running container has.
    pub(super) fn is_free(
        &self,
        id: &ContainerId,
        network: &NetworkSpec,
        address: IpAddr,
    ) -> Result<(), EngineError> {
        let mut others =
            self.containers.iter().filter(|(other, c)| *other != id && c.is_up() && c.on_network);
        let is_taken = others.any(|(_, c)| c.spec.network == network.name && c.spec.address == address);
        if address == network.gateway || is_taken {
            return Err(EngineError::Conflict { message: "Address already in use".to_owned() });
        }
        Ok(())
    }

    /// Only the network of the container's spec is known here.
    pub(super) fn connect(
        &mut self,
        id: &ContainerId,
        network: &str,
        address: IpAddr,
        now: jiff::Timestamp,
    ) -> Result<(), EngineError> {
        let found = self.networks.get(network).ok_or_else(|| no_such(EngineObject::Network, network))?;
        let container = self.containers.get(id).ok_or_else(|| no_such(EngineObject::Container, id))?;
        if container.on_network {
            let message = format!("endpoint with name {} already exists in network", container.spec.name);
            return Err(EngineError::Conflict { message });
        }
        if !subnet::contains(&found.subnet, address) {
            let message = format!("invalid address {address}: it does not belong to {}", found.subnet);
            return Err(EngineError::Invalid { message });
        }
        self.is_free(id, found, address)?;
        let container = self.container(id)?;
        container.on_network = true;
        container.spec.address = address;
        let name = container.spec.name.clone();
        self.journal.push(Mutation::Connect { id: id.clone(), name });
        self.event(id, EngineEventKind::Connect, now);
        Ok(())
    }

    pub(super) fn disconnect(&mut self, id: &ContainerId, now: jiff::Timestamp) {
        if let Some(container) = self.containers.get_mut(id) {
            container.on_network = false;
            self.event(id, EngineEventKind::Stop, now);
        }
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
}
