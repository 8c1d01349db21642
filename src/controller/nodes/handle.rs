//! The handle of commands to nodes.

use std::sync::Arc;

use super::links::NodeLinks;
use crate::agent::AgentHandle;
use crate::clock::Clock;
use crate::controller::queries::Queries;
use crate::store::Store;

/// Carries out the commands that need a node's agent.
pub struct Nodes {
    pub(in crate::controller) store: Arc<dyn Store>,
    pub(in crate::controller) clock: Arc<dyn Clock>,
    /// The agent of this node, which may hold removals back.
    pub(in crate::controller) agent: AgentHandle,
    pub(in crate::controller) links: Arc<NodeLinks>,
    /// Which replicas there are.
    pub(in crate::controller) queries: Arc<Queries>,
}
