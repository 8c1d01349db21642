//! The registry's record of one reachable instance, and the identity of endpoints of any origin.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
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

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who registered an endpoint, with what identifies the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "by")]
pub enum EndpointOrigin {
    /// Our agent, which runs its container.
    Managed {
        replica: ReplicaName,
        container: ContainerId,
        /// When Docker started it.
        started_at: jiff::Timestamp,
    },
    /// The instance itself.
    Registered {
        instance: String,
        /// The store's revision when it registered.
        registration_revision: u64,
    },
    /// The service's manifest: there is only its address.
    External,
}

/// An [`EndpointOrigin`] in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OriginName {
    Managed,
    Registered,
    External,
}

impl From<&EndpointOrigin> for OriginName {
    fn from(origin: &EndpointOrigin) -> Self {
        match origin {
            EndpointOrigin::Managed { .. } => Self::Managed,
            EndpointOrigin::Registered { .. } => Self::Registered,
            EndpointOrigin::External => Self::External,
        }
    }
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

/// One reachable instance: `endpoints/<service>/<name>`. The agent alone writes those of its containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub service: ServiceName,
    pub origin: EndpointOrigin,
    pub revision: RevisionNumber,
    /// Address on the app's network, or the address that its ports are published at.
    pub address: IpAddr,
    /// Ports by name.
    pub ports: BTreeMap<String, u16>,
    /// Names of those that speak HTTP/2.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub http2_ports: BTreeSet<String>,
    #[serde(default)]
    pub via: EndpointVia,
    pub state: EndpointState,
    /// Relative to the weights of the revision's other endpoints.
    #[serde(default = "default_weight", skip_serializing_if = "is_default_weight")]
    pub weight: u32,
}

const fn default_weight() -> u32 {
    Endpoint::WEIGHT
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_default_weight(weight: &u32) -> bool {
    *weight == Endpoint::WEIGHT
}

impl Endpoint {
    /// The default weight.
    pub const WEIGHT: u32 = 1;

    /// Its identity. An external endpoint with several ports is identified by the first by name.
    pub fn id(&self) -> EndpointId {
        match &self.origin {
            EndpointOrigin::Managed { container, started_at, .. } => EndpointId::new(container, *started_at),
            EndpointOrigin::Registered { instance, registration_revision } => {
                EndpointId::registered(instance, *registration_revision)
            }
            EndpointOrigin::External => {
                let port = self.ports.values().next().copied().unwrap_or_default();
                EndpointId::external(&self.service, SocketAddr::new(self.address, port))
            }
        }
    }

    /// The replica that it is; `None` unless it is managed.
    pub fn replica(&self) -> Option<&ReplicaName> {
        match &self.origin {
            EndpointOrigin::Managed { replica, .. } => Some(replica),
            EndpointOrigin::Registered { .. } | EndpointOrigin::External => None,
        }
    }

    /// Its name, unique in its service: that of its replica, or the text of its id. No replica has a name with a colon.
    pub fn name(&self) -> Cow<'_, str> {
        match self.replica() {
            Some(replica) => Cow::Borrowed(replica.as_str()),
            None => Cow::Owned(self.id().to_string()),
        }
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

    #[test]
    fn stored_endpoint_is_named_and_identified_by_its_origin_and_reads_what_it_writes() {
        let managed = EndpointOrigin::Managed {
            replica: "web-1-a".into(),
            container: "abc".into(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let registered =
            EndpointOrigin::Registered { instance: "vm-1".to_owned(), registration_revision: 17 };
        for (origin, weight, name, id) in [
            (managed, 1, "web-1-a", "abc@0"),
            (registered, 2, "registered:vm-1@17", "registered:vm-1@17"),
            (EndpointOrigin::External, 3, "external:web:10.0.0.1:80", "external:web:10.0.0.1:80"),
        ] {
            let endpoint = Endpoint {
                service: "web".into(),
                origin,
                revision: RevisionNumber(1),
                address: [10, 0, 0, 1].into(),
                ports: [("admin".to_owned(), 80), ("http".to_owned(), 81)].into(),
                http2_ports: [].into(),
                via: EndpointVia::Direct,
                state: EndpointState::Ready,
                weight,
            };
            assert_eq!((&*endpoint.name(), endpoint.id().as_str()), (name, id));
            let json = serde_json::to_string(&endpoint).unwrap();
            assert_eq!(json.contains("weight"), weight != Endpoint::WEIGHT, "{json}");
            assert_eq!(serde_json::from_str::<Endpoint>(&json).unwrap(), endpoint, "{json}");
        }
    }
}
