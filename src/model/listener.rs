//! Where clients connect. The scope of a listener decides which routes they can reach.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AppName, ServiceName};

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
    Https,
    /// Bytes. Routes play no part: each connection goes to `service`.
    #[serde(rename_all = "camelCase")]
    Tcp {
        /// The port that clients connect to.
        port: u16,
        service: ServiceName,
        /// Name of the service's port.
        service_port: String,
    },
}

impl ListenerProtocol {
    /// The protocol alone.
    pub fn kind(&self) -> ProtocolKind {
        match self {
            Self::Http => ProtocolKind::Http,
            Self::Https => ProtocolKind::Https,
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
}
