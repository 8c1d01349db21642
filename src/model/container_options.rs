//! What a container gets from its node apart from image, storage and limits: names, kernel settings, devices. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::MemorySize;

/// Most processes and threads of a container unless it says otherwise: well above what a service of hundreds of threads has, and
/// far below the 32,768 at which a fork bomb takes the node with it.
pub const PIDS_LIMIT: u32 = 4096;

/// Size of a tmpfs that names none. Docker's own default is half of the node's memory.
pub const TMPFS_SIZE: MemorySize = MemorySize(64 * 1024 * 1024);

/// Where most programs write temporary files.
pub const TMP: &str = "/tmp";

/// Options of a container. Their keys are keys of `spec`; every one is left out at its default, of the template hash too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerOptions {
    /// Without it the name of the replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Without it the image's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Whether PID 1 is Docker's init, which reaps zombies and forwards signals.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub init: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<Tmpfs>,
    /// Size of `/dev/shm`; Docker's default is 64 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<MemorySize>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Settings of the container's own namespaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_default_pids_limit")]
    pub pids_limit: u32,
    /// Names with their address, for `/etc/hosts`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_hosts: BTreeMap<String, HostAddress>,
    #[serde(skip_serializing_if = "Dns::is_docker")]
    pub dns: Dns,
    /// Devices of the node, at the same path in the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
}

/// A file system in memory. It is empty in every new container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tmpfs {
    /// Absolute path in the container.
    pub path: String,
    #[serde(default = "default_tmpfs_size")]
    pub size: MemorySize,
}

/// A limit of the kernel on each process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ulimit {
    pub soft: UlimitValue,
    pub hard: UlimitValue,
}

/// A number, or `unlimited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UlimitValue {
    Number(u32),
    Word(UnlimitedWord),
}

/// The word for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnlimitedWord {
    Unlimited,
}

/// An address, or Docker's word for the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HostAddress {
    Address(IpAddr),
    Word(GatewayWord),
}

/// Docker's word for the address of the node, as a container reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayWord {
    HostGateway,
}

/// How names are resolved in the container, instead of by Docker's own servers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dns {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<IpAddr>,
    /// Domains that are appended to a name without a dot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Options of `/etc/resolv.conf`, such as `ndots:2`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

const fn default_tmpfs_size() -> MemorySize {
    TMPFS_SIZE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_default_pids_limit(limit: &u32) -> bool {
    *limit == PIDS_LIMIT
}

impl Default for ContainerOptions {
    fn default() -> Self {
        Self {
            hostname: None,
            working_dir: None,
            init: false,
            tmpfs: Vec::new(),
            shm_size: None,
            ulimits: BTreeMap::new(),
            sysctls: BTreeMap::new(),
            pids_limit: PIDS_LIMIT,
            extra_hosts: BTreeMap::new(),
            dns: Dns::default(),
            devices: Vec::new(),
        }
    }
}

impl Dns {
    /// Whether Docker's own servers resolve names.
    pub fn is_docker(&self) -> bool {
        *self == Self::default()
    }
}

impl UlimitValue {
    /// As Docker writes it: -1 is no limit.
    pub fn number(self) -> i64 {
        match self {
            Self::Number(number) => number.into(),
            Self::Word(UnlimitedWord::Unlimited) => -1,
        }
    }

    /// Whether this value is above another one.
    pub fn is_above(self, other: Self) -> bool {
        match (self, other) {
            (_, Self::Word(UnlimitedWord::Unlimited)) => false,
            (Self::Word(UnlimitedWord::Unlimited), Self::Number(_)) => true,
            (Self::Number(own), Self::Number(other)) => own > other,
        }
    }
}

impl std::fmt::Display for HostAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Word(GatewayWord::HostGateway) => f.write_str("host-gateway"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_at_their_default_have_no_json() {
        let json = serde_json::to_value(ContainerOptions::default()).unwrap();
        assert_eq!(json, serde_json::json!({}));
        assert_eq!(serde_json::from_value::<ContainerOptions>(json).unwrap(), ContainerOptions::default());
    }

    #[test]
    fn ulimit_value_compares_with_unlimited_as_the_largest() {
        let unlimited = UlimitValue::Word(UnlimitedWord::Unlimited);
        assert!(unlimited.is_above(UlimitValue::Number(u32::MAX)));
        assert!(!UlimitValue::Number(5).is_above(unlimited) && !unlimited.is_above(unlimited));
        assert_eq!((unlimited.number(), UlimitValue::Number(5).number()), (-1, 5));
        let json = serde_json::json!({"soft": 1024, "hard": "unlimited"});
        let read: Ulimit = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), json);
    }
}
