//! The root: the supervisor and the roles it starts, their wiring, telemetry.
//!
//! Purpose: `ctl serve` is three processes of one executable. The supervisor owns what must outlive the other two (the
//! listening sockets, the lock on the state directory) and keeps them running; the controller is the only one that opens
//! Docker's socket; the balancer is the one that faces clients.
//! Invariants: a listening socket is bound once and never closed before the daemon ends, so a connect is never refused
//! while a child is replaced; a child is reaped before its successor starts; no child outlives its supervisor for longer
//! than its drain.
//! Deliberately absent: any knowledge of services, tables or containers in the supervisor.

mod balancer_role;
mod child;
mod controller_role;
mod life;
mod listeners;
mod port_owner;
mod priority;
mod refusal;
mod restart;
mod role;
mod sockets;
mod start_error;
mod state_dir;
mod supervisor;
mod telemetry;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use life::{BEAT_EVERY, Life};
pub use port_owner::Owner;
pub use refusal::Refusal;
pub use role::{Role, UnknownRole, run_role};
pub use sockets::ChildSockets;
pub use start_error::StartError;
pub use supervisor::serve;

use crate::clock::{Clock, RealClock};
use crate::model::ExposureMode;

/// What `ctl serve` was asked for, with defaults filled in and nothing bound or opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// Where the store, the lock and the balancer's files lie.
    pub state_dir: PathBuf,
    /// Path of the API's unix socket.
    pub socket: PathBuf,
    /// Addresses of the HTTP entry point.
    pub http: Vec<SocketAddr>,
    /// Path of Docker's socket.
    pub docker: PathBuf,
    /// Pool that networks of apps are taken from, in CIDR notation.
    pub network_pool: String,
    /// How containers are reached; `None` follows from the kind of Engine.
    pub exposure: Option<ExposureMode>,
    /// Host, as it stands in a URL, by which containers reach the balancer; `None` is found out.
    pub balancer_host: Option<String>,
    /// Start with a new store although containers of an older one of this directory run.
    pub new_store: bool,
    /// Directory of manifests that is followed; absolute.
    pub manifests: Option<PathBuf>,
}

/// A new id for a write that the command line sends.
pub fn request_id() -> String {
    RealClock::new().uuid()
}

/// Wall time, for the ages that the command line shows.
pub fn wall_time() -> jiff::Timestamp {
    RealClock::new().wall()
}
