//! Where a container is reachable: at its address on its app's network, or at ports of 127.0.0.1. Pure.
//!
//! The published ports of a container decide: containers of an earlier run with another exposure mode stay reachable.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::engine::ObservedContainer;
use crate::model::{EndpointVia, Port};
use crate::probe;

/// Where a container is reachable.
#[derive(Debug, Clone, Copy)]
pub(super) enum EndpointAddress<'c> {
    /// At this address, at its own ports.
    Bridge(IpAddr),
    /// At 127.0.0.1, its ports at these.
    Published(&'c BTreeMap<u16, u16>),
}

impl<'c> EndpointAddress<'c> {
    /// `None` for a container that is not on its network: it has no published ports either.
    pub(super) fn of(container: &'c ObservedContainer, network: &str) -> Option<Self> {
        let address = container.addresses.get(network)?;
        Some(match container.published.is_empty() {
            true => Self::Bridge(*address),
            false => Self::Published(&container.published),
        })
    }

    pub(super) fn ip(self) -> IpAddr {
        match self {
            Self::Bridge(address) => address,
            Self::Published(_) => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// What connections to it pass through.
    pub(super) fn via(self) -> EndpointVia {
        match self {
            Self::Bridge(_) => EndpointVia::Direct,
            Self::Published(_) => EndpointVia::DockerProxy,
        }
    }

    /// The reachable port for one of the container's; `None` if that is not published.
    fn port(self, own: u16) -> Option<u16> {
        match self {
            Self::Bridge(_) => Some(own),
            Self::Published(ports) => ports.get(&own).copied(),
        }
    }

    /// The reachable ports by name.
    pub(super) fn ports(self, ports: &[Port]) -> BTreeMap<String, u16> {
        ports.iter().filter_map(|p| Some((p.name.clone(), self.port(p.port)?))).collect()
    }

    /// Where to probe one of the container's ports.
    pub(super) fn place(self, own: u16) -> Option<probe::ProbeAddress> {
        let address = SocketAddr::new(self.ip(), self.port(own)?);
        Some(probe::ProbeAddress { address, port: own, proxied: matches!(self, Self::Published(_)) })
    }
}
