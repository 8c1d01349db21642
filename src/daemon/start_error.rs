//! Why `ctl serve` does not start, where a code and a next step exist for it.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::port_owner::{PortOwner, owner_suffix};

/// A reason that the user can act upon. The text names the object; the system's error is the source.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another daemon holds the state directory.
    #[error("another daemon (process {pid}) already serves from {}", .directory.display())]
    AlreadyRunning {
        /// Process id of the other supervisor; `unknown` if it has not written it yet.
        pid: String,
        directory: PathBuf,
    },
    /// Another program listens there.
    #[error("{address} is already in use{}", owner_suffix(.owner.as_ref()))]
    AddressInUse {
        address: SocketAddr,
        /// If /proc shows it.
        owner: Option<PortOwner>,
    },
    /// The system refuses to let us listen there.
    #[error("cannot listen on {address}")]
    AddressRefused { address: SocketAddr, source: std::io::Error },
    /// A daemon answers on the API's socket.
    #[error("another daemon answers on {}", .path.display())]
    SocketInUse {
        path: PathBuf,
        /// Whether the process that bound it still runs.
        owner_lives: bool,
    },
    /// The state directory is a copy of another one that is still there.
    #[error(
        "the state directory {} is a copy of {}: a daemon on each would remove the other's containers",
        .directory.display(), .original.display()
    )]
    CopiedStateDir { directory: PathBuf, original: PathBuf },
    /// Another kind of file is where the API's socket should be.
    #[error("{} exists and is not a socket", .path.display())]
    NotASocket { path: PathBuf },
}

impl StartError {
    /// The code for `ctl explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRunning { .. } => "CTL-0501",
            Self::AddressInUse { .. } => "CTL-0503",
            Self::CopiedStateDir { .. } => "CTL-0507",
            Self::AddressRefused { .. } | Self::SocketInUse { .. } | Self::NotASocket { .. } => "CTL-0505",
        }
    }
}
