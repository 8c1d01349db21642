//! The two children of the supervisor, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::DaemonRole;

/// Which child of the supervisor this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Store, orchestrator, agent, probes, API: the only process that opens Docker's socket.
    Controller,
    /// The data plane.
    Balancer,
}

impl Role {
    /// As written after `--role`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Balancer => "balancer",
        }
    }
}

impl From<Role> for DaemonRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Controller => Self::Controller,
            Role::Balancer => Self::Balancer,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "controller" => Ok(Self::Controller),
            "balancer" => Ok(Self::Balancer),
            _ => Err(UnknownRole(text.to_owned())),
        }
    }
}

/// A role that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown role {0:?}; the supervisor starts `controller` and `balancer`")]
pub struct UnknownRole(String);
