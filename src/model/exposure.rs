//! How the containers of a node are reached, and the kinds of Engine. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How the balancer and the probes reach containers on a node. It is not part of the template: a change of the mode is not
/// a new revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExposureMode {
    /// At the container's address on its app's bridge network.
    #[default]
    Bridge,
    /// At ports of 127.0.0.1, where the bridge networks are not the node's: with a rootless Engine, or one in a
    /// virtual machine.
    Published,
}

/// As `ctl serve --exposure` takes it.
impl fmt::Display for ExposureMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Published => "published",
        })
    }
}

/// Where an Engine runs its containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EngineKind {
    /// In the node's network namespace: its bridges are reachable.
    #[default]
    Native,
    /// Rootless: in a separate network namespace without privileges; its bridges are there.
    Rootless,
    /// In a virtual machine that Docker Desktop runs.
    Desktop,
}

impl EngineKind {
    /// How its containers are reached.
    pub fn exposure(self) -> ExposureMode {
        match self {
            Self::Native => ExposureMode::Bridge,
            Self::Rootless | Self::Desktop => ExposureMode::Published,
        }
    }

    /// The name by which its containers know this node, where it has one.
    pub fn machine_name(self) -> Option<&'static str> {
        match self {
            Self::Native | Self::Rootless => None,
            Self::Desktop => Some("host.docker.internal"),
        }
    }
}
