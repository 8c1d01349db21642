//! The controller's view of crash loops among the daemon's processes: asks the supervisor, shows a condition, writes an event.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::daemon_events::DaemonEvents;
use super::{CrashLoopingChild, Role, SupervisorClient};
use crate::controller::DaemonConditions;
use crate::model::{Condition, EventReason, Millis, Reason};

/// Time between two questions: a crash loop lasts for a minute, and the answer costs some microseconds.
const ASK_EVERY: Millis = Millis::secs(2);

/// What is needed to report crash loops.
pub(super) struct CrashLoopReporter {
    pub(super) supervisor: Arc<SupervisorClient>,
    pub(super) conditions: Arc<DaemonConditions>,
    pub(super) events: DaemonEvents,
}

impl CrashLoopReporter {
    /// Reports for as long as it is polled.
    pub(super) async fn run(self) {
        let mut reported = BTreeSet::new();
        loop {
            match self.supervisor.list_crash_loops().await {
                Ok(children) => self.report(&children, &mut reported).await,
                Err(error) => tracing::warn!(%error, "cannot ask the supervisor about crash loops"),
            }
            tokio::time::sleep(ASK_EVERY.std()).await;
        }
    }

    async fn report(&self, children: &[CrashLoopingChild], reported: &mut BTreeSet<Role>) {
        self.conditions.set(Reason::DaemonCrashLooping, children.iter().map(condition).collect());
        reported.retain(|role| children.iter().any(|child| child.role == *role));
        for child in children {
            if reported.contains(&child.role) {
                continue;
            }
            let reason = EventReason::DaemonCrashLooping;
            match self.events.warn(child.role.as_str(), reason, message(child)).await {
                Ok(()) => drop(reported.insert(child.role)),
                Err(error) => tracing::warn!(%error, "cannot write the event of a crash loop"),
            }
        }
    }
}

fn condition(child: &CrashLoopingChild) -> Condition {
    Condition::degraded(Reason::DaemonCrashLooping, message(child))
}

fn message(child: &CrashLoopingChild) -> String {
    let CrashLoopingChild { role, exits, last_exit } = child;
    format!(
        "the {role} exited {exits} times in the last minute; the last one {last_exit}; the daemon's log says why"
    )
}
