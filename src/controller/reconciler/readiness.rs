//! Since when each replica has been available, as seen by this controller. Pure.
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

    /// How long each available replica has been available; the others are missing.
    pub(in crate::controller) fn lengths(&self, now: Mono) -> BTreeMap<ReplicaName, Millis> {
        self.since.iter().map(|(name, (_, since))| (name.clone(), now.since(*since))).collect()
    }
}

/// A replica is available when its status is ready and, if it has a port, every balancer acknowledged its endpoint.
fn interval(state: &ServiceState, barrier: &Barrier, replica: &Replica) -> Option<ReadyInterval> {
    let status = state.statuses.get(&replica.name).filter(|status| status.is_ready())?;
    let has_port = state.revisions.get(&replica.revision).is_some_and(|r| !r.spec.ports.is_empty());
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
