//! Where the balancer listens for a TCP port of a service: `ports[].listen`. Pure.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{ListenerId, Millis, TcpWaits};

/// An address of the node whose connections go to a port of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpListen {
    #[serde(default = "every_address")]
    pub address: IpAddr,
    pub port: u16,
    /// How long a connection waits for a replica while none is ready and some are wanted; 0: not at all.
    #[serde(default = "default_hold")]
    pub hold: Millis,
    /// A connection on which neither side sends for this long is closed.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout: Millis,
}

const fn every_address() -> IpAddr {
    TcpWaits::EVERY_ADDRESS
}

const fn default_hold() -> Millis {
    TcpWaits::HOLD
}

const fn default_idle_timeout() -> Millis {
    TcpWaits::IDLE_TIMEOUT
}

impl TcpListen {
    /// This port of every IPv4 address, with default settings.
    pub fn on(port: u16) -> Self {
        Self {
            address: TcpWaits::EVERY_ADDRESS,
            port,
            hold: TcpWaits::HOLD,
            idle_timeout: TcpWaits::IDLE_TIMEOUT,
        }
    }

    /// The address with its port.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// `tcp:5432`: the claim key's text. A port belongs to one service, whatever the addresses.
    pub fn claim(&self) -> String {
        format!("tcp:{}", self.port)
    }

    /// The listener of this address.
    pub fn listener(&self) -> ListenerId {
        ListenerId::tcp(self.socket())
    }

    /// How long its connections wait for what.
    pub fn waits(&self) -> TcpWaits {
        TcpWaits { hold: self.hold, idle_timeout: self.idle_timeout }
    }
}

/// `tcp:5432` or, with an address, `tcp:127.0.0.1:5432`.
impl fmt::Display for TcpListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.address == TcpWaits::EVERY_ADDRESS {
            return f.pad(&self.claim());
        }
        f.pad(&format!("tcp:{}", self.socket()))
    }
}

/// A claim as a sentence names it: `TCP port 5432`, or ``route `shop.localhost/` ``.
pub fn claim_phrase(claim: &str) -> String {
    match claim.strip_prefix("tcp:") {
        Some(port) => format!("TCP port {port}"),
        None => format!("route `{claim}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_is_displayed_and_identified_by_its_address() {
        for (address, text, id) in [
            ("0.0.0.0", "tcp:5432", "tcp-5432"),
            ("127.0.0.1", "tcp:127.0.0.1:5432", "tcp-5432-127-0-0-1"),
            ("::", "tcp:[::]:5432", "tcp-5432-0000-0000-0000-0000-0000-0000-0000-0000"),
            ("fd00::7", "tcp:[fd00::7]:5432", "tcp-5432-fd00-0000-0000-0000-0000-0000-0000-0007"),
        ] {
            let listen = TcpListen { address: address.parse().unwrap(), ..TcpListen::on(5432) };
            assert_eq!((listen.to_string().as_str(), listen.listener().as_str()), (text, id));
            assert_eq!(ListenerId::parse(id), Ok(listen.listener()), "{id}");
            assert_eq!(listen.claim(), "tcp:5432", "a port has one owner");
        }
    }
}
