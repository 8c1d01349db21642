//! What one pass of the agent decided. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::action::AgentAction;
use super::node_state::NodeState;
use crate::model::{
    AppName, Condition, ContainerId, Endpoint, EndpointId, Event, Millis, ReplicaName, ReplicaStatus,
    ServiceName,
};
use crate::probe::ProbeTarget;

/// A write of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointWrite {
    /// Register it, or change its state.
    Put(Endpoint),
    /// Deregister it.
    Delete { service: ServiceName, replica: ReplicaName },
}

/// Everything one pass decided.
#[derive(Debug, Clone, Default)]
pub struct NodePlan {
    /// Endpoints that leave this node's balancer at once, before any write: their process has ended.
    pub withdraw: Vec<EndpointId>,
    /// Stored before the actions start.
    pub state: Option<NodeState>,
    /// Started at once, concurrently.
    pub actions: Vec<AgentAction>,
    /// Stored, each in one transaction with its endpoint.
    pub statuses: Vec<(ServiceName, ReplicaStatus)>,
    pub endpoints: Vec<EndpointWrite>,
    pub events: Vec<(ServiceName, Event)>,
    /// Everything to probe; the agent stops all other probes.
    pub probes: Vec<ProbeTarget>,
    /// Containers whose removal waits for `ctl confirm`.
    pub held: Vec<(ContainerId, String)>,
    /// Names in Docker of volumes that replicas wait for; `ctl confirm` lets them start without.
    pub missing_volumes: BTreeSet<String>,
    /// Orphans that this plan stops or removes.
    pub released: Vec<ContainerId>,
    /// Endpoints whose long wait for a balancer this plan reports.
    pub warned: Vec<EndpointId>,
    /// Apps with an event about whether their containers cannot connect to the balancer.
    pub gateway_events: BTreeMap<AppName, bool>,
    pub conditions: Vec<Condition>,
    /// The next pass is due after this long even if nothing wakes the agent.
    pub wake_after: Option<Millis>,
    /// Whether a balancer's report may change the next plan.
    pub awaits_balancer: bool,
}

impl NodePlan {
    /// Whether there is nothing to do and nothing to write.
    pub fn is_empty(&self) -> bool {
        self.withdraw.is_empty()
            && self.state.is_none()
            && self.actions.is_empty()
            && self.statuses.is_empty()
            && self.endpoints.is_empty()
            && self.events.is_empty()
    }
}
