//! What the supervisor did that users should know of, until the controller has recorded it as events.

use std::cell::RefCell;
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

/// Numbered incidents, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IncidentLog {
    /// The number of the last one.
    last: u64,
    unrecorded: VecDeque<NumberedIncident>,
}

/// The incidents of this supervisor. It has one thread.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    log: RefCell<IncidentLog>,
}

impl Incidents {
    /// Continues those of an earlier program of this process, whose numbers controllers know.
    pub(super) fn continued(log: IncidentLog) -> Self {
        Self { log: RefCell::new(log) }
    }

    /// For [`Self::continued`].
    pub(super) fn log(&self) -> IncidentLog {
        self.log.borrow().clone()
    }

    pub(super) fn record(&self, incident: Incident) {
        let mut log = self.log.borrow_mut();
        log.last += 1;
        let number = log.last;
        log.unrecorded.push_back(NumberedIncident { number, incident });
        if log.unrecorded.len() > INCIDENTS_MAX {
            log.unrecorded.pop_front();
        }
    }

    /// The first after this one. Those before it are recorded, and forgotten.
    pub(super) fn next(&self, recorded: u64) -> Option<NumberedIncident> {
        let mut log = self.log.borrow_mut();
        log.unrecorded.retain(|incident| incident.number > recorded);
        log.unrecorded.front().cloned()
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
