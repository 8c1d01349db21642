//! What a plan asks of the Engine, and on what an action is under way. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::ring_allocator::{LeasePool, PoolCursor};
use crate::engine::{ContainerSpec, NetworkSpec, OneOffSpec};
use crate::model::{AppName, ContainerId, EndpointId, ReplicaName};

/// An action on the Engine. The executor carries it out and makes no choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentAction {
    /// Ask whether the Engine has an image.
    FindImage {
        /// Pinned form.
        image: String,
    },
    Pull {
        /// Pinned form.
        image: String,
    },
    /// Ask whether the Engine still has these volumes, which held data, before a replica's container mounts them.
    FindVolumes {
        replica: ReplicaName,
        /// Names in Docker.
        volumes: BTreeSet<String>,
    },
    /// Create the network of an app.
    CreateNetwork {
        spec: Box<NetworkSpec>,
    },
    /// Create the volumes of a container and the container, start it and inspect it.
    Create {
        replica: ReplicaName,
        attempt: u32,
        /// The pools' cursors after everything that this pass has allocated so far.
        cursors: BTreeMap<LeasePool, PoolCursor>,
        spec: Box<ContainerSpec>,
    },
    /// Start a container that exists, and inspect it.
    Start {
        replica: ReplicaName,
        container: ContainerId,
    },
    /// Connect a container to its app's network again, at its own address, and inspect it.
    Connect {
        replica: ReplicaName,
        container: ContainerId,
        network: String,
        address: IpAddr,
    },
    /// Send a signal to a container.
    Signal {
        container: ContainerId,
        instance: EndpointId,
        signal: String,
        /// Whether it is the SIGKILL after the grace period.
        kill: bool,
    },
    /// Collect evidence from a container that fails its health check or has failed.
    Examine {
        replica: ReplicaName,
        container: ContainerId,
    },
    Remove {
        container: ContainerId,
    },
    /// Connect to the balancer from a container on the network of an app.
    CheckGateway {
        app: AppName,
        target: SocketAddr,
        spec: Box<OneOffSpec>,
    },
    RemoveNetwork {
        name: String,
    },
    /// Protect an image with a tag of ours.
    Tag {
        /// Pinned form.
        image: String,
        /// `repository:tag`.
        tag: String,
    },
    /// Remove such a tag.
    Untag {
        /// `repository:tag`.
        tag: String,
    },
}

impl AgentAction {
    /// What it is under way on.
    pub fn subject(&self) -> ActionSubject {
        match self {
            Self::FindImage { image } => ActionSubject::Image(image.clone()),
            Self::Pull { image } => ActionSubject::Pull(image.clone()),
            Self::FindVolumes { replica, .. } => ActionSubject::Volumes(replica.clone()),
            Self::CreateNetwork { spec } => ActionSubject::Network(spec.name.clone()),
            Self::Create { replica, .. } | Self::Start { replica, .. } => {
                ActionSubject::Replica(replica.clone())
            }
            Self::Connect { container, .. }
            | Self::Signal { container, .. }
            | Self::Remove { container }
            | Self::Examine { container, .. } => ActionSubject::Container(container.clone()),
            Self::CheckGateway { app, .. } => ActionSubject::GatewayCheck(app.clone()),
            Self::RemoveNetwork { name } => ActionSubject::Network(name.clone()),
            Self::Tag { tag, .. } | Self::Untag { tag } => ActionSubject::Tag(tag.clone()),
        }
    }
}

/// What an action is under way on. A pass plans no second action on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionSubject {
    /// A container of this replica is being created or started.
    Replica(ReplicaName),
    /// The container is being connected, stopped, removed or examined: evidence is collected before anything else is done to it.
    Container(ContainerId),
    /// The image is being looked up.
    Image(String),
    /// The image is being pulled.
    Pull(String),
    /// The volumes of this replica are being looked up.
    Volumes(ReplicaName),
    /// The network is being created or removed.
    Network(String),
    /// The tag is being set or removed.
    Tag(String),
    /// A container connects to the balancer from the network of this app.
    GatewayCheck(AppName),
}

impl fmt::Display for ActionSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(name) => write!(f, "replica {name}"),
            Self::Container(id) => write!(f, "container {}", id.short()),
            Self::Image(text) | Self::Pull(text) => write!(f, "image {text}"),
            Self::Volumes(name) => write!(f, "volumes of replica {name}"),
            Self::Network(name) => write!(f, "network {name}"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::GatewayCheck(app) => write!(f, "gateway of app {app}"),
        }
    }
}
