//! What is so of this host while the agent runs, and what follows for where things are reached. Pure.

use std::net::SocketAddr;

use super::address::Subnet;
use super::handle::AgentConfig;
use crate::model::{EngineKind, ExposureMode, NodeId, StoreId};

/// What does not change while the agent runs; the last two are known with the Engine's first answer, before which nothing
/// is planned.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// The Engine's id.
    pub node: NodeId,
    /// Name of the host, for `{field: node.name}`.
    pub node_name: String,
    /// Value of the instance label: host and state directory.
    pub instance: String,
    /// The store whose containers are ours.
    pub store: StoreId,
    /// What networks of apps are taken from.
    pub pool: Subnet,
    /// How containers are reached that are made from now on.
    pub exposure: ExposureMode,
    /// Where they find the balancer, for `{field: balancer.url}`.
    pub balancer: BalancerUrl,
}

/// Where containers find the balancer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BalancerUrl {
    /// At the gateway of their network, on this port.
    Gateway(u16),
    /// At this host and port.
    Host(String),
    /// Nobody knows.
    #[default]
    Unknown,
}

impl BalancerUrl {
    /// From what the daemon was told, else from what kind of Engine it is; a listener on every address covers the gateways
    /// of networks that are this machine's.
    pub(super) fn of(
        told: Option<&str>,
        http: &[SocketAddr],
        kind: EngineKind,
        exposure: ExposureMode,
    ) -> Self {
        let covering = http.iter().find(|address| address.ip().is_unspecified());
        let Some(host) = told.or(kind.machine_name()) else {
            let covering = covering.filter(|_| exposure == ExposureMode::Bridge);
            return covering.map_or(Self::Unknown, |address| Self::Gateway(address.port()));
        };
        let bare = host.trim_matches(['[', ']']);
        let of_host = || http.iter().find(|address| address.ip().to_string() == bare);
        let listener = covering.or_else(of_host).or(http.first());
        listener.map_or(Self::Unknown, |address| Self::Host(format!("{host}:{}", address.port())))
    }
}

impl NodeFacts {
    /// The Engine said what it is.
    pub(super) fn learn(&mut self, config: &AgentConfig, kind: EngineKind) {
        self.exposure = config.exposure.unwrap_or(kind.exposure());
        self.balancer = BalancerUrl::of(config.balancer_host.as_deref(), &config.http, kind, self.exposure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_balancer_is_where_containers_can_reach_it() {
        use EngineKind::{Desktop, Native, Rootless};
        let host = |text: &str| BalancerUrl::Host(text.to_owned());
        for (told, http, kind, at) in [
            (None, "0.0.0.0:8080", Native, BalancerUrl::Gateway(8080)),
            (None, "127.0.0.1:81 0.0.0.0:80", Native, BalancerUrl::Gateway(80)),
            (None, "127.0.0.1:8080", Native, BalancerUrl::Unknown),
            (Some("10.0.0.5"), "10.0.0.5:8080", Native, host("10.0.0.5:8080")),
            (None, "0.0.0.0:8080", Rootless, BalancerUrl::Unknown),
            (Some("harbour.lan"), "0.0.0.0:8080", Rootless, host("harbour.lan:8080")),
            (Some("10.0.0.5"), "127.0.0.1:81 0.0.0.0:80", Rootless, host("10.0.0.5:80")),
            (Some("10.0.0.5"), "127.0.0.1:81 10.0.0.5:82", Native, host("10.0.0.5:82")),
            (Some("[fd00::2]"), "127.0.0.1:81 [fd00::2]:82", Native, host("[fd00::2]:82")),
            (None, "127.0.0.1:8080", Desktop, host("host.docker.internal:8080")),
            (Some("10.0.0.5"), "", Desktop, BalancerUrl::Unknown),
        ] {
            let http: Vec<SocketAddr> = http.split_whitespace().map(|a| a.parse().unwrap()).collect();
            assert_eq!(BalancerUrl::of(told, &http, kind, kind.exposure()), at, "{told:?} {http:?} {kind:?}");
        }
    }
}
