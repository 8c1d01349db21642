//! Networks of the fake: subnets must not overlap, and a network in use cannot be removed.

use super::faults::Mutation;
use super::images::hex_id;
use super::subnet;
use super::world::World;
use crate::engine::{EngineError, EngineEvent, EngineEventKind, LABEL_STORE, NetworkSpec, ObservedNetwork};

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
}
