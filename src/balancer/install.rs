//! Brings tables to the threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Notify;

use super::endpoint::UpstreamEndpoint;
use super::failures::{Failures, FailuresByService};
use super::table::compile;
use super::threads::{ThreadEnded, ThreadGroup};
use crate::clock::Clock;
use crate::model::{EndpointId, RoutingTable, ServiceName};

/// Why a table was not installed.
#[derive(Debug, thiserror::Error)]
pub(super) enum InstallError {
    /// The table cannot be served from; the threads keep the one they have.
    #[error("{0}")]
    Rejected(String),
    #[error(transparent)]
    ThreadEnded(#[from] ThreadEnded),
}

/// The counters that tables refer to: of endpoints and services.
pub(super) struct Installer {
    clock: Arc<dyn Clock>,
    pub(super) endpoints: BTreeMap<EndpointId, Arc<UpstreamEndpoint>>,
    pub(super) failures: FailuresByService,
    /// Notified by requests that end on departed endpoints.
    pub(super) request_ended: Arc<Notify>,
}

impl Installer {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            endpoints: BTreeMap::new(),
            failures: FailuresByService::default(),
            request_ended: Arc::default(),
        }
    }

    /// Hands a table to all threads, and returns when each has taken it.
    pub(super) async fn install(
        &mut self,
        table: &RoutingTable,
        threads: &ThreadGroup,
        on_taken: impl FnMut(usize),
    ) -> Result<(), InstallError> {
        let endpoint = |id: &EndpointId, failures: &Failures| {
            let new = || {
                let ended = Arc::clone(&self.request_ended);
                Arc::new(UpstreamEndpoint::new(id.clone(), threads.len(), ended, failures.clone()))
            };
            Arc::clone(self.endpoints.entry(id.clone()).or_insert_with(new))
        };
        let failures = |service: &ServiceName| self.failures.of(service);
        let compiled =
            compile(table, failures, endpoint).map_err(|bad| InstallError::Rejected(bad.to_string()))?;
        self.mark_departed(table);
        threads.hand_out(Arc::new(compiled), on_taken).await?;
        self.failures.keep(&table.services);
        Ok(())
    }

    /// Makes known to all threads at once which endpoints a table lacks. A thread takes the table when it is scheduled, which
    /// on a busy machine may be late; until then it avoids these endpoints if it has others.
    fn mark_departed(&self, table: &RoutingTable) {
        let served: BTreeSet<&EndpointId> = table.endpoints().map(|endpoint| &endpoint.id).collect();
        for endpoint in self.endpoints.values() {
            let departs = !served.contains(&endpoint.id);
            if departs && !endpoint.has_departed() {
                tracing::debug!(endpoint = %endpoint.id, "no thread picks it any more");
            }
            endpoint.set_departed(departs, self.clock.mono());
        }
    }
}
