//! Answers what users confirm: removals that are held back, and the loss of volumes that replicas wait for.

use std::collections::BTreeSet;

use super::handle::{Confirmation, Confirmed};
use super::run::Agent;

impl Agent {
    /// Answers the confirmations that came since the last pass, by what that pass held back.
    pub(super) fn answer_confirmations(&mut self) {
        while let Ok(Confirmation { lost_volumes, answer }) = self.confirmations.try_recv() {
            self.memory.deletion_guard.confirm(self.held.iter().map(|(id, _)| id.clone()));
            let lost_volumes: BTreeSet<String> =
                self.missing_volumes.intersection(&lost_volumes).cloned().collect();
            self.memory.allow_recreation(&lost_volumes);
            let removed = self.held.iter().map(|(_, name)| name.clone()).collect();
            // The client may be gone; the confirmation counts.
            let _ = answer.send(Confirmed { removed, lost_volumes });
        }
    }
}
