//! Connects to an endpoint, in any protocol.

use std::io;
use std::net::SocketAddr;

use nix::errno::Errno;
use tokio::net::TcpStream;

use super::limits::CONNECT_DEADLINE;

/// Why there is no connection to an endpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("cannot connect to {0}")]
    Io(SocketAddr, #[source] io::Error),
    #[error("no connection to {0} within {limit} ms", limit = CONNECT_DEADLINE.as_millis())]
    TimedOut(SocketAddr),
}

impl ConnectError {
    /// Whether this process or node ran out of a resource: no connection was attempted, so the endpoint is not to blame.
    pub(super) fn is_local_shortage(&self) -> bool {
        let Self::Io(_, error) = self else { return false };
        let code = error.raw_os_error().map(Errno::from_raw);
        code.is_some_and(|code| {
            matches!(
                code,
                Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM | Errno::EADDRNOTAVAIL
            )
        })
    }
}

pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, ConnectError> {
    let connecting = tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect(address));
    let stream = connecting.await.map_err(|_| ConnectError::TimedOut(address))?;
    let stream = stream.map_err(|error| ConnectError::Io(address, error))?;
    stream.set_nodelay(true).map_err(|error| ConnectError::Io(address, error))?;
    Ok(stream)
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
    }
}
