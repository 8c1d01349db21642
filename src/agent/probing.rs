//! The port between the agent and the probes: a simulation has no network to probe over.

use std::collections::BTreeSet;

use crate::model::EndpointId;
use crate::probe::{ProbeState, ProbeTarget, Prober};

/// Runs probes. A changed result wakes the agent.
pub trait Probes: Send + Sync {
    /// Starts to probe a target, unless it is probed already.
    fn watch(&self, target: ProbeTarget);
    /// Stops all probes except these.
    fn retain(&self, keep: &BTreeSet<EndpointId>);
    /// The state of a target's probes; `None` for one that is not probed.
    fn state(&self, id: &EndpointId) -> Option<ProbeState>;
}

impl Probes for Prober {
    fn watch(&self, target: ProbeTarget) {
        Prober::watch(self, target);
    }

    fn retain(&self, keep: &BTreeSet<EndpointId>) {
        Prober::retain(self, keep);
    }

    fn state(&self, id: &EndpointId) -> Option<ProbeState> {
        Prober::state(self, id)
    }
}
