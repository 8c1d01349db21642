//! Why the supervisor refuses a command. Pure.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::port_owner::{PortOwner, owner_suffix};
use crate::model::{ListenerId, ProtocolKind, ReloadRefusal};

/// Why a command was refused; names the object. Ids are quoted and escaped, because they may be invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CommandRefusal {
    #[error("cannot open listener {id:?} on {address}: {reason}", id = .id.as_str())]
    Open { id: ListenerId, address: SocketAddr, reason: OpenRefusal },
    #[error("cannot close listener {id:?}: it is set by --http, --https or socket activation", id = .id.as_str())]
    CloseFixed { id: ListenerId },
    /// Not a command, or too long.
    #[error("malformed command: {problem}")]
    Malformed { problem: String },
    /// Only the controller that the supervisor runs may send commands.
    #[error("process {pid} is not the controller")]
    NotController { pid: i32 },
    #[error("cannot reload: {0}")]
    Reload(ReloadRefusal),
}

/// Why a listener was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OpenRefusal {
    #[error("{problem}")]
    InvalidId { problem: String },
    #[error("the listener is already open on {address} for {protocol}")]
    AlreadyOpen { address: SocketAddr, protocol: ProtocolKind },
    #[error("listener {other:?} uses {address}", other = .other.as_str())]
    UsedByListener { other: ListenerId, address: SocketAddr },
    #[error("the limit of {limit} listeners is reached")]
    TooManyListeners { limit: usize },
    #[error("the address is already in use{}", owner_suffix(.owner.as_ref()))]
    AddressInUse { owner: Option<PortOwner> },
    #[error("permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE")]
    NotPermitted,
    #[error("the address does not belong to this node")]
    NotLocal,
    /// Any other error of the system.
    #[error("{error}")]
    System { error: String },
}
