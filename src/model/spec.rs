//! The `spec` of a Service in its long form, with defaults filled in. Pure.
//!
//! These types are what is stored and shown; their JSON is the long form of the manifest, so that `ctl apply` takes
//! what `ctl get -o yaml` prints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    ContainerOptions, Cpu, Health, MemorySize, RolloutPolicy, Route, Security, StopPolicy, TcpListen, Volume,
};

/// When the image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pull {
    /// Where the Engine does not have it.
    #[default]
    IfMissing,
    /// At every user's apply.
    Always,
    /// Never; an image that is missing is an error.
    Never,
}

/// The protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/2 without TLS, which gRPC servers speak.
    H2c,
    /// Bytes: the balancer reads nothing of them.
    Tcp,
}

/// A port of the container. The agent chooses the port of the node that it is published at, if any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Name, unique in the service; `http` for the short form `port: 8080`.
    pub name: String,
    /// Number in the container.
    pub port: u16,
    #[serde(default)]
    pub protocol: Protocol,
    /// Where clients reach a TCP port. Like a route it is no part of the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<TcpListen>,
}

/// How an endpoint is chosen for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Balance {
    /// The one of two random candidates with fewer requests in flight.
    #[default]
    LeastRequests,
    /// One after the other.
    RoundRobin,
}

/// A value of the environment: text exactly as written, or a field the system fills in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EnvValue {
    Text(String),
    /// `{field: replica.name}`.
    Field {
        field: EnvField,
    },
}

/// A value that the system fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EnvField {
    #[serde(rename = "replica.name")]
    ReplicaName,
    /// Slot of the replica.
    #[serde(rename = "replica.slot")]
    ReplicaSlot,
    #[serde(rename = "service.name")]
    ServiceName,
    /// Name of the node.
    #[serde(rename = "node.name")]
    NodeName,
    /// Where the container reaches the balancer: at the gateway of its network, at an address of the node, or at the host of
    /// `--balancer-host`.
    #[serde(rename = "balancer.url")]
    BalancerUrl,
    /// The same without scheme and port, for services that listen on TCP ports.
    #[serde(rename = "balancer.host")]
    BalancerHost,
}

/// Reserved for placement; memory is the hard limit too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Share of cpu.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Memory; the container is killed above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemorySize>,
}

/// Hard limits of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerLimits {
    /// Cpu quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
}

/// Rotation of the container's log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Logging {
    /// Size of one file; `10m`, Docker's spelling.
    pub max_size: MemorySize,
    /// Number of files.
    pub max_files: u32,
}

impl Default for Logging {
    fn default() -> Self {
        Self { max_size: MemorySize(10 * 1024 * 1024), max_files: 5 }
    }
}

/// The desired state of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// Image reference as written.
    pub image: String,
    /// When it is pulled.
    #[serde(default)]
    pub pull: Pull,
    /// Number of replicas; `None` in a file keeps the live number (1 on create). Always `Some` once stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Docker ENTRYPOINT; the image's own where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Docker CMD; the image's own where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Ports of the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// Hosts and paths that lead here.
    #[serde(default, rename = "route", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// How an endpoint is chosen.
    #[serde(default)]
    pub balance: Balance,
    pub health: Health,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Reserved.
    #[serde(default)]
    pub resources: Resources,
    #[serde(default)]
    pub limits: ContainerLimits,
    #[serde(default)]
    pub rollout: RolloutPolicy,
    #[serde(default)]
    pub stop: StopPolicy,
    #[serde(default)]
    pub security: Security,
    #[serde(default)]
    pub logging: Logging,
    /// Names, kernel settings and devices.
    #[serde(flatten)]
    pub options: ContainerOptions,
    /// Extra labels on the containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl ServiceSpec {
    /// A spec of this image with every default; what the minimal manifest means, without port and route.
    pub fn of_image(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            pull: Pull::default(),
            replicas: None,
            entrypoint: None,
            command: None,
            ports: Vec::new(),
            routes: Vec::new(),
            balance: Balance::default(),
            health: Health::default_for(false),
            env: BTreeMap::new(),
            volumes: Vec::new(),
            resources: Resources::default(),
            limits: ContainerLimits::default(),
            rollout: RolloutPolicy::default(),
            stop: StopPolicy::default(),
            security: Security::default(),
            logging: Logging::default(),
            options: ContainerOptions::default(),
            labels: BTreeMap::new(),
        }
    }

    /// Wanted replicas.
    pub fn replica_count(&self) -> u32 {
        self.replicas.unwrap_or(1)
    }

    /// Where a route or probe names no port, the first; `None` where there is none (of that name).
    pub fn port(&self, name: Option<&str>) -> Option<&Port> {
        match name {
            Some(name) => self.ports.iter().find(|p| p.name == name),
            None => self.ports.first(),
        }
    }

    /// The addresses that the balancer listens on for it, each with the port that its connections go to.
    pub fn listens(&self) -> impl Iterator<Item = (&TcpListen, &Port)> {
        self.ports.iter().filter_map(|port| Some((port.listen.as_ref()?, port)))
    }

    /// Whether clients reach it through the balancer.
    pub fn is_routed(&self) -> bool {
        !self.routes.is_empty() || self.listens().next().is_some()
    }

    /// This spec with all that a revision fixes taken from `released`: what an undo writes. Replica count, routes, listened
    /// addresses, balance and rollout policy stay as they are.
    #[must_use]
    pub fn with_release_of(&self, released: &ServiceSpec) -> ServiceSpec {
        // a port that was renamed since then has another name and the same number
        let renamed = |number: u16| {
            let mut unknown = self.ports.iter().filter(|port| released.port(Some(&port.name)).is_none());
            unknown.find(|port| port.port == number)
        };
        let now = |port: &Port| self.port(Some(&port.name)).or_else(|| renamed(port.port));
        let ports = released
            .ports
            .iter()
            .map(|port| Port { listen: now(port).and_then(|now| now.listen), ..port.clone() });
        ServiceSpec {
            ports: ports.collect(),
            pull: self.pull,
            replicas: self.replicas,
            routes: self.routes.clone(),
            balance: self.balance,
            rollout: self.rollout.clone(),
            ..released.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undo_keeps_the_listened_address_of_a_port_that_was_renamed_since() {
        let port = |name: &str, port, listen: Option<u16>| {
            let listen =
                listen.map(|port| serde_json::from_value(serde_json::json!({ "port": port })).unwrap());
            Port { name: name.to_owned(), port, protocol: Protocol::Tcp, listen }
        };
        let spec = |ports: &[Port]| ServiceSpec { ports: ports.to_vec(), ..ServiceSpec::of_image("db:1") };
        for (released, now, expected) in [
            (port("db", 5432, Some(1)), port("db", 5432, Some(2)), Some(2)),
            (port("db", 5432, Some(1)), port("db", 5433, Some(2)), Some(2)),
            (port("db", 5432, Some(1)), port("pg", 5432, Some(2)), Some(2)),
            (port("db", 5432, Some(1)), port("db", 5432, None), None),
            (port("db", 5432, Some(1)), port("pg", 5433, Some(2)), None),
        ] {
            let undone = spec(&[now]).with_release_of(&spec(&[released]));
            let listens: Vec<u16> = undone.listens().map(|(listen, _)| listen.port).collect();
            assert_eq!(listens.first().copied(), expected, "{undone:?}");
        }
    }
}
