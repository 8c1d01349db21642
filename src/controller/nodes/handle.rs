//! What commands to a node need.

use std::sync::Arc;

use super::links::NodeLinks;
use crate::agent::{AgentHandle, AgentSilent};
use crate::clock::Clock;
use crate::controller::queries::Queries;
use crate::store::Store;

/// Carries out the commands that need a node's agent.
pub struct Nodes {
    pub(in crate::controller) store: Arc<dyn Store>,
    pub(in crate::controller) clock: Arc<dyn Clock>,
    pub(in crate::controller) agent: AgentHandle,
    pub(in crate::controller) links: Arc<NodeLinks>,
    /// Which replicas there are.
    pub(in crate::controller) queries: Arc<Queries>,
}

impl Nodes {
    /// Allows the removals that the agent's deletion guard holds back; returns the names of their containers.
    ///
    /// # Errors
    /// The agent does not answer; nothing was allowed then.
    pub async fn confirm(&self) -> Result<Vec<String>, AgentSilent> {
        self.agent.confirm().await
    }
}
