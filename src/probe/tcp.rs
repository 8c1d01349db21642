//! One TCP probe: a connect passes.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::observation;
use crate::model::FailedProbe;

/// Connects and closes again.
pub(super) async fn probe(target: SocketAddr) -> Result<(), FailedProbe> {
    match TcpStream::connect(target).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let failed = observation::no_connection(target.port(), &observation::io_reason(&error));
            Err(observation::unconnected(failed, target.port(), &error))
        }
    }
}
