//! Where clients connect. The scope of a listener decides which routes they can reach.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::{AppName, Millis, ServiceName};

/// Who can connect to a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ListenerScope {
    /// Everyone who reaches the machine.
    Public,
    /// Containers of one app, at the gateway of its network.
    Gateway { app: AppName },
}

/// How a listener's connections are served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ListenerProtocol {
    /// HTTP without TLS: each request takes a route.
    Http,
    /// HTTP over TLS: each request takes a route.
    Https {
        /// The port that clients connect to.
        port: u16,
    },
    /// Bytes. Routes play no part: each connection goes to `service`.
    #[serde(rename_all = "camelCase")]
    Tcp {
        /// The address of the node that clients connect to.
        #[serde(default = "every_address", skip_serializing_if = "is_every_address")]
        address: IpAddr,
        /// The port that clients connect to.
        port: u16,
        service: ServiceName,
        /// Name of the service's port.
        service_port: String,
        #[serde(default)]
        waits: TcpWaits,
    },
}

const fn every_address() -> IpAddr {
    TcpWaits::EVERY_ADDRESS
}

fn is_every_address(address: &IpAddr) -> bool {
    *address == TcpWaits::EVERY_ADDRESS
}

/// How long the balancer waits for what on a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpWaits {
    /// For an endpoint while there is none; 0: a connection is closed at once.
    pub hold: Millis,
    /// For a byte of either side; then the connection is closed.
    pub idle_timeout: Millis,
}

impl TcpWaits {
    /// All IPv4 addresses of the node.
    pub const EVERY_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    /// As long as a request is held by default.
    pub const HOLD: Millis = Millis::secs(30);
    /// The connections of a pool are silent over a night, and a peer that has vanished is found by keepalive within minutes: this only
    /// ends what a program has forgotten.
    pub const IDLE_TIMEOUT: Millis = Millis::secs(24 * 3600);
}

impl Default for TcpWaits {
    fn default() -> Self {
        Self { hold: Self::HOLD, idle_timeout: Self::IDLE_TIMEOUT }
    }
}

impl ListenerProtocol {
    /// The protocol alone.
    pub fn kind(&self) -> ProtocolKind {
        match self {
            Self::Http => ProtocolKind::Http,
            Self::Https { .. } => ProtocolKind::Https,
            Self::Tcp { .. } => ProtocolKind::Tcp,
        }
    }
}

/// [`ListenerProtocol`] without its settings: selects the handler of a socket's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProtocolKind {
    Http,
    Https,
    Tcp,
}

impl fmt::Display for ProtocolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
        })
    }
}

/// A set of sockets that clients connect to. The supervisor opens them under the listener's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    pub scope: ListenerScope,
    pub protocol: ListenerProtocol,
}

impl Listener {
    /// The listener of `ctl serve --http`.
    pub const PUBLIC_HTTP: Self = Self { scope: ListenerScope::Public, protocol: ListenerProtocol::Http };

    /// The listener of `ctl serve --https`.
    pub const fn public_https(port: u16) -> Self {
        Self { scope: ListenerScope::Public, protocol: ListenerProtocol::Https { port } }
    }
}
