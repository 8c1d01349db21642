//! Why `ctl serve` does not start, where a code and a next step exist for it.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::port_owner::Owner;

/// A reason that the user can act upon. The text names the object; what the system said is the source.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another daemon holds the state directory.
    #[error("another daemon (process {pid}) already serves from {}", .directory.display())]
    AlreadyRunning {
        /// Process id of the other supervisor; `unknown` if it has not written it yet.
        pid: String,
        /// The state directory.
        directory: PathBuf,
    },
    /// Someone else listens there.
    #[error("{address} is already in use{}", by(.owner.as_ref()))]
    AddressInUse {
        /// As it was asked for.
        address: SocketAddr,
        /// Who, where /proc tells.
        owner: Option<Owner>,
    },
    /// The system does not let us listen there.
    #[error("cannot listen on {address}")]
    AddressRefused {
        /// As it was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A daemon answers on the API's socket.
    #[error("another daemon answers on {}", .path.display())]
    SocketInUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket lies where the API's should be.
    #[error("{} exists and is not a socket", .path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
}

impl StartError {
    /// Its code, for `ctl explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRunning { .. } => "CTL-0501",
            Self::AddressInUse { .. } => "CTL-0503",
            Self::AddressRefused { .. } | Self::SocketInUse { .. } | Self::NotASocket { .. } => "CTL-0505",
        }
    }
}

fn by(owner: Option<&Owner>) -> String {
    owner.map(|owner| format!(" by process {} ({})", owner.pid, owner.command)).unwrap_or_default()
}
