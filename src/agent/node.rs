//! The facts of this node, and how containers and the balancer reach each other on it. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::Ipv4Net;

use super::config::AgentConfig;
use crate::model::{EngineKind, ExposureMode, NodeId, StoreId};

/// What does not change while the agent runs; the last three are known from the Engine's first response on, before which nothing
/// is planned.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// The Engine's id.
    pub node: NodeId,
    /// For `{field: node.name}`.
    pub node_name: String,
    /// Value of the instance label: node and state directory.
    pub instance: String,
    /// The store whose containers are ours.
    pub store: StoreId,
    /// The pool of the apps' networks.
    pub pool: Ipv4Net,
    /// Of containers created from now on.
    pub exposure: ExposureMode,
    /// For `{field: balancer.url}`.
    pub balancer: BalancerUrl,
    /// Our program, if containers of this Engine can run it to check the way to the balancer.
    pub program: Option<PathBuf>,
}

/// Where containers find the balancer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BalancerUrl {
    /// At the gateway of their network, on this port.
    Gateway(u16),
    /// At this host and port.
    Host(String),
    /// No address is known that containers can reach.
    #[default]
    Unknown,
}

impl BalancerUrl {
    /// From the configured host, else from the kind of Engine. A listener on every IPv4 address covers the gateways of networks
    /// on this node; containers also reach one at a single address of this node, such as the gateway of one network.
    pub(super) fn of(
        configured: Option<&str>,
        http: &[SocketAddr],
        kind: EngineKind,
        exposure: ExposureMode,
    ) -> Self {
        let Some(host) = configured.or(kind.machine_name()) else {
            return Self::on_bridges(http, exposure);
        };
        let covering = http.iter().find(|address| address.ip().is_unspecified());
        let bare = host.trim_matches(['[', ']']);
        let of_host = || http.iter().find(|address| address.ip().to_string() == bare);
        let listener = covering.or_else(of_host).or(http.first());
        listener.map_or(Self::Unknown, |address| Self::Host(format!("{host}:{}", address.port())))
    }

    /// The networks of apps have IPv4 only, so a listener on `[::]` does not help.
    fn on_bridges(http: &[SocketAddr], exposure: ExposureMode) -> Self {
        if exposure != ExposureMode::Bridge {
            return Self::Unknown;
        }
        let mut reachable = http.iter().filter(|address| address.is_ipv4() && !address.ip().is_loopback());
        match reachable.clone().find(|address| address.ip().is_unspecified()) {
            Some(covering) => Self::Gateway(covering.port()),
            None => reachable.next().map_or(Self::Unknown, |address| Self::Host(address.to_string())),
        }
    }
}

impl NodeFacts {
    /// The Engine's first response.
    pub(super) fn learn(&mut self, config: &AgentConfig, kind: EngineKind) {
        self.exposure = config.exposure.unwrap_or(kind.exposure());
        // Processes of another kind of Engine may see other files and networks than this one.
        self.program = config.program.clone().filter(|_| kind == EngineKind::Native);
        self.balancer = BalancerUrl::of(config.balancer_host.as_deref(), &config.http, kind, self.exposure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balancer_url_is_one_that_containers_can_reach() {
        use EngineKind::{Desktop, Native, Rootless};
        let host = |text: &str| BalancerUrl::Host(text.to_owned());
        for (configured, http, kind, at) in [
            (None, "0.0.0.0:8080", Native, BalancerUrl::Gateway(8080)),
            (None, "127.0.0.1:81 0.0.0.0:80", Native, BalancerUrl::Gateway(80)),
            (None, "127.0.0.1:8080", Native, BalancerUrl::Unknown),
            (None, "[::]:8080", Native, BalancerUrl::Unknown),
            (None, "[::]:81 0.0.0.0:80", Native, BalancerUrl::Gateway(80)),
            (None, "127.0.0.1:81 10.209.0.1:80", Native, host("10.209.0.1:80")),
            (None, "10.209.0.1:81 0.0.0.0:80", Native, BalancerUrl::Gateway(80)),
            (None, "10.209.0.1:80", Rootless, BalancerUrl::Unknown),
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
            assert_eq!(
                BalancerUrl::of(configured, &http, kind, kind.exposure()),
                at,
                "{configured:?} {http:?} {kind:?}"
            );
        }
    }
}
