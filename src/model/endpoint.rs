//! The registry's record of one reachable instance.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{ContainerId, ReplicaName, RevisionNumber, ServiceName};

/// Identity of an endpoint: container id and start time, never an address (Docker gives a dead container's address to
/// the next start). Text form `<container>@<start, nanoseconds since 1970>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointId(String);

impl EndpointId {
    /// The endpoint of a container since it was started at that time.
    pub fn new(container: &ContainerId, started_at: jiff::Timestamp) -> Self {
        Self(format!("{container}@{}", started_at.as_nanosecond()))
    }

    /// Whether it is of this container, started no later than then: whatever ended in the container at that time was
    /// this.
    pub fn ended_with(&self, container: &ContainerId, at: jiff::Timestamp) -> bool {
        let start = self.0.strip_prefix(container.as_str()).and_then(|rest| rest.strip_prefix('@'));
        start.and_then(|start| start.parse::<i128>().ok()).is_some_and(|start| start <= at.as_nanosecond())
    }

    /// Its container.
    pub fn container(&self) -> ContainerId {
        ContainerId::new(self.0.split_once('@').map_or(self.0.as_str(), |(container, _)| container))
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

/// Whether an endpoint may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndpointState {
    /// May be chosen.
    Ready,
    /// Takes no new request; from here there is no way back.
    Draining,
    /// Its health check fails; not chosen.
    Unready,
}

/// One reachable instance: `endpoints/<service>/<replica>`. Written by the agent alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Of which service.
    pub service: ServiceName,
    /// Of which replica.
    pub replica: ReplicaName,
    /// Of which revision.
    pub revision: RevisionNumber,
    /// Address on the app's network.
    pub address: IpAddr,
    /// Ports by name.
    pub ports: BTreeMap<String, u16>,
    /// Whether it may be chosen.
    pub state: EndpointState,
    /// The container.
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
    fn an_end_is_of_the_start_before_it() {
        let at = |nanos| jiff::Timestamp::from_nanosecond(nanos).unwrap();
        let id = EndpointId::new(&"abc".into(), at(20));
        let ends = |container: &str, nanos| id.ended_with(&container.into(), at(nanos));
        assert_eq!(id.container(), "abc".into());
        assert!(ends("abc", 20) && ends("abc", 21));
        assert!(!ends("abc", 19), "the end of an earlier start");
        assert!(!ends("ab", 21) && !ends("abcd", 21), "another container");
    }
}
