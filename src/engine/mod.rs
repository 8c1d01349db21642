//! The container engine as a trait, and Docker as its implementation.
//!
//! Purpose: keep Docker at the edge, in parts: bare calls (`docker`), pure translation (`translate`), one place that
//! classifies errors (`classify`), and a fake for tests that follows Docker's rules (`fake`).
//! Invariants: every call has a deadline; an error is a kind ([`EngineError`]), never a text to match on; nothing here
//! makes a decision.
//! Deliberately absent: ports that other machines could reach, exec with a terminal; what to do about an error (the
//! agent's).

mod classify;
mod docker;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod kind;
mod labels;
mod listening;
mod mount;
mod one_off;
mod routes;
mod translate;
mod types;

use std::net::IpAddr;

use async_trait::async_trait;
use futures::stream::BoxStream;

pub use docker::DockerEngine;
pub use error::{EngineError, EngineObject};
#[cfg(any(test, feature = "testing"))]
pub use fake::FakeEngine;
pub use labels::{
    LABEL_ADDRESS, LABEL_APP, LABEL_ATTEMPT, LABEL_CHECK, LABEL_INSTANCE, LABEL_REPLICA,
    LABEL_REPLICA_CREATED_AT, LABEL_REVISION, LABEL_SERVICE, LABEL_STORE, LABEL_VOLUME, LABEL_VOLUME_PATH,
    has_label, is_check_of, is_of_store,
};
pub use mount::{BindMount, Mount, ObservedVolume, VolumeSpec};
pub use one_off::OneOffSpec;
pub use types::{
    ContainerSpec, ContainerState, EngineEvent, EngineEventKind, EngineInfo, ExecId, ExecOutcome, ImageInfo,
    LogLine, LogOptions, NetworkSpec, ObservedContainer, ObservedNetwork,
};

use crate::model::{ContainerId, ListeningSocket, Millis};

/// The container engine, as the agent calls it. Each call has a deadline inside; streams end with an error when the
/// connection does.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Describes the Engine.
    async fn info(&self) -> Result<EngineInfo, EngineError>;
    /// Lists all containers with the label [`LABEL_STORE`], whatever its value, in every state.
    async fn list(&self) -> Result<Vec<ObservedContainer>, EngineError>;
    /// Inspects a container; an error if it does not exist.
    async fn inspect(&self, id: &ContainerId) -> Result<ObservedContainer, EngineError>;
    /// Inspects a container by name, whether or not it is ours: after a name conflict.
    async fn inspect_name(&self, name: &str) -> Result<ObservedContainer, EngineError>;
    /// Creates a container without starting it.
    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError>;
    /// Starts a container; already running is success.
    async fn start(&self, id: &ContainerId) -> Result<(), EngineError>;
    /// Connects a container to a network at this address; an address that is taken is [`EngineError::Conflict`].
    async fn connect(&self, id: &ContainerId, network: &str, address: IpAddr) -> Result<(), EngineError>;
    /// Runs a program of this node in a container of its own, waits for its end and removes the container; returns the exit
    /// code. Nothing is pulled: its image is empty and made here.
    async fn run_one_off(&self, spec: &OneOffSpec) -> Result<i64, EngineError>;
    /// Sends a signal (`SIGTERM`); not running is [`EngineError::NotRunning`].
    async fn kill(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError>;
    /// Removes a container, running or not; already gone is success. Its volumes stay, also anonymous ones: what a
    /// container wrote is removed by name only.
    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError>;
    /// Runs a command in a running container, without a shell, and waits for it, `limit` at most.
    /// [`EngineError::Invalid`] is a command that cannot be run.
    async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        limit: Millis,
    ) -> Result<ExecOutcome, EngineError>;
    /// Whether such a command still runs.
    async fn exec_runs(&self, exec: &ExecId) -> Result<bool, EngineError>;
    /// Lists networks with the label [`LABEL_STORE`].
    async fn networks(&self) -> Result<Vec<ObservedNetwork>, EngineError>;
    /// Subnets in CIDR notation of all networks, ours or not, and of the machine's routes: to choose a free one.
    async fn subnets(&self) -> Result<Vec<String>, EngineError>;
    /// Creates the network of an app.
    async fn create_network(&self, spec: &NetworkSpec) -> Result<(), EngineError>;
    /// Removes a network by name; already gone is success.
    async fn remove_network(&self, name: &str) -> Result<(), EngineError>;
    /// Creates a volume; an existing one with these labels is success, any other of its name is
    /// [`EngineError::Invalid`].
    async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError>;
    /// Lists volumes with the label [`LABEL_STORE`].
    async fn volumes(&self) -> Result<Vec<ObservedVolume>, EngineError>;
    /// Removes a volume with its data; already gone is success, in use by a container is
    /// [`EngineError::Conflict`].
    async fn remove_volume(&self, name: &str) -> Result<(), EngineError>;
    /// Inspects an image by reference, digest or id.
    async fn image(&self, reference: &str) -> Result<ImageInfo, EngineError>;
    /// Pulls an image to its end.
    async fn pull(&self, reference: &str) -> Result<(), EngineError>;
    /// Adds a tag to an image: `repository:tag`.
    async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), EngineError>;
    /// Removes a tag, and with the last tag the image; while a container uses the image, its last tag stays and this is
    /// [`EngineError::Conflict`]. Already gone is success.
    async fn untag(&self, tag: &str) -> Result<(), EngineError>;
    /// Follows events, from `since` on where given, else from now on.
    async fn events(
        &self,
        since: Option<jiff::Timestamp>,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError>;
    /// Reads a container's log.
    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError>;
    /// The TCP sockets that listen in a running container; `None` where they cannot be seen, as with an Engine whose
    /// processes are not on this node.
    async fn listening(&self, id: &ContainerId) -> Result<Option<Vec<ListeningSocket>>, EngineError>;
}
