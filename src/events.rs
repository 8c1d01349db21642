//! The event log of a service: order, keys and how many are kept.
//!
//! Keys start with the time, so that several writers need no common counter, and end with the writer, so that two nodes
//! never write the same key.
//! Deliberately absent: which events there are (the agent's and the orchestrator's).

use crate::model::{Event, NodeId, ServiceName, key};
use crate::store::{Op, Store, StoreError};

/// Events kept per service; the oldest are deleted.
pub const MAX_EVENTS: usize = 100;
/// Events of one writer in a microsecond before their keys borrow from the next one.
const PER_MICROSECOND: u64 = 100;

/// Who writes an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventWriter<'a> {
    /// A node's agent: what happens to containers.
    Agent(&'a NodeId),
    /// What happens to services and rollouts.
    Orchestrator,
    /// What a user does to a container.
    User,
    /// What happens to the daemon's own processes.
    Daemon,
}

impl EventWriter<'_> {
    fn key(self) -> String {
        match self {
            Self::Agent(node) => format!("agent-{node}"),
            Self::Orchestrator => "orchestrator".to_owned(),
            Self::User => "user".to_owned(),
            Self::Daemon => "daemon".to_owned(),
        }
    }
}

/// The writes that add a service's events and delete the oldest beyond [`MAX_EVENTS`]. `existing` are the keys under
/// [`key::events_of`], in their order. Of more events than are kept, the last ones are written.
fn append(existing: &[String], service: &ServiceName, writer: EventWriter<'_>, events: &[Event]) -> Vec<Op> {
    let events = &events[events.len().saturating_sub(MAX_EVENTS)..];
    let mut last = existing.last().and_then(|key| key::event_sequence(key));
    let mut ops = Vec::with_capacity(events.len());
    for event in events {
        let micros = u64::try_from(event.at.as_microsecond()).unwrap_or(0);
        let by_time = micros.saturating_mul(PER_MICROSECOND);
        // A clock that was set back must not put an event before those already written.
        let sequence = last.map_or(by_time, |last| by_time.max(last + 1));
        last = Some(sequence);
        ops.push(Op::put(key::event(service, sequence, &writer.key()), event));
    }
    let surplus = (existing.len() + ops.len()).saturating_sub(MAX_EVENTS);
    ops.extend(existing.iter().take(surplus).map(|key| Op::delete(key.clone())));
    ops
}

/// The writes that add a service's events to those in the store now.
///
/// # Errors
/// The store's.
pub async fn append_to(
    store: &dyn Store,
    service: &ServiceName,
    writer: EventWriter<'_>,
    events: &[Event],
) -> Result<Vec<Op>, StoreError> {
    let listing = store.list(&key::events_of(service)).await?;
    let existing: Vec<String> = listing.entries.into_iter().map(|entry| entry.key).collect();
    Ok(append(&existing, service, writer, events))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventKind, EventReason};

    fn event(micros: i64) -> Event {
        Event {
            at: jiff::Timestamp::from_microsecond(micros).unwrap(),
            object: "replica/users-1-a".to_owned(),
            kind: EventKind::Normal,
            reason: EventReason::ReplicaReady,
            message: String::new(),
            cut: Vec::new(),
        }
    }

    fn keys(ops: &[Op]) -> Vec<String> {
        let put = |op: &Op| match op {
            Op::Put { key, .. } => Some(key.clone()),
            Op::Delete { .. } | Op::Unencodable { .. } => None,
        };
        ops.iter().filter_map(put).collect()
    }

    #[test]
    fn append_keeps_the_order_whatever_the_clock_does() {
        let service = "users".into();
        let mut existing = Vec::new();
        let (one, two) = (NodeId::new("n1"), NodeId::new("n2"));
        for (writer, micros) in [
            (EventWriter::Agent(&one), 5),
            (EventWriter::Orchestrator, 5),
            (EventWriter::User, 5),
            (EventWriter::Agent(&two), 5),
            (EventWriter::Agent(&one), 2),
        ] {
            existing.extend(keys(&append(&existing, &service, writer, &[event(micros), event(micros)])));
        }
        let mut sorted = existing.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(existing, sorted);
        assert_eq!(existing.len(), 10);
    }

    #[test]
    fn append_of_two_nodes_at_one_moment_writes_different_keys() {
        let service: ServiceName = "users".into();
        let writes =
            |node: &str| keys(&append(&[], &service, EventWriter::Agent(&NodeId::new(node)), &[event(5)]));
        assert_ne!(writes("n1"), writes("n2"));
    }

    #[test]
    fn append_deletes_the_oldest_beyond_the_limit() {
        let service: ServiceName = "users".into();
        let existing: Vec<String> =
            (0..MAX_EVENTS as u64 - 1).map(|n| key::event(&service, n, "user")).collect();
        let one = append(&existing, &service, EventWriter::User, &[event(9)]);
        assert_eq!(one.len(), 1, "the hundredth fits");
        let three = append(&existing, &service, EventWriter::User, &[event(9), event(9), event(9)]);
        assert_eq!(three[3..], [Op::delete(existing[0].clone()), Op::delete(existing[1].clone())]);
        let flood = append(&existing, &service, EventWriter::User, &vec![event(9); 250]);
        assert_eq!(keys(&flood).len(), MAX_EVENTS);
        assert_eq!(flood.len(), MAX_EVENTS + existing.len());
    }
}
