//! Since when each replica has been ready to serve, as seen by this controller. Pure.
//!
//! Kept in memory only: a controller that restarts counts from its first pass, which can make a rollout slower, never
//! faster.

use std::collections::BTreeMap;

use crate::controller::service_state::ServiceState;
use crate::model::{EndpointId, EndpointState, Millis, Mono, Replica, ReplicaName};
use crate::registry::Barrier;

/// What must stay the same for an interval to continue: the endpoint (none without a port) and the phase.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ReadyInterval {
    endpoint: Option<EndpointId>,
    phase_since: jiff::Timestamp,
}

/// The ready intervals of one service's replicas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::controller) struct ReadyIntervals {
    since: BTreeMap<ReplicaName, (ReadyInterval, Mono)>,
}

impl ReadyIntervals {
    /// The intervals as of now: a new one starts for each replica whose endpoint or phase differs from before.
    #[must_use]
    pub(in crate::controller) fn at(&self, state: &ServiceState, barrier: &Barrier, now: Mono) -> Self {
        let mut since = BTreeMap::new();
        for replica in &state.replicas {
            let Some(interval) = interval(state, barrier, replica) else { continue };
            let started = match self.since.get(&replica.name) {
                Some((earlier, started)) if *earlier == interval => *started,
                _ => now,
            };
            since.insert(replica.name.clone(), (interval, started));
        }
        Self { since }
    }

    /// How long each replica that is ready to serve has been so; the others are missing.
    pub(in crate::controller) fn lengths(&self, now: Mono) -> BTreeMap<ReplicaName, Millis> {
        self.since.iter().map(|(name, (_, since))| (name.clone(), now.since(*since))).collect()
    }
}

/// A replica is ready to serve when its status is ready and, if it has a port, every balancer acknowledged its endpoint. One
/// whose revision is unknown is taken to have a port. Whether it is available then is the orchestrator's to say.
fn interval(state: &ServiceState, barrier: &Barrier, replica: &Replica) -> Option<ReadyInterval> {
    let status = state.statuses.get(&replica.name).filter(|status| status.is_ready())?;
    let has_port = state.revisions.get(&replica.revision).is_none_or(|r| !r.spec.ports.is_empty());
    let endpoint = match state.endpoints.get(replica.name.as_str()) {
        Some(endpoint) => {
            let id = endpoint.id();
            if endpoint.state != EndpointState::Ready || !barrier.acked_present(&id) {
                return None;
            }
            Some(id)
        }
        None if has_port => return None,
        None => None,
    };
    Some(ReadyInterval { endpoint, phase_since: status.since })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Trial;
    use crate::model::{Desired, ReplicaPhase, ReplicaStatus, Revision, RevisionNumber};
    use crate::testing;

    /// One replica that its agent calls ready, without an endpoint.
    fn ready(revision: Option<Revision>) -> ServiceState {
        let service = testing::service("users");
        let replica = Replica {
            name: "users-1-a".into(),
            service: "users".into(),
            app: "shop".into(),
            slot: 1,
            revision: RevisionNumber(1),
            hash: "".into(),
            node: "n".into(),
            created_at: None,
            desired: Desired::Run,
        };
        let status = ReplicaStatus {
            replica: replica.name.clone(),
            phase: ReplicaPhase::Ready,
            attempt: 1,
            failures: 0,
            container: None,
            published: BTreeMap::new(),
            address: None,
            ready_after: None,
            trial: Trial::default(),
            since: jiff::Timestamp::UNIX_EPOCH,
            diagnosis: None,
            cut: None,
            history: Default::default(),
        };
        ServiceState {
            service,
            service_revision: 1,
            rollout: None,
            rollout_revision: None,
            traffic: None,
            revisions: revision.into_iter().map(|revision| (revision.number, revision)).collect(),
            outcomes: BTreeMap::new(),
            statuses: BTreeMap::from([(replica.name.clone(), status)]),
            replicas: vec![replica],
            endpoints: BTreeMap::new(),
        }
    }

    fn portless() -> Revision {
        let service = testing::service("users");
        Revision {
            service: service.name().clone(),
            number: RevisionNumber(1),
            generation: service.metadata.generation,
            spec: service.spec.clone(),
            image: service.image.clone(),
            restarts: 0,
            hash: "".into(),
            hash_schema: crate::model::HASH_SCHEMA,
            created_at: service.written_at,
            created_by: service.written_by,
        }
    }

    #[test]
    fn replica_without_endpoint_is_ready_to_serve_only_if_its_revision_is_known_to_have_no_port() {
        let barrier = Barrier::default();
        let lengths = |state: &ServiceState| {
            let ready = ReadyIntervals::default().at(state, &barrier, Mono(0));
            ready.lengths(Mono(500))
        };
        assert_eq!(lengths(&ready(Some(portless()))), BTreeMap::from([("users-1-a".into(), Millis(500))]));
        assert_eq!(lengths(&ready(None)), BTreeMap::new());
    }
}
