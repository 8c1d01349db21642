//! What the supervisor did that users should know of, until the controller has recorded it as events.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::BalancerId;

/// More than a controller leaves unrecorded in seconds; the oldest are dropped.
const INCIDENTS_MAX: usize = 32;

/// Something out of the ordinary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Incident {
    /// The file of a unix socket was removed or replaced, and the socket was bound again.
    SocketBoundAgain { path: PathBuf },
    /// A balancer of an earlier daemon did not end, and was killed.
    BalancerKilled { balancer: BalancerId, pid: i32 },
}

/// An incident, as the supervisor numbers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NumberedIncident {
    /// Counts from 1.
    pub number: u64,
    pub incident: Incident,
}

/// The incidents of this supervisor. It has one thread.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    last: Cell<u64>,
    unrecorded: RefCell<VecDeque<NumberedIncident>>,
}

impl Incidents {
    pub(super) fn record(&self, incident: Incident) {
        self.last.set(self.last.get() + 1);
        let mut unrecorded = self.unrecorded.borrow_mut();
        unrecorded.push_back(NumberedIncident { number: self.last.get(), incident });
        if unrecorded.len() > INCIDENTS_MAX {
            unrecorded.pop_front();
        }
    }

    /// The first after this one. Those before it are recorded, and forgotten.
    pub(super) fn next(&self, recorded: u64) -> Option<NumberedIncident> {
        let mut unrecorded = self.unrecorded.borrow_mut();
        unrecorded.retain(|incident| incident.number > recorded);
        unrecorded.front().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incidents_are_kept_until_they_are_recorded_and_the_oldest_are_dropped() {
        let incidents = Incidents::default();
        assert_eq!(incidents.next(0), None);
        for pid in 1..=40 {
            incidents.record(Incident::BalancerKilled { balancer: "a".into(), pid });
        }
        let next = |recorded| incidents.next(recorded).map(|incident| incident.number);
        assert_eq!(next(0), Some(9));
        assert_eq!(next(38), Some(39));
        assert_eq!(next(0), Some(39), "a controller that starts over gets those that none has recorded");
        assert_eq!(next(40), None);
    }
}
