//! Where a container is reached: at its address on its app's network, or at ports of 127.0.0.1. Pure.
//!
//! A container says by itself how it is reached, by the ports it was published with: those of an earlier run that was told
//! otherwise stay as good as they are.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::engine::ObservedContainer;
use crate::model::Port;
use crate::probe;

/// Where a container is reached.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reached<'c> {
    /// At this address, at its own ports.
    Bridge(IpAddr),
    /// At 127.0.0.1, its ports at these.
    Published(&'c BTreeMap<u16, u16>),
}

impl<'c> Reached<'c> {
    /// Where this container is reached; `None` for one that is not on its network, which has no published ports then.
    pub(super) fn of(container: &'c ObservedContainer, network: &str) -> Option<Self> {
        let address = container.addresses.get(network)?;
        Some(match container.published.is_empty() {
            true => Self::Bridge(*address),
            false => Self::Published(&container.published),
        })
    }

    /// The address for all ports.
    pub(super) fn address(self) -> IpAddr {
        match self {
            Self::Bridge(address) => address,
            Self::Published(_) => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// The port there for one of the container's; `None` if that is not published.
    fn port(self, own: u16) -> Option<u16> {
        match self {
            Self::Bridge(_) => Some(own),
            Self::Published(ports) => ports.get(&own).copied(),
        }
    }

    /// The ports there by name.
    pub(super) fn ports(self, ports: &[Port]) -> BTreeMap<String, u16> {
        ports.iter().filter_map(|p| Some((p.name.clone(), self.port(p.port)?))).collect()
    }

    /// Where a probe of one of its ports goes.
    pub(super) fn place(self, own: u16) -> Option<probe::ProbeAddress> {
        let address = SocketAddr::new(self.address(), self.port(own)?);
        Some(probe::ProbeAddress { address, port: own, proxied: matches!(self, Self::Published(_)) })
    }
}
