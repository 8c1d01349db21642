//! The seam between the agent and the probes: a simulation has no network to probe over.

use std::collections::BTreeSet;

use crate::model::EndpointId;
use crate::probe::{ProbeState, ProbeTarget, Prober};

/// Who probes. Results arrive by themselves; a change wakes the agent.
pub trait Probes: Send + Sync {
    /// Probes this from now on, if it does not already.
    fn watch(&self, target: ProbeTarget);
    /// Probes only these from now on.
    fn retain(&self, keep: &BTreeSet<EndpointId>);
    /// What the probes of a target came to; `None` for one that is not probed.
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
