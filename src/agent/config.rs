//! How an agent is configured. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::model::{ExposureMode, HostPathPolicy, NodeId};

/// The configuration of a node's agent.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The Engine's id.
    pub node: NodeId,
    pub node_name: String,
    /// Value of the instance label: node and state directory.
    pub instance: String,
    /// The pool of the apps' networks, in CIDR notation.
    pub network_pool: String,
    /// How containers are exposed; `None` follows from the kind of Engine.
    pub exposure: Option<ExposureMode>,
    /// Addresses of the HTTP entry point.
    pub http: Vec<SocketAddr>,
    /// The host by which containers reach the balancer; `None` follows from the kind of Engine and the addresses.
    pub balancer_host: Option<String>,
    /// The running program, by a path that the Engine may know as well; `None` checks no gateway.
    pub program: Option<PathBuf>,
    /// Which paths of the node containers may mount.
    pub host_paths: HostPathPolicy,
}
