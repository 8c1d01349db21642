//! TCP ports that services declare and that are not open, as the daemon reports them.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::model::{Condition, ConditionKind, Reason, ServiceName};

/// The reasons, by service.
#[derive(Debug)]
pub struct UnopenedPorts {
    reasons: Mutex<BTreeMap<ServiceName, Vec<String>>>,
    version: watch::Sender<u64>,
}

impl UnopenedPorts {
    pub(in crate::controller) fn new(version: watch::Sender<u64>) -> Self {
        Self { reasons: Mutex::default(), version }
    }

    /// Replaces all reasons.
    pub fn set(&self, reasons: BTreeMap<ServiceName, Vec<String>>) {
        let mut current = self.reasons.lock();
        if *current != reasons {
            *current = reasons;
            drop(current);
            self.version.send_modify(|version| *version += 1);
        }
    }

    pub(super) fn of(&self, service: &ServiceName) -> Vec<String> {
        self.reasons.lock().get(service).cloned().unwrap_or_default()
    }

    /// The condition of the service, if some of its ports are not open.
    pub(super) fn condition(&self, service: &ServiceName) -> Option<Condition> {
        let reasons = self.of(service);
        let is_any = !reasons.is_empty();
        is_any.then(|| Condition::degraded(Reason::PortUnavailable, reasons.join("; ")))
    }

    /// Shows it in the service's conditions, unless something else is wrong.
    pub(super) fn show_in(&self, conditions: &mut [Condition], service: &ServiceName) {
        let Some(unavailable) = self.condition(service) else { return };
        let degraded = conditions.iter_mut().find(|condition| condition.kind == ConditionKind::Degraded);
        if let Some(degraded) = degraded.filter(|condition| !condition.status) {
            *degraded = unavailable;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unopened_port_is_shown_unless_something_else_is_wrong() {
        let ports = UnopenedPorts::new(watch::Sender::new(0));
        let fine = || Condition {
            kind: ConditionKind::Degraded,
            status: false,
            reason: Reason::AllAvailable,
            message: String::new(),
        };
        let failed = || Condition::degraded(Reason::RolloutFailed, "it failed".to_owned());
        let changes = ports.version.subscribe();
        ports.set([("db".into(), vec!["0.0.0.0:5432 is not open: in use".to_owned()])].into());
        assert!(changes.has_changed().unwrap());
        let shown = |service: &str, condition: Condition| {
            let mut conditions = [condition];
            ports.show_in(&mut conditions, &service.into());
            let [condition] = conditions;
            condition.reason
        };
        assert_eq!(shown("db", fine()), Reason::PortUnavailable);
        assert_eq!(shown("db", failed()), Reason::RolloutFailed);
        assert_eq!(shown("web", fine()), Reason::AllAvailable);
        ports.set(BTreeMap::new());
        assert_eq!(shown("db", fine()), Reason::AllAvailable);
    }
}
