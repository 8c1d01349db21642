//! The root: the supervisor, the roles that it starts, their wiring, telemetry.
//!
//! `ctl serve` is three processes of one executable. The supervisor owns what must outlive the other two (the listening
//! sockets, the lock on the state directory) and keeps them running; only the controller opens Docker's socket; the balancer
//! faces clients.
//! Invariants: the supervisor keeps listening sockets open while children are replaced, so that no connect is refused; a
//! child is reaped before its successor starts; no child outlives its supervisor for longer than its drain.
//! Deliberately absent: any knowledge of services, tables or containers in the supervisor.

mod agent_options;
mod balancer_locks;
mod balancer_replacement;
mod balancer_role;
mod boot_id;
mod certificate_keeper;
mod certificate_report;
mod child;
mod child_process;
mod child_records;
mod child_timeouts;
mod command_server;
mod controller_heartbeats;
mod controller_role;
mod crash_loops;
mod daemon_control;
mod daemon_events;
mod datagram_channel;
mod descriptor_handoff;
mod disk_watch;
mod hand_over;
mod handed_descriptors;
mod heartbeats;
mod incident_reporter;
mod incidents;
mod left_balancers;
mod listener_plan;
mod listener_refusal;
mod listeners;
mod liveness;
mod open_files;
mod port_owner;
mod priority;
mod process_stamp;
mod program;
mod program_check;
mod program_exec;
mod refusal;
mod reload;
mod reloads;
mod restart_backoff;
mod role;
mod role_health;
mod role_keeper;
mod run_role;
mod service_manager;
mod signals;
mod socket_delivery;
mod socket_watch;
mod sockets;
mod spawner;
mod start_error;
mod start_retry;
mod state_dir;
mod state_location;
mod store_opening;
mod supervision_end;
mod supervisor;
mod supervisor_client;
mod supervisor_command;
mod supervisor_start;
mod tcp_listeners;
mod tcp_sockets;
mod telemetry;
#[cfg(feature = "testing")]
mod test_relay;
mod unavailable_store;
mod unix_sockets;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use crate::balancer::PER_CLIENT;
pub use child_records::CrashLoopingChild;
pub use hand_over::continues;
pub use incidents::{Incident, NumberedIncident};
pub use listener_refusal::{CommandRefusal, OpenRefusal};
pub use liveness::LivenessPipe;
pub use port_owner::PortOwner;
pub use program_check::check_hand_over;
pub use refusal::Refusal;
pub use role::{Role, UnknownRole};
pub use run_role::run_role;
pub use sockets::ChildSockets;
pub use start_error::StartError;
pub use state_dir::BALANCER_ID;
pub use supervisor_client::{SupervisorCallError, SupervisorClient};
pub use supervisor_command::{ListedListener, OpenListener, SupervisorAnswer, SupervisorCommand};
pub use supervisor_start::serve;
#[cfg(feature = "testing")]
pub use test_relay::{ENV_RELAY, RelayedAnswer};

use crate::model::{BalancerId, ExposureMode, TrustedProxies};

/// Of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Options of `ctl serve`, with defaults filled in and nothing bound or opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// Directory of the store, the lock and the balancer's files.
    pub state_dir: PathBuf,
    /// Path of the API's unix socket.
    pub socket: PathBuf,
    /// Addresses of the HTTP entry point.
    pub http: Vec<SocketAddr>,
    /// Addresses of the HTTPS entry point; none: TLS is not served.
    pub https: Vec<SocketAddr>,
    /// Path of Docker's socket.
    pub docker: PathBuf,
    /// Pool of the apps' networks, in CIDR notation.
    pub network_pool: String,
    /// How containers are reached; `None`: depends on the kind of Engine.
    pub exposure: Option<ExposureMode>,
    /// Host of the URL by which containers reach the balancer; `None`: the agent determines it.
    pub balancer_host: Option<String>,
    /// Start with a new store if this directory's cannot be opened, and leave containers of other stores alone.
    pub new_store: bool,
    /// Id of this process, if it is a balancer.
    pub balancer_id: Option<BalancerId>,
    /// Directory of manifests to watch; absolute.
    pub manifests: Option<PathBuf>,
    /// Paths of the node that containers may mount; absolute.
    pub allow_host_path: Vec<PathBuf>,
    /// Peers whose forwarding headers the balancer believes.
    pub trusted_proxies: TrustedProxies,
    /// Most connections of one client address to the balancer.
    pub max_connections_per_client: usize,
}
