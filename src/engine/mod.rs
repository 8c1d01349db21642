//! The container engine: what the agent asks of Docker, as a trait.
//!
//! Purpose: keep Docker at the edge, in parts: naked calls (`docker`), pure translation (`translate`), one place that
//! says what an error means (`error`), and a fake that behaves (`fake`).
//! Invariants: every call has a deadline; an error is a kind ([`EngineError`]), never a text to match on; nothing here
//! chooses.
//! Deliberately absent: ports that other machines could reach, exec with a terminal; what to do about an error (the
//! agent's).

mod docker;
mod error;
pub mod fake;
mod kind;
mod listening;
mod translate;

use std::collections::BTreeMap;
use std::net::IpAddr;

use async_trait::async_trait;
use futures::stream::BoxStream;

pub use docker::DockerEngine;
pub use error::EngineError;
pub use fake::FakeEngine;

use crate::model::{ContainerId, Cpu, EngineKind, ListeningSocket, Logging, MemorySize, Millis, Security};

/// Label: UUID of the store a container belongs to. Everything of ours has it, and nothing else is touched.
pub const LABEL_STORE: &str = "coxswain.store";
/// Label: host and state directory of the daemon that made the container.
pub const LABEL_INSTANCE: &str = "coxswain.instance";
/// Label: name of the service.
pub const LABEL_SERVICE: &str = "coxswain.service";
/// Label: number of the revision it was made from.
pub const LABEL_REVISION: &str = "coxswain.revision";
/// Label: name of the replica.
pub const LABEL_REPLICA: &str = "coxswain.replica";
/// Label: number of the attempt, from 1.
pub const LABEL_ATTEMPT: &str = "coxswain.attempt";
/// Label: template hash.
pub const LABEL_HASH: &str = "coxswain.hash";
/// Label on a network and on a volume: name of the app.
pub const LABEL_APP: &str = "coxswain.app";
/// Label on a volume: its name in the manifest.
pub const LABEL_VOLUME: &str = "coxswain.volume";

/// What the Engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Its id: the host's id.
    pub id: String,
    /// Host name.
    pub name: String,
    /// Version of the Engine.
    pub version: String,
    /// API version in use after negotiation.
    pub api_version: String,
    /// Memory of the machine; `None` if the Engine does not say.
    pub memory: Option<MemorySize>,
    /// Where it runs its containers.
    pub kind: EngineKind,
    /// Limits that it takes and does not enforce: `memory`, `cpu`.
    pub unenforced: Vec<&'static str>,
}

/// Where a container stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Its process runs.
    Running,
    /// Its process is frozen.
    Paused,
    /// The Engine is restarting it by itself (not by our doing: our restart policy is `no`).
    Restarting,
    /// Its process ended.
    Exited {
        /// With this code.
        code: i64,
        /// Killed by the kernel for memory.
        oom_killed: bool,
    },
    /// Being removed.
    Removing,
    /// The Engine cannot say; it can only be removed.
    Dead,
}

/// A container as the Engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedContainer {
    /// Id.
    pub id: ContainerId,
    /// Name without the leading slash.
    pub name: String,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// Where it stands.
    pub state: ContainerState,
    /// When its process was last started; `None` before.
    pub started_at: Option<jiff::Timestamp>,
    /// When its process last ended.
    pub finished_at: Option<jiff::Timestamp>,
    /// Addresses by network name: the one in use, else the one it will ask for when it is started.
    pub addresses: BTreeMap<String, IpAddr>,
    /// Its TCP ports that are published on 127.0.0.1 whenever it runs, with the port there.
    pub published: BTreeMap<u16, u16>,
    /// Why the Engine could not start it, in its words; empty if it could.
    pub error: String,
}

/// What to make a container from. Names and addresses are chosen by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Name.
    pub name: String,
    /// Digest reference or image id.
    pub image: String,
    /// Docker ENTRYPOINT; `None` keeps the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Docker CMD; `None` keeps the image's.
    pub command: Option<Vec<String>>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Labels, ours and the user's.
    pub labels: BTreeMap<String, String>,
    /// Container ports, for `docker inspect`.
    pub exposed: Vec<u16>,
    /// Those of them that are published, with the port of 127.0.0.1.
    pub published: BTreeMap<u16, u16>,
    /// Name of the network.
    pub network: String,
    /// Fixed address on it.
    pub address: IpAddr,
    /// Volumes and where they are mounted.
    pub mounts: Vec<Mount>,
    /// Cpu shares reserved.
    pub cpu_reserved: Option<Cpu>,
    /// Cpu quota.
    pub cpu_limit: Option<Cpu>,
    /// Memory, reserved and hard limit.
    pub memory: Option<MemorySize>,
    /// What it may do; no-new-privileges always.
    pub security: Security,
    /// Rotation of its log (driver `json-file`, so that `docker logs` and ours read it).
    pub logging: Logging,
    /// Signal for anyone's `docker stop`.
    pub stop_signal: String,
    /// Grace for anyone's `docker stop`.
    pub stop_grace: Millis,
}

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
            cpu_reserved: None,
            cpu_limit: None,
            memory: None,
            security: Security::default(),
            logging: Logging::default(),
            stop_signal: "SIGTERM".to_owned(),
            stop_grace: Millis::secs(10),
        }
    }
}

/// A named volume to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Which.
    pub volume: VolumeSpec,
    /// Absolute path in the container.
    pub path: String,
    /// Nothing can be written.
    pub read_only: bool,
}

/// A volume as the Engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedVolume {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl ObservedVolume {
    /// Whether it is the volume that is asked for; somebody else's of the same name is refused.
    fn is_of(&self, spec: &VolumeSpec) -> Result<(), EngineError> {
        if spec.labels.iter().all(|(label, value)| self.labels.get(label) == Some(value)) {
            return Ok(());
        }
        let message = format!("there is a volume {} that is not of this service's app and daemon", self.name);
        Err(EngineError::Invalid { message })
    }
}

/// A bridge network to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Name.
    pub name: String,
    /// `10.209.3.0/24`.
    pub subnet: String,
    /// The part of it Docker may hand out itself: `10.209.3.248/29`.
    pub ip_range: String,
    /// `10.209.3.1`.
    pub gateway: IpAddr,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A network as the Engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNetwork {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Subnets in CIDR notation.
    pub subnets: Vec<String>,
    /// Labels.
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
}

/// Something happened in the Engine. A hint, never a fact to act on: it says where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// Which container; `None` for events about networks and images.
    pub container: Option<ContainerId>,
    /// `start`, `die`, `kill`, `destroy` …, for logs.
    pub action: String,
    /// When, by the Engine's clock.
    pub at: jiff::Timestamp,
}

/// Names a command that was started in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecId(pub String);

/// What became of a command run in a container. Of its output, stdout and stderr as they came, a first part is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecOutcome {
    /// It ended.
    Ended {
        /// Its exit code.
        code: i64,
        /// What it wrote; bytes that are not UTF-8 are replaced.
        output: String,
    },
    /// Its time was up and it still runs: Docker has no way to end it.
    Running {
        /// Which.
        exec: ExecId,
        /// What it wrote so far.
        output: String,
    },
}

/// Which lines of a log to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on with new lines.
    pub follow: bool,
    /// Only the last so many lines.
    pub tail: Option<u32>,
    /// Only lines since then.
    pub since: Option<jiff::Timestamp>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written, if the Engine says so.
    pub at: Option<jiff::Timestamp>,
    /// Whether it came on stderr.
    pub stderr: bool,
    /// Its text without the line end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// What the agent and the apply ask of the container engine. Each call has a deadline of its own inside; streams end
/// with an error when the connection does.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What it is.
    async fn info(&self) -> Result<EngineInfo, EngineError>;
    /// Every container that has the label [`LABEL_STORE`], whatever its value, in every state.
    async fn list(&self) -> Result<Vec<ObservedContainer>, EngineError>;
    /// One container.
    async fn inspect(&self, id: &ContainerId) -> Result<ObservedContainer, EngineError>;
    /// One container by name, whoever made it: after a conflict of names.
    async fn inspect_name(&self, name: &str) -> Result<ObservedContainer, EngineError>;
    /// Makes a container; does not start it.
    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError>;
    /// Starts it; already running is success.
    async fn start(&self, id: &ContainerId) -> Result<(), EngineError>;
    /// Sends a signal (`SIGTERM`); not running is [`EngineError::NotRunning`].
    async fn kill(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError>;
    /// Removes it, running or not, with its anonymous volumes; already gone is success.
    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError>;
    /// Runs a command in a running container, without a shell, and waits for its end, this long at most.
    /// [`EngineError::Invalid`] is a command that cannot be run.
    async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        limit: Millis,
    ) -> Result<ExecOutcome, EngineError>;
    /// Whether such a command still runs.
    async fn exec_runs(&self, exec: &ExecId) -> Result<bool, EngineError>;
    /// Networks that have the label [`LABEL_STORE`].
    async fn networks(&self) -> Result<Vec<ObservedNetwork>, EngineError>;
    /// Subnets in CIDR notation of every network, whoever made it: to choose one that is free.
    async fn subnets(&self) -> Result<Vec<String>, EngineError>;
    /// Makes a network.
    async fn create_network(&self, spec: &NetworkSpec) -> Result<(), EngineError>;
    /// Removes a network by name; already gone is success.
    async fn remove_network(&self, name: &str) -> Result<(), EngineError>;
    /// Makes a volume; one that is there with these labels is success, any other of its name is
    /// [`EngineError::Invalid`].
    async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError>;
    /// Volumes that have the label [`LABEL_STORE`].
    async fn volumes(&self) -> Result<Vec<ObservedVolume>, EngineError>;
    /// Removes a volume with what is in it; already gone is success, in use by a container is
    /// [`EngineError::Conflict`].
    async fn remove_volume(&self, name: &str) -> Result<(), EngineError>;
    /// An image by reference, digest or id.
    async fn image(&self, reference: &str) -> Result<ImageInfo, EngineError>;
    /// Pulls an image to its end.
    async fn pull(&self, reference: &str) -> Result<(), EngineError>;
    /// Gives an image a further tag `repository:tag`.
    async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), EngineError>;
    /// Takes a tag away, and with its last tag the image; while a container uses the image, its last tag stays and this
    /// is [`EngineError::Conflict`]. Already gone is success.
    async fn untag(&self, tag: &str) -> Result<(), EngineError>;
    /// Events of containers, from `since` on where given, else from now on.
    async fn events(
        &self,
        since: Option<jiff::Timestamp>,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError>;
    /// Lines of a container's log.
    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError>;
    /// The TCP sockets that listen in a running container; `None` where that cannot be seen, as with an Engine whose
    /// processes are not on this machine.
    async fn listening(&self, id: &ContainerId) -> Result<Option<Vec<ListeningSocket>>, EngineError>;
}
