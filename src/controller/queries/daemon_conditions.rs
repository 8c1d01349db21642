//! Conditions of the daemon's own processes and files, as those parts report them that observe them.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::model::{Condition, Reason};

/// The conditions, by what they are about. They do not stop the daemon from acting.
#[derive(Debug)]
pub struct DaemonConditions {
    current: Mutex<BTreeMap<Reason, Vec<Condition>>>,
    version: watch::Sender<u64>,
}

impl DaemonConditions {
    pub(in crate::controller) fn new(version: watch::Sender<u64>) -> Self {
        Self { current: Mutex::default(), version }
    }

    /// Replaces the conditions with this reason; none clears them.
    pub fn set(&self, reason: Reason, conditions: Vec<Condition>) {
        let before = self.current.lock().insert(reason, conditions.clone()).unwrap_or_default();
        if before != conditions {
            self.version.send_modify(|version| *version += 1);
        }
    }

    pub(super) fn all(&self) -> Vec<Condition> {
        self.current.lock().values().flatten().cloned().collect()
    }
}
