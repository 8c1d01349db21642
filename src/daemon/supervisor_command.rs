//! What the controller can ask of the supervisor, and the answers. Pure.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::CrashLoopingChild;
use super::incidents::NumberedIncident;
use super::listener_refusal::CommandRefusal;
use crate::model::{DaemonProcesses, ListenerId, ProtocolKind};

/// A request to listen on a further address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenListener {
    pub id: ListenerId,
    /// Port 0 asks for any free port.
    pub address: SocketAddr,
    pub protocol: ProtocolKind,
}

/// A request to the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SupervisorCommand {
    /// Opens a listener. Repeating the same command changes nothing.
    OpenListener(OpenListener),
    /// Closes a listener that was opened by a command. Closing one that is not open changes nothing.
    CloseListener(ListenerId),
    /// Lists the open listeners: those that a predecessor of this controller opened are still open.
    ListListeners,
    /// Lists the roles whose processes end again and again.
    ListCrashLoops,
    /// Asks for the first incident after this number. Those before it are recorded.
    NextIncident(u64),
    /// Begins a reload.
    Reload,
    /// Lists the processes of the daemon, and how the last reload went.
    ListProcesses,
}

/// An open listener, as the supervisor lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListedListener {
    pub id: ListenerId,
    /// With their ports filled in. Only a fixed listener can have several.
    pub addresses: Vec<SocketAddr>,
    pub protocol: ProtocolKind,
    /// Set by `--http` or socket activation: no command closes it.
    pub is_fixed: bool,
}

/// The supervisor's answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SupervisorAnswer {
    /// The kernel accepts connections on the address, which has its port filled in. They wait until the balancer accepts them.
    Opened {
        address: SocketAddr,
    },
    /// The supervisor no longer keeps the listener. The address is free as soon as the balancer has closed its sockets too; it
    /// ends the listener's connections when their requests are finished.
    Closed,
    /// All open listeners, in the order of their ids.
    Listeners(Vec<ListedListener>),
    CrashLoops(Vec<CrashLoopingChild>),
    Incident(Option<NumberedIncident>),
    /// The reload with this number has begun.
    Reloading {
        number: u64,
    },
    Processes(DaemonProcesses),
    /// Nothing was changed.
    Refused {
        reason: CommandRefusal,
    },
}

/// A command or answer as sent. An answer has the number of its call, so that one that comes too late is not taken for the
/// answer to the next call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NumberedCall<T> {
    /// Counts from 1. The answer to something that is no command has 0.
    pub(super) call: u64,
    pub(super) body: T,
}
