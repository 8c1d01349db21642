//! Where a probe goes, and how a connection to it is made.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::observation;
use crate::model::FailedProbe;

/// Where a probe goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Connections are made to this.
    pub address: SocketAddr,
    /// The container's own port, which people are told of.
    pub port: u16,
    /// Something between here and the container accepts connections, whether or not anyone listens in it: Docker's proxy
    /// of a published port. It hangs up when it finds nobody.
    pub proxied: bool,
}

impl Place {
    /// Where the container itself answers.
    pub fn direct(address: SocketAddr) -> Self {
        Self { address, port: address.port(), proxied: false }
    }

    /// Connects; `told` makes a line of the reason why it could not.
    pub(super) async fn connect(
        &self,
        told: impl FnOnce(&str) -> FailedProbe,
    ) -> Result<TcpStream, FailedProbe> {
        TcpStream::connect(self.address).await.map_err(|error| {
            let failed = told(&observation::io_reason(&error));
            observation::unconnected(failed, self.port, error.kind())
        })
    }

    /// A connection that was made ended without an answer: through a proxy that is how a port looks where nobody listens.
    pub(super) fn hung_up(&self, told: impl FnOnce(&str) -> FailedProbe, why: &str) -> FailedProbe {
        if !self.proxied {
            return told(why);
        }
        let why = format!("{why}, as if nothing listened on {}", self.port);
        observation::nobody_listens(told(&why), self.port)
    }
}
