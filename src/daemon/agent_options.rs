//! The agent's configuration, from the options of the daemon.

use std::path::PathBuf;

use super::ServeOptions;
use super::program::own_path;
use crate::agent::AgentConfig;
use crate::model::{HostPathPolicy, NodeId};

/// Where Docker and containerd keep their sockets and data: ways past the Engine's own.
const DOCKER_PATHS: [&str; 4] = ["/run/docker", "/run/containerd", "/var/lib/docker", "/var/lib/containerd"];

/// The configuration of the agent of this node.
pub(super) fn agent_config(options: &ServeOptions, node: NodeId, node_name: String) -> AgentConfig {
    let ServeOptions { state_dir, http, network_pool, exposure, balancer_host, .. } = options;
    let ServeOptions { socket, docker, allow_host_path, .. } = options;
    let own = [state_dir.clone(), socket.clone(), docker.clone()];
    let protected = own.into_iter().chain(DOCKER_PATHS.map(PathBuf::from)).collect();
    AgentConfig {
        instance: format!("{node}:{}", state_dir.display()),
        node,
        node_name,
        network_pool: network_pool.clone(),
        exposure: *exposure,
        http: http.clone(),
        balancer_host: balancer_host.clone(),
        // Without links: the Engine mounts the file itself, which an upgrade may replace.
        program: own_path().and_then(|path| std::fs::canonicalize(path).ok()),
        host_paths: HostPathPolicy { allowed: allow_host_path.clone(), protected },
    }
}
