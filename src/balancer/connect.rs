//! Connects to an endpoint, in any protocol.

use std::io;
use std::net::SocketAddr;

use nix::errno::Errno;
use tokio::net::TcpStream;

use super::limits::CONNECT_DEADLINE;
use super::socket_budget::{SocketBudget, SocketPermit};

/// Why there is no connection to an endpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("cannot connect to {0}")]
    Io(SocketAddr, #[source] io::Error),
    #[error("no connection to {0} within {limit} ms", limit = CONNECT_DEADLINE.as_millis())]
    TimedOut(SocketAddr),
    #[error("no file descriptor is free, and no connection is idle")]
    NoRoom,
}

impl ConnectError {
    /// Whether this process or node ran out of a resource: no connection was attempted, so the endpoint is not to blame.
    pub(super) fn is_local_shortage(&self) -> bool {
        match self {
            Self::Io(_, error) => is_local_shortage(error),
            Self::TimedOut(_) => false,
            Self::NoRoom => true,
        }
    }
}

/// Whether this process or node ran out of a resource that sockets need.
pub(super) fn is_local_shortage(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    code.is_some_and(|code| {
        matches!(code, Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM | Errno::EADDRNOTAVAIL)
    })
}

/// A connection to an endpoint. The permit is to be dropped after it.
pub(super) async fn connect(
    address: SocketAddr,
    budget: &SocketBudget,
) -> Result<(TcpStream, SocketPermit), ConnectError> {
    let permit = budget.take().await.ok_or(ConnectError::NoRoom)?;
    let connecting = tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect(address));
    let stream = connecting.await.map_err(|_| ConnectError::TimedOut(address))?;
    let stream = stream.map_err(|error| ConnectError::Io(address, error))?;
    stream.set_nodelay(true).map_err(|error| ConnectError::Io(address, error))?;
    Ok((stream, permit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_shortage_differs_from_a_refused_connection() {
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        for (code, is_local) in [
            (Errno::EMFILE, true),
            (Errno::ENFILE, true),
            (Errno::ENOBUFS, true),
            (Errno::ENOMEM, true),
            (Errno::EADDRNOTAVAIL, true),
            (Errno::ECONNREFUSED, false),
            (Errno::EHOSTUNREACH, false),
        ] {
            let error = ConnectError::Io(address, io::Error::from_raw_os_error(code as i32));
            assert_eq!(error.is_local_shortage(), is_local, "{code}");
        }
        assert!(!ConnectError::TimedOut(address).is_local_shortage());
        assert!(ConnectError::NoRoom.is_local_shortage());
    }
}
