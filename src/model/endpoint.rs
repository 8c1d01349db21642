//! The registry's record of one reachable instance, and the identity of endpoints of any origin.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{ContainerId, ReplicaName, RevisionNumber, ServiceName};

/// Identity of an endpoint. An id never moves to another process. An address does: Docker gives the address of a dead
/// container to the next one that starts. Text forms:
///
/// - `<container>@<start, nanoseconds since 1970>`: managed,
/// - `registered:<instance>@<registration revision>`: self-registered,
/// - `external:<service>:<address>:<port>`: external; there the address is all there is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointId(String);

impl EndpointId {
    /// The endpoint of a container since it was started at that time.
    pub fn new(container: &ContainerId, started_at: jiff::Timestamp) -> Self {
        Self(format!("{container}@{}", started_at.as_nanosecond()))
    }

    /// An instance since it registered at that revision of the store.
    pub fn registered(instance: &str, revision: u64) -> Self {
        Self(format!("registered:{instance}@{revision}"))
    }

    /// An address elsewhere. Two services may name the same one.
    pub fn external(service: &ServiceName, address: SocketAddr) -> Self {
        Self(format!("external:{service}:{address}"))
    }

    /// Whether it is of this container, started no later than then: whatever ended in the container at that time was
    /// this.
    pub fn ended_with(&self, container: &ContainerId, at: jiff::Timestamp) -> bool {
        let start = self.0.strip_prefix(container.as_str()).and_then(|rest| rest.strip_prefix('@'));
        start.and_then(|start| start.parse::<i128>().ok()).is_some_and(|start| start <= at.as_nanosecond())
    }

    /// The container of a managed endpoint.
    pub fn container(&self) -> Option<ContainerId> {
        // Container ids have no colon, the other forms start with a word and one.
        let (container, _) = self.0.split_once('@').filter(|(container, _)| !container.contains(':'))?;
        Some(ContainerId::new(container))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who registered an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndpointOrigin {
    /// Our agent, which runs its container.
    Managed,
    /// The instance itself.
    Registered,
    /// The service's manifest.
    External,
}

/// What connections to an endpoint pass through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndpointVia {
    #[default]
    Direct,
    /// Docker's userland proxy of a published port: it accepts connections even where nothing listens behind it.
    DockerProxy,
}

/// Whether an endpoint may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndpointState {
    /// May be chosen.
    Ready,
    /// Takes no new request; an endpoint never leaves this state.
    Draining,
    /// Its health check fails; not chosen.
    Unready,
}

/// One reachable instance: `endpoints/<service>/<replica>`. Written by the agent alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub service: ServiceName,
    pub replica: ReplicaName,
    pub revision: RevisionNumber,
    /// Address on the app's network, or the address that its ports are published at.
    pub address: IpAddr,
    /// Ports by name.
    pub ports: BTreeMap<String, u16>,
    #[serde(default)]
    pub via: EndpointVia,
    pub state: EndpointState,
    pub container: ContainerId,
    /// When Docker started it.
    pub started_at: jiff::Timestamp,
}

impl Endpoint {
    /// Its identity.
    pub fn id(&self) -> EndpointId {
        EndpointId::new(&self.container, self.started_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_id_ends_with_its_container_if_it_started_before() {
        let at = |nanos| jiff::Timestamp::from_nanosecond(nanos).unwrap();
        let id = EndpointId::new(&"abc".into(), at(20));
        let ends = |container: &str, nanos| id.ended_with(&container.into(), at(nanos));
        assert!(ends("abc", 20) && ends("abc", 21));
        assert!(!ends("abc", 19), "the end of an earlier start");
        assert!(!ends("ab", 21) && !ends("abcd", 21), "another container");
    }

    #[test]
    fn only_managed_endpoints_have_a_container() {
        let start = jiff::Timestamp::UNIX_EPOCH;
        assert_eq!(EndpointId::new(&"abc".into(), start).container(), Some("abc".into()));
        let registered = EndpointId::registered("vm-1", 17);
        assert_eq!((registered.as_str(), registered.container()), ("registered:vm-1@17", None));
        let external = EndpointId::external(&"db".into(), "[fd00::7]:5432".parse().unwrap());
        assert_eq!((external.as_str(), external.container()), ("external:db:[fd00::7]:5432", None));
        assert!(!registered.ended_with(&"vm-1".into(), jiff::Timestamp::MAX));
    }
}
