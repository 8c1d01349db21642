//! The address that a probe connects to, and how.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::observation;
use crate::model::{FailedProbe, io_error_text};

/// The address that a probe connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeAddress {
    pub address: SocketAddr,
    /// The container's own port, which messages name.
    pub port: u16,
    /// Docker's proxy of a published port is in between: it accepts connections even if nothing listens in the container,
    /// then closes them.
    pub proxied: bool,
}

impl ProbeAddress {
    /// An address at which the container itself answers.
    pub fn direct(address: SocketAddr) -> Self {
        Self { address, port: address.port(), proxied: false }
    }

    /// Connects; `describe` makes the observation from the reason of a failure.
    pub(super) async fn connect(
        &self,
        describe: impl FnOnce(&str) -> FailedProbe,
    ) -> Result<TcpStream, FailedProbe> {
        TcpStream::connect(self.address).await.map_err(|error| {
            let failed = describe(&io_error_text(&error));
            observation::unconnected(failed, self.port, error.kind())
        })
    }

    /// A connection ended without an answer: through a proxy, that is what a port without a listener looks like.
    pub(super) fn hung_up(&self, describe: impl FnOnce(&str) -> FailedProbe, why: &str) -> FailedProbe {
        if !self.proxied {
            return describe(why);
        }
        let why = format!("{why}; probably nothing listens on {}", self.port);
        observation::nothing_listens(describe(&why), self.port)
    }
}
