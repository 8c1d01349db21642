//! One TCP probe: a connect passes.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::observation;

/// Connects and closes again.
pub(super) async fn probe(target: SocketAddr) -> Result<(), String> {
    match TcpStream::connect(target).await {
        Ok(_) => Ok(()),
        Err(error) => Err(observation::no_connection(target.port(), &observation::io_reason(&error))),
    }
}
