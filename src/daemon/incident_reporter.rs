//! Records the supervisor's incidents as events: only the controller has the store.

use std::sync::Arc;

use super::SupervisorClient;
use super::daemon_events::DaemonEvents;
use super::incidents::Incident;
use crate::model::{EventReason, Millis};

/// Time between two questions while there is nothing to record.
const ASK_EVERY: Millis = Millis::secs(2);

/// What is needed to record incidents.
pub(super) struct IncidentReporter {
    pub(super) supervisor: Arc<SupervisorClient>,
    pub(super) events: DaemonEvents,
}

impl IncidentReporter {
    /// Records for as long as it is polled. An incident may be recorded twice if this process ends in between.
    pub(super) async fn run(self) {
        let mut recorded = 0;
        loop {
            match self.supervisor.next_incident(recorded).await {
                Ok(Some(next)) => {
                    let (part, reason, message) = event(&next.incident);
                    match self.events.warn(part, reason, message).await {
                        Ok(()) => {
                            recorded = next.number;
                            continue;
                        }
                        Err(error) => tracing::warn!(%error, "cannot write the event of an incident"),
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "cannot ask the supervisor about incidents"),
            }
            tokio::time::sleep(ASK_EVERY.std()).await;
        }
    }
}

fn event(incident: &Incident) -> (&'static str, EventReason, String) {
    match incident {
        Incident::SocketBoundAgain { path } => {
            let message = format!(
                "{} was removed or replaced; it is bound again, with a new controller",
                path.display()
            );
            ("supervisor", EventReason::SocketBoundAgain, message)
        }
        Incident::BalancerKilled { balancer, pid } => {
            let message =
                format!("balancer {balancer} (process {pid}) of an earlier daemon hung, and was killed");
            ("supervisor", EventReason::BalancerKilled, message)
        }
    }
}
