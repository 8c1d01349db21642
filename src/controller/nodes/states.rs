//! What the agent of each node reports of its node and Engine.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
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

    /// Waits until the state of a node changes, forever without nodes. An agent that has ended changes nothing; `false` once
    /// all have.
    pub(in crate::controller) async fn changed(&mut self) -> bool {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let mut changes: FuturesUnordered<_> = self.0.values_mut().map(watch::Receiver::changed).collect();
        while let Some(changed) = changes.next().await {
            if changed.is_ok() {
                return true;
            }
        }
        false
    }
}

fn answers(state: &watch::Receiver<AgentState>) -> bool {
    matches!(state.borrow().engine, EngineState::Available(_))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn changed_reports_a_node_whose_agent_runs_until_the_last_agent_has_ended() {
        let (ended, state_of_ended) = watch::channel(AgentState::default());
        let (running, state_of_running) = watch::channel(AgentState::default());
        let states = BTreeMap::from([("a".into(), state_of_ended), ("b".into(), state_of_running)]);
        let mut states = NodeStates(states);
        drop(ended);
        assert_eq!(states.changed().now_or_never(), None);
        running.send_modify(|state| state.containers = 1);
        assert_eq!(states.changed().now_or_never(), Some(true));
        drop(running);
        assert_eq!(states.changed().now_or_never(), Some(false));
    }

    #[tokio::test]
    async fn changed_waits_forever_without_nodes() {
        assert_eq!(NodeStates(BTreeMap::new()).changed().now_or_never(), None);
    }
}
