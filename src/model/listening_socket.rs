//! A socket that a process in a container listens on. Pure.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// A TCP socket that a process in a container listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListeningSocket {
    /// The address inside the container; unspecified for every address.
    pub address: IpAddr,
    pub port: u16,
}

impl ListeningSocket {
    /// Whether it takes connections to this port from outside of the container.
    pub fn takes(&self, port: u16) -> bool {
        self.port == port && !self.address.is_loopback()
    }
}

impl fmt::Display for ListeningSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.is_unspecified() {
            true => write!(f, "{}", self.port),
            false => write!(f, "{}", SocketAddr::new(self.address, self.port)),
        }
    }
}
