//! The address that a probe connects to, and how.

use std::io;
use std::net::SocketAddr;

use nix::errno::Errno;
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
            match is_local(&error) {
                true => observation::not_made(failed),
                false => observation::unconnected(failed, self.port, error.kind()),
            }
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

/// Whether an error says something about this machine and nothing about the other end: no descriptor, memory, buffer, port or
/// route for a connection, or a firewall of this machine that forbids it.
fn is_local(error: &io::Error) -> bool {
    let Some(number) = error.raw_os_error() else { return false };
    matches!(
        Errno::from_raw(number),
        Errno::EMFILE
            | Errno::ENFILE
            | Errno::ENOMEM
            | Errno::ENOBUFS
            | Errno::EAGAIN
            | Errno::EADDRNOTAVAIL
            | Errno::EADDRINUSE
            | Errno::EACCES
            | Errno::EPERM
            | Errno::ENETDOWN
            | Errno::ENETUNREACH
            | Errno::EAFNOSUPPORT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_local_holds_for_shortages_of_this_machine_only() {
        let local = |errno: Errno| is_local(&io::Error::from_raw_os_error(errno as i32));
        for errno in [
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::ENOMEM,
            Errno::ENOBUFS,
            Errno::EADDRNOTAVAIL,
            Errno::EPERM,
            Errno::ENETUNREACH,
        ] {
            assert!(local(errno), "{errno}");
        }
        for errno in [Errno::ECONNREFUSED, Errno::EHOSTUNREACH, Errno::ETIMEDOUT, Errno::ECONNRESET] {
            assert!(!local(errno), "{errno}");
        }
    }
}
