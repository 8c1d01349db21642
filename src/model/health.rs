//! When a replica counts as ready. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Millis;

/// How readiness is probed. Serialises as one key of the health block: `http: /healthz`, `tcp: true`, `none: true` …
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HealthCheck {
    /// `GET` this path (with query); 200 to 399 passes.
    Http(String),
    /// A TCP connect passes; through a proxy it must also hold. The flag is always `true`; it gives the key a value in YAML.
    Tcp(bool),
    /// `grpc.health.v1.Health/Check` of this service over h2c; `SERVING` passes. Empty asks for the server as a whole.
    Grpc(String),
    /// This command, run in the container without a shell; exit code 0 passes. Needs no port.
    Exec(Vec<String>),
    /// Ready as soon as the container runs. The flag is always `true`.
    None(bool),
}

/// The readiness check of a Service, with its timings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    #[serde(flatten)]
    pub check: HealthCheck,
    /// Name of the port that is probed; without it the first port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Host of an HTTP probe; without it the host of the service's first route, else the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Further headers of an HTTP probe.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Time between the starts of two probes once ready; before the first success min(interval, 200 ms).
    #[serde(default = "default_interval")]
    pub interval: Millis,
    /// A probe without an answer for this long has failed.
    #[serde(default = "default_timeout")]
    pub timeout: Millis,
    /// From the start of the container to its first success at most.
    #[serde(default = "default_start_within")]
    pub start_within: Millis,
    /// Successes in a row that make a replica ready.
    #[serde(default = "default_healthy_after")]
    pub healthy_after: u32,
    /// Failures in a row that make a ready replica unready.
    #[serde(default = "default_unhealthy_after")]
    pub unhealthy_after: u32,
}

const fn default_interval() -> Millis {
    Millis::secs(5)
}
const fn default_timeout() -> Millis {
    Millis::secs(2)
}
const fn default_start_within() -> Millis {
    Millis::secs(60)
}
const fn default_healthy_after() -> u32 {
    1
}
const fn default_unhealthy_after() -> u32 {
    3
}

impl HealthCheck {
    /// Whether a port is probed.
    pub fn needs_port(&self) -> bool {
        match self {
            Self::Http(_) | Self::Tcp(_) | Self::Grpc(_) => true,
            Self::Exec(_) | Self::None(_) => false,
        }
    }
}

impl Health {
    /// This check with the default timings.
    pub fn with(check: HealthCheck) -> Self {
        Self {
            check,
            port: None,
            host: None,
            headers: BTreeMap::new(),
            interval: default_interval(),
            timeout: default_timeout(),
            start_within: default_start_within(),
            healthy_after: default_healthy_after(),
            unhealthy_after: default_unhealthy_after(),
        }
    }

    /// What a service without `health` gets: a TCP connect where it has a port, else nothing to probe.
    pub fn default_for(has_port: bool) -> Self {
        Self::with(if has_port { HealthCheck::Tcp(true) } else { HealthCheck::None(true) })
    }
}
