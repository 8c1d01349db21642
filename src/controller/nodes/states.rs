//! What the agent of each node reports of its node and Engine.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::agent::{AgentState, EngineState};
use crate::model::NodeId;

/// The state of every node; today there is one.
#[derive(Debug, Clone)]
pub(in crate::controller) struct NodeStates(BTreeMap<NodeId, watch::Receiver<AgentState>>);

impl NodeStates {
    pub(in crate::controller) fn of_one(node: NodeId, state: watch::Receiver<AgentState>) -> Self {
        Self(BTreeMap::from([(node, state)]))
    }

    pub(in crate::controller) fn ids(&self) -> Vec<NodeId> {
        self.0.keys().cloned().collect()
    }

    pub(in crate::controller) fn iter(
        &self,
    ) -> impl Iterator<Item = (&NodeId, &watch::Receiver<AgentState>)> {
        self.0.iter()
    }

    /// Whether the Engines of these nodes answer. Nodes that are not known (any more) are left out; where none is known,
    /// any Engine will do.
    pub(in crate::controller) fn engines_answer<'a>(&self, nodes: impl Iterator<Item = &'a NodeId>) -> bool {
        let mut used = nodes.filter_map(|node| self.0.get(node)).peekable();
        if used.peek().is_some() { used.all(answers) } else { self.0.values().any(answers) }
    }

    /// Waits until the state of a node changes; `false` once the agents are gone.
    pub(in crate::controller) async fn changed(&mut self) -> bool {
        let changes = self.0.values_mut().map(|state| Box::pin(state.changed()));
        let (changed, ..) = futures::future::select_all(changes).await;
        changed.is_ok()
    }
}

fn answers(state: &watch::Receiver<AgentState>) -> bool {
    matches!(state.borrow().engine, EngineState::Available(_))
}
