//! What `ctl` knows of one service while it waits for it.

use coxswain::api::types::{ApiError, OperationProgress, RevisionObject, WriteAction, WrittenObject};
use coxswain::model::{Generation, Millis, ServiceName};
use tokio::time::Instant;

use crate::output::replacement_history::ReplacementHistory;
use crate::output::traffic::TrafficMeter;

pub(super) struct WatchedService {
    pub(super) name: ServiceName,
    /// The generation that was written; reports of an earlier one describe the old state and are ignored.
    pub(super) generation: Generation,
    pub(super) deletes: bool,
    pub(super) header: String,
    /// To name revisions by their images; fetched with the first snapshot.
    pub(super) revisions: Vec<RevisionObject>,
    pub(super) last: Option<OperationProgress>,
    /// Since when the balancer has rejected the routing table.
    pub(super) table_refused_since: Option<Instant>,
    pub(super) replacements: ReplacementHistory,
    pub(super) meter: TrafficMeter,
    /// Set once the wait has ended, with success or an error.
    pub(super) end: Option<Result<(), ApiError>>,
}

impl WatchedService {
    /// Before the first report.
    pub(super) fn new(name: ServiceName, generation: Generation, deletes: bool) -> Self {
        Self {
            generation,
            deletes,
            header: name.to_string(),
            name,
            revisions: Vec::new(),
            last: None,
            table_refused_since: None,
            replacements: ReplacementHistory::default(),
            meter: TrafficMeter::default(),
            end: None,
        }
    }

    /// `None` for an object of another kind: nothing reports its progress.
    pub(super) fn of_write(result: &WrittenObject) -> Option<Self> {
        let name = result.object.service_name()?;
        Some(Self::new(name, result.generation, result.action == WriteAction::Deleted))
    }

    /// Whether a report is older than the write. If a condition blocks the daemon, it counts as current.
    pub(super) fn is_before(&self, report: &OperationProgress) -> bool {
        let is_current = self.deletes || report.observed >= self.generation || report.outcome.is_some();
        !is_current && report.held_by.is_empty()
    }

    /// `healthyFor` of the release that is rolled out, once it is known.
    pub(super) fn healthy_for(&self) -> Option<Millis> {
        let target = self.last.as_ref()?.target;
        let revision = self.revisions.iter().find(|revision| revision.status.number == target)?;
        Some(revision.spec.rollout.healthy_for)
    }
}
