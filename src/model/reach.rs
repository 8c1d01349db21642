//! How the containers of a host are reached.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How the balancer and the probes reach the containers that are made on a host. It is no part of a template: containers
/// made the one way are as good as those made the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    /// At the container's address on its app's bridge network.
    #[default]
    Bridge,
    /// At ports of 127.0.0.1, where the bridge networks are not this machine's: with a rootless Engine, or one in a
    /// virtual machine.
    Published,
}

/// As `ctl serve --reach` takes it.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Published => "published",
        })
    }
}
