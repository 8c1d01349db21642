//! Since when each replica has been serving, as seen by this controller. Kept in memory only: a controller that starts
//! counts from its first look, which can make a rollout slower, never faster.

use std::collections::BTreeMap;

use crate::controller::service_state::ServiceState;
use crate::model::{EndpointId, EndpointState, Millis, Mono, Replica, ReplicaName};
use crate::registry::Barrier;

/// What must stay the same for the time to go on: the endpoint (or none, without a port) and the phase.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ReadyInterval {
    endpoint: Option<EndpointId>,
    phase_since: jiff::Timestamp,
}

/// The clocks of one service's replicas.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    since: BTreeMap<ReplicaName, (ReadyInterval, Mono)>,
}

impl Serving {
    /// Looks at a service and says how long each replica has been serving without a break; replicas that do not serve
    /// are missing.
    pub(crate) fn observe(
        &mut self,
        stored: &ServiceState,
        barrier: &Barrier,
        now: Mono,
    ) -> BTreeMap<ReplicaName, Millis> {
        let mut seen = BTreeMap::new();
        for replica in &stored.replicas {
            let Some(spell) = spell(stored, barrier, replica) else { continue };
            let since = match self.since.get(&replica.name) {
                Some((earlier, since)) if *earlier == spell => *since,
                _ => now,
            };
            seen.insert(replica.name.clone(), (spell, since));
        }
        self.since = seen;
        self.since.iter().map(|(name, (_, since))| (name.clone(), now.since(*since))).collect()
    }
}

/// A replica serves when its status is ready and, where it has a port, every balancer acknowledged its endpoint.
fn spell(stored: &ServiceState, barrier: &Barrier, replica: &Replica) -> Option<ReadyInterval> {
    let status = stored.statuses.get(&replica.name).filter(|status| status.is_ready())?;
    let has_port = stored.revisions.get(&replica.revision).is_some_and(|r| !r.spec.ports.is_empty());
    let endpoint = match stored.endpoints.get(&replica.name) {
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
