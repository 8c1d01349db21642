//! The keys of the store. Every key has one writer (see `docs/ARCHITECTURE.md`).

use super::{NodeId, ObjectKind, ObjectRef, ReplicaName, RevisionNumber, ServiceName};

/// Prefix of all services.
pub const SERVICES: &str = "services/";
/// Prefix of all revisions.
pub const REVISIONS: &str = "revisions/";
/// Prefix of all outcomes of revisions.
pub const OUTCOMES: &str = "outcomes/";
/// Prefix of all rollouts.
pub const ROLLOUTS: &str = "rollouts/";
/// Prefix of all replicas.
pub const REPLICAS: &str = "replicas/";
/// Prefix of all statuses.
pub const STATUS: &str = "status/";
/// Prefix of all endpoints.
pub const ENDPOINTS: &str = "endpoints/";
/// Prefix of all traffic records.
pub const TRAFFIC: &str = "traffic/";
/// Prefix of all route claims.
pub const CLAIMS: &str = "claims/";
/// Prefix of all last-applied specs.
pub const APPLIED: &str = "applied/";
/// Prefix of all events.
pub const EVENTS: &str = "events/";
/// Prefix of what the agents keep of their nodes.
pub const AGENTS: &str = "agents/";
/// Prefix of remembered request ids.
pub const REQUESTS: &str = "meta/requests/";

/// Prefix of all objects of a kind.
pub fn objects_of(kind: ObjectKind) -> String {
    objects_under(kind.word())
}

/// The plural of a kind's word is for its objects alone: no other prefix may be one.
fn objects_under(word: &str) -> String {
    format!("{word}s/")
}

/// An object that a user declared.
pub fn object(object: &ObjectRef) -> String {
    format!("{}{}", objects_of(object.kind), object.name)
}

/// The Service.
pub fn service(name: &ServiceName) -> String {
    format!("{SERVICES}{name}")
}

/// A service's revisions.
pub fn revisions_of(name: &ServiceName) -> String {
    format!("{REVISIONS}{name}/")
}

/// One revision; the number is padded so that keys sort as numbers do.
pub fn revision(name: &ServiceName, number: RevisionNumber) -> String {
    format!("{REVISIONS}{name}/{number:010}")
}

/// The records of a service's revisions.
pub fn outcomes_of(name: &ServiceName) -> String {
    format!("{OUTCOMES}{name}/")
}

/// The record of one revision.
pub fn outcome(name: &ServiceName, number: RevisionNumber) -> String {
    format!("{OUTCOMES}{name}/{number:010}")
}

/// A service's rollout.
pub fn rollout(name: &ServiceName) -> String {
    format!("{ROLLOUTS}{name}")
}

/// A service's replicas.
pub fn replicas_of(name: &ServiceName) -> String {
    format!("{REPLICAS}{name}/")
}

/// The key of a replica.
pub fn replica(service: &ServiceName, name: &ReplicaName) -> String {
    format!("{REPLICAS}{service}/{name}")
}

/// The statuses of a service's replicas.
pub fn statuses_of(name: &ServiceName) -> String {
    format!("{STATUS}{name}/")
}

/// One replica's status.
pub fn status(service: &ServiceName, name: &ReplicaName) -> String {
    format!("{STATUS}{service}/{name}")
}

/// A service's endpoints.
pub fn endpoints_of(name: &ServiceName) -> String {
    format!("{ENDPOINTS}{name}/")
}

/// One endpoint, by its name: that of its replica, where it has one.
pub fn endpoint(service: &ServiceName, name: &str) -> String {
    format!("{ENDPOINTS}{service}/{name}")
}

/// A service's traffic record.
pub fn traffic(name: &ServiceName) -> String {
    format!("{TRAFFIC}{name}")
}

/// The claim of a host and path; its value is the [`ObjectRef`] that holds it.
pub fn route_claim(claim: &str) -> String {
    format!("{CLAIMS}{claim}")
}

/// The spec an object was last applied with.
pub fn applied(object: &ObjectRef) -> String {
    format!("{APPLIED}{object}")
}

/// A service's events.
pub fn events_of(name: &ServiceName) -> String {
    format!("{EVENTS}{name}/")
}

/// In place of a service's name, for events of the daemon itself: no service can have this one.
pub fn daemon_events() -> ServiceName {
    ServiceName::new("-daemon")
}

/// One event; sequence numbers sort as text, and the writer keeps keys of one moment apart.
pub fn event(name: &ServiceName, sequence: u64, writer: &str) -> String {
    format!("{}{sequence:020}-{writer}", events_of(name))
}

/// The service whose event has this key.
pub fn service_of_event(key: &str) -> Option<ServiceName> {
    let (name, _) = key.strip_prefix(EVENTS)?.split_once('/')?;
    (!name.is_empty()).then(|| ServiceName::new(name))
}

/// The sequence number in an event's key.
pub fn event_sequence(key: &str) -> Option<u64> {
    key.rsplit('/').next()?.split('-').next()?.parse().ok()
}

/// The answer that is remembered for a request.
pub fn request(id: &str) -> String {
    format!("{REQUESTS}{id}")
}

/// What a node's agent keeps over a restart.
pub fn node_state(id: &NodeId) -> String {
    format!("{AGENTS}{id}/state")
}

/// A node's id and name.
pub fn node_identity(id: &NodeId) -> String {
    format!("{AGENTS}{id}/identity")
}

/// Whether it is the key of a [`node_identity`].
pub fn is_node_identity(key: &str) -> bool {
    key.starts_with(AGENTS) && key.ends_with("/identity")
}

/// The service a key of `services/`, `replicas/`, `status/`, `endpoints/` … belongs to: its second segment.
pub fn service_of(key: &str) -> Option<ServiceName> {
    let mut parts = key.split('/');
    let prefix = parts.next()?;
    let name = parts.next()?;
    let owned =
        ["services", "revisions", "outcomes", "rollouts", "replicas", "status", "endpoints", "traffic"];
    (owned.contains(&prefix) && !name.is_empty()).then(|| ServiceName::new(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of kinds that are to come.
    const PLANNED: [&str; 4] = ["route", "config", "secret", "node"];

    /// The prefixes that this file defines.
    fn constants() -> impl Iterator<Item = String> {
        let definitions = include_str!("key.rs").lines().filter_map(|line| line.strip_prefix("pub const "));
        definitions.filter_map(|definition| definition.split('"').nth(1)).map(str::to_owned)
    }

    #[test]
    fn prefixes_of_kinds_and_records_do_not_overlap() {
        assert_eq!(objects_of(ObjectKind::Service), SERVICES);
        let kinds = ObjectKind::ALL.iter().map(|kind| kind.word()).chain(PLANNED).map(objects_under);
        let records = constants().filter(|prefix| prefix != SERVICES);
        let all: Vec<String> = kinds.chain(records).collect();
        assert!(all.len() > PLANNED.len() + ObjectKind::ALL.len() + 10, "{all:?}");
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert!(!one.starts_with(other) && !other.starts_with(one), "{one} and {other}");
            }
        }
    }

    #[test]
    fn node_identity_is_known_by_its_key() {
        let node = NodeId::from("n1");
        assert!(is_node_identity(&node_identity(&node)));
        assert!(!is_node_identity(&node_state(&node)));
    }
}
