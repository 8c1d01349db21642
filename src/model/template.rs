//! The template: the fields whose change needs a new container, and their hash. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    ContainerLimits, ContainerOptions, EnvValue, Logging, Port, Protocol, Resources, Security, ServiceSpec,
    TemplateHash, Volume, sha256_hex,
};

/// Number of the rules below. Hashes are compared only under one schema; raise it when a field's canonical form
/// changes, never when a field is added (a field at its default is omitted, so old hashes hold).
pub const HASH_SCHEMA: u32 = 1;

/// The part of a release that a container is made from. Two replicas with equal templates are the same; the order of
/// the fields here is part of the hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Template<'a> {
    /// Digest or image id, not the tag's text.
    pub image: &'a str,
    /// Docker ENTRYPOINT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<&'a [String]>,
    /// Docker CMD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<&'a [String]>,
    /// Ports, by name: their order in the file does not matter.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<&'a str, TemplatePort<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: &'a BTreeMap<String, EnvValue>,
    /// Volumes, by name; host paths by their path in the container.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<&'a str, &'a Volume>,
    /// Reserved; memory is the hard limit.
    #[serde(skip_serializing_if = "is_default")]
    pub resources: Resources,
    #[serde(skip_serializing_if = "is_default")]
    pub limits: ContainerLimits,
    #[serde(skip_serializing_if = "refers_to_default")]
    pub security: &'a Security,
    #[serde(skip_serializing_if = "refers_to_default")]
    pub logging: &'a Logging,
    /// Each is left out at its default.
    #[serde(flatten)]
    pub options: &'a ContainerOptions,
    /// Extra labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: &'a BTreeMap<String, String>,
    /// Counts `ctl restart` and `ctl rollout --retry`.
    #[serde(skip_serializing_if = "is_default")]
    pub restarts: u64,
}

/// A port of the container. Where clients reach it is the balancer's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplatePort<'a> {
    name: &'a str,
    port: u16,
    protocol: Protocol,
}

impl<'a> From<&'a Port> for TemplatePort<'a> {
    fn from(port: &'a Port) -> Self {
        Self { name: &port.name, port: port.port, protocol: port.protocol }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn refers_to_default<T: Default + PartialEq>(value: &&T) -> bool {
    is_default(*value)
}

impl<'a> Template<'a> {
    /// The template of a spec whose image resolved to `image`, after that many restarts.
    pub fn of(spec: &'a ServiceSpec, image: &'a str, restarts: u64) -> Self {
        Self {
            image,
            entrypoint: spec.entrypoint.as_deref(),
            command: spec.command.as_deref(),
            ports: spec.ports.iter().map(|p| (p.name.as_str(), p.into())).collect(),
            env: &spec.env,
            volumes: spec.volumes.iter().map(|v| (v.name().unwrap_or(&v.path), v)).collect(),
            resources: spec.resources,
            limits: spec.limits,
            security: &spec.security,
            logging: &spec.logging,
            options: &spec.options,
            labels: &spec.labels,
            restarts,
        }
    }

    /// SHA-256 over the canonical JSON, first 16 hex digits.
    pub fn hash(&self) -> TemplateHash {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut digits = sha256_hex(&json);
        digits.truncate(16);
        TemplateHash::new(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Balance, Health, HealthCheck, Millis, Port, Protocol, Route, TcpListen};

    fn hash(spec: &ServiceSpec) -> String {
        Template::of(spec, "sha256:aa", 0).hash().to_string()
    }

    /// Golden: upgrading `ctl` must never recreate a container. If this fails, a field's canonical form changed.
    #[test]
    fn template_hash_equals_golden_values() {
        let mut spec = ServiceSpec::of_image("users:1");
        assert_eq!(hash(&spec), GOLDEN_MINIMAL);
        spec.ports = vec![Port { name: "http".into(), port: 8080, protocol: Protocol::Http, listen: None }];
        spec.env.insert("A".into(), EnvValue::Text("3.10".into()));
        spec.resources.memory = "256Mi".parse().ok();
        spec.command = Some(vec!["serve".into()]);
        assert_eq!(hash(&spec), GOLDEN_FULL);
    }
    const GOLDEN_MINIMAL: &str = "ce7c278580d4d490";
    const GOLDEN_FULL: &str = "8f7aa90905bc0789";

    #[test]
    fn template_hash_ignores_fields_outside_template() {
        let base = ServiceSpec::of_image("users:1");
        let before = hash(&base);
        let mut same = base.clone();
        same.image = "users:renamed-tag".into();
        same.replicas = Some(7);
        same.routes = vec![Route::to(None, "/")];
        same.balance = Balance::RoundRobin;
        same.health = Health::with(HealthCheck::None(true));
        same.stop.grace = Millis::secs(1);
        same.rollout.drain = Millis::secs(1);
        let mut listened = base.clone();
        listened.ports = vec![Port { name: "db".into(), port: 5432, protocol: Protocol::Tcp, listen: None }];
        let unlistened = hash(&listened);
        listened.ports[0].listen = Some(TcpListen::on(5432));
        assert_eq!(hash(&listened), unlistened);
        assert_eq!(hash(&same), before);

        let mut changed = base.clone();
        changed.labels.insert("team".into(), "identity".into());
        assert_ne!(hash(&changed), before);
        let mut mounted = base.clone();
        let volume = |path: &str| Volume::named("data", path);
        mounted.volumes = vec![volume("/data")];
        let mut moved = base.clone();
        moved.volumes = vec![volume("/else")];
        assert_ne!(hash(&mounted), before);
        assert_ne!(hash(&mounted), hash(&moved));
        assert_ne!(Template::of(&base, "sha256:bb", 0).hash().to_string(), before);
        assert_ne!(Template::of(&base, "sha256:aa", 1).hash().to_string(), before);
    }

    #[test]
    fn template_hash_ignores_port_order() {
        let port =
            |name: &str, port| Port { name: name.into(), port, protocol: Protocol::Http, listen: None };
        let mut a = ServiceSpec::of_image("users:1");
        a.ports = vec![port("a", 1), port("b", 2)];
        let mut b = a.clone();
        b.ports.reverse();
        assert_eq!(hash(&a), hash(&b));
    }
}
