//! Requests to the Engine and its responses, in the project's terms. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::mount::{BindMount, Mount};
use crate::model::{
    ContainerId, ContainerOptions, Cpu, EngineKind, ImageConfig, Logging, MemorySize, Millis, Security,
};

/// What the Engine reports about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Its id: the node's id.
    pub id: String,
    pub name: String,
    pub version: String,
    /// API version in use after negotiation.
    pub api_version: String,
    /// Memory of the node; `None` if the Engine does not say.
    pub memory: Option<MemorySize>,
    /// Cores of the node; `None` if the Engine does not say.
    pub cpu: Option<Cpu>,
    pub kind: EngineKind,
    /// Limits that it accepts and does not enforce: `memory`, `cpu`.
    pub unenforced: Vec<&'static str>,
}

/// The state of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Created, never started.
    Created,
    /// Its process runs.
    Running,
    /// Its process is frozen.
    Paused,
    /// The Engine is restarting it (a user changed its restart policy; ours is `no`).
    Restarting,
    /// Its process has exited.
    Exited {
        code: i64,
        /// The kernel killed it for exceeding its memory limit.
        oom_killed: bool,
    },
    /// Being removed.
    Removing,
    /// In an undefined state; it can only be removed.
    Dead,
}

/// A container as the Engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedContainer {
    pub id: ContainerId,
    /// Without the leading slash.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub state: ContainerState,
    /// When its process was last started; `None` before.
    pub started_at: Option<jiff::Timestamp>,
    pub finished_at: Option<jiff::Timestamp>,
    /// By network name: the address in use, else the one that it requests at its next start.
    pub addresses: BTreeMap<String, IpAddr>,
    /// Its TCP ports with the ports of 127.0.0.1 that publish them whenever it runs.
    pub published: BTreeMap<u16, u16>,
    /// Names of the volumes that it mounts.
    pub volumes: BTreeSet<String>,
    /// The Engine's message when it could not start it; empty if it could.
    pub error: String,
}

/// What to create a container from. The caller chooses names and addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    pub name: String,
    /// Digest reference or image id.
    pub image: String,
    /// Docker ENTRYPOINT; `None` keeps the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Docker CMD; `None` keeps the image's.
    pub command: Option<Vec<String>>,
    pub env: BTreeMap<String, String>,
    /// Ours and the user's.
    pub labels: BTreeMap<String, String>,
    /// For `docker inspect`.
    pub exposed: Vec<u16>,
    /// Those of them that are published, with the port of 127.0.0.1.
    pub published: BTreeMap<u16, u16>,
    pub network: String,
    /// Fixed address on it.
    pub address: IpAddr,
    pub mounts: Vec<Mount>,
    /// Paths of the node. The agent resolves their links before it creates the container.
    pub binds: Vec<BindMount>,
    /// Host name, kernel settings and devices.
    pub options: ContainerOptions,
    /// CPU shares.
    pub cpu_reserved: Option<Cpu>,
    /// CPU quota.
    pub cpu_limit: Option<Cpu>,
    /// Reserved memory and hard limit.
    pub memory: Option<MemorySize>,
    pub security: Security,
    /// Log rotation (driver `json-file`, so that `docker logs` and ours can read it).
    pub logging: Logging,
    /// For `docker stop` by a user.
    pub stop_signal: String,
    /// For `docker stop` by a user.
    pub stop_grace: Millis,
    /// The image has a HEALTHCHECK, which is not run: readiness is decided by our probes.
    pub disables_health_check: bool,
}

#[cfg(any(test, feature = "testing"))]
impl ContainerSpec {
    /// A container with all of Docker's defaults.
    pub fn bare(name: &str, image: &str, network: &str, address: IpAddr) -> Self {
        Self {
            name: name.to_owned(),
            image: image.to_owned(),
            entrypoint: None,
            command: None,
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            exposed: Vec::new(),
            published: BTreeMap::new(),
            network: network.to_owned(),
            address,
            mounts: Vec::new(),
            binds: Vec::new(),
            options: ContainerOptions::default(),
            cpu_reserved: None,
            cpu_limit: None,
            memory: None,
            security: Security::default(),
            logging: Logging::default(),
            stop_signal: "SIGTERM".to_owned(),
            stop_grace: Millis::secs(10),
            disables_health_check: false,
        }
    }
}

/// A bridge network to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    pub name: String,
    /// The name of its interface on the node, at most 15 characters; `None` leaves it to Docker.
    pub bridge: Option<String>,
    /// `10.209.3.0/24`.
    pub subnet: String,
    /// The part that Docker may allocate from: `10.209.3.248/29`.
    pub ip_range: String,
    /// `10.209.3.1`.
    pub gateway: IpAddr,
    pub labels: BTreeMap<String, String>,
}

/// A network as the Engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNetwork {
    pub id: String,
    pub name: String,
    /// Subnets in CIDR notation.
    pub subnets: Vec<String>,
    pub labels: BTreeMap<String, String>,
}

/// An image the Engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// `repository@sha256:…` for each registry that knows it.
    pub digests: Vec<String>,
    /// `repository:tag` of each tag.
    pub tags: Vec<String>,
    pub config: ImageConfig,
}

/// What happened, as far as the agent distinguishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineEventKind {
    /// A container or network was created.
    Create,
    /// A container was started.
    Start,
    /// A container's process exited.
    Die,
    /// A container, network or volume was removed.
    Destroy,
    /// A container was connected to a network, as at each start.
    Connect,
    /// A container is being stopped, or was disconnected from a network, as at each exit.
    Stop,
    /// A command runs in a container: three events for each exec probe, which say nothing about the container.
    Exec,
    /// Anything else.
    Other,
}

impl EngineEventKind {
    /// From Docker's action: `die`, `exec_start: /bin/check`.
    pub fn of_action(action: &str) -> Self {
        match action {
            "create" => Self::Create,
            "start" => Self::Start,
            "die" => Self::Die,
            "destroy" => Self::Destroy,
            "connect" => Self::Connect,
            "kill" | "stop" | "disconnect" => Self::Stop,
            _ if action.starts_with("exec_") => Self::Exec,
            _ => Self::Other,
        }
    }
}

/// An event of the Engine. It only triggers a pass that reads the Engine again; `Die` alone is acted on (ADR 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// `None` for events about networks and images.
    pub container: Option<ContainerId>,
    pub kind: EngineEventKind,
    /// By the Engine's clock.
    pub at: jiff::Timestamp,
}

/// Identifies a command that was started in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecId(pub String);

/// The result of a command in a container, with the end of its standard error, or of its standard output where it wrote no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecOutcome {
    /// It exited.
    Ended {
        code: i64,
        /// Bytes that are not UTF-8 are replaced.
        output: String,
    },
    /// It timed out and still runs: Docker has no way to kill it.
    Running { exec: ExecId, output: String },
}

/// Which lines of a log to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Keep reading new lines.
    pub follow: bool,
    /// Only the last N lines.
    pub tail: Option<u32>,
    /// Only lines since this time.
    pub since: Option<jiff::Timestamp>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// `None` if the Engine sent no time.
    pub at: Option<jiff::Timestamp>,
    pub stderr: bool,
    /// Without the line end; bytes that are not UTF-8 are replaced.
    pub text: String,
}
