//! The handle that requests are made through, and what every request needs of it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::agent::AgentState;
use crate::clock::Clock;
use crate::controller::error::ControllerError;
use crate::controller::nodes::NodeLinks;
use crate::model::{Service, ServiceName, key};
use crate::store::Store;

/// Checks, resolves, merges and commits what users and manifests directories ask for.
pub struct Writes {
    pub(in crate::controller) store: Arc<dyn Store>,
    pub(in crate::controller) clock: Arc<dyn Clock>,
    /// Resolve images.
    pub(in crate::controller) links: Arc<NodeLinks>,
    /// What the node has: memory, and the address of the balancer.
    pub(in crate::controller) agent: watch::Receiver<AgentState>,
    /// Where the daemon itself serves HTTP.
    pub(in crate::controller) http: Vec<SocketAddr>,
    /// Where it serves HTTPS.
    pub(in crate::controller) https: Vec<SocketAddr>,
    /// The manifests directory that is followed: no other source changes its objects, from the first request on.
    pub(in crate::controller) followed: Option<String>,
    /// Held while a request writes, so that a daemon's own writers queue up and never conflict.
    pub(in crate::controller) lock: tokio::sync::Mutex<()>,
}

impl Writes {
    /// A service that must exist.
    pub(super) async fn existing(&self, name: &ServiceName) -> Result<Service, ControllerError> {
        match self.store.get(&key::service(name)).await? {
            Some(entry) => Ok(entry.decode()?),
            None => Err(ControllerError::NotFound(vec![name.into()])),
        }
    }
}
