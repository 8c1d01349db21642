//! What the supervisor knows about reloads: the one that is under way, or the last one.
//!
//! Deliberately absent: what a reload does (`reload`).

use std::cell::{Cell, RefCell};
use std::path::Path;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::VERSION;
use super::child_records::ChildRecords;
use super::program::FileIdentity;
use crate::model::{DaemonProcess, ProcessState, ReloadOutcome, ReloadRefusal, ReloadReport, ReloadStep};

/// Balancers that finish the requests of earlier versions; each has memory and threads of its own.
const DRAINING_MAX: usize = 8;

/// The reloads of this process, also of its earlier programs. The supervisor has one thread.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    last: RefCell<Option<ReloadReport>>,
    requested: Notify,
    /// The program that said that it can continue.
    checked: Cell<Option<FileIdentity>>,
    /// Cancelled when the daemon is stopping.
    pub(super) stop: CancellationToken,
}

impl Reloads {
    /// One that an earlier program began.
    pub(super) fn continued(report: ReloadReport) -> Self {
        Self { last: RefCell::new(Some(report)), ..Self::default() }
    }

    /// Asks for a reload; returns its number. One that is refused while none is under way is reported as such: who asked with a signal
    /// gets no other answer.
    pub(super) fn request(
        &self,
        children: &ChildRecords,
        now: jiff::Timestamp,
    ) -> Result<u64, ReloadRefusal> {
        let draining = |process: &&DaemonProcess| process.state == ProcessState::Draining;
        if self.stop.is_cancelled() {
            return Err(ReloadRefusal::Stopping);
        }
        if self.report().is_some_and(|last| last.is_under_way()) {
            return Err(ReloadRefusal::UnderWay);
        }
        let number = self.report().map_or(1, |last| last.number + 1);
        let mut report = ReloadReport::new(number, VERSION.to_owned(), now);
        if children.processes().iter().filter(draining).count() >= DRAINING_MAX {
            let refusal = ReloadRefusal::TooManyDraining { limit: DRAINING_MAX };
            report.outcome = Some(ReloadOutcome::Refused { reason: refusal.to_string() });
            self.last.replace(Some(report));
            return Err(refusal);
        }
        self.last.replace(Some(report));
        self.requested.notify_one();
        Ok(number)
    }

    /// Resolves when one was asked for.
    pub(super) async fn requested(&self) {
        self.requested.notified().await;
    }

    /// The last one.
    pub(super) fn report(&self) -> Option<ReloadReport> {
        self.last.borrow().clone()
    }

    /// The last one; one that begins now if there was none.
    pub(super) fn report_or_first(&self, now: jiff::Timestamp) -> ReloadReport {
        self.report().unwrap_or_else(|| ReloadReport::new(1, VERSION.to_owned(), now))
    }

    /// This program can continue.
    pub(super) fn set_checked(&self, program: FileIdentity) {
        self.checked.set(Some(program));
    }

    /// Whether the program at this path is the one that was checked.
    pub(super) fn is_checked(&self, program: &Path) -> bool {
        self.checked.get().is_some() && FileIdentity::of(program).ok() == self.checked.get()
    }

    /// A step is done.
    pub(super) fn step(&self, step: ReloadStep) {
        tracing::info!("reload: {step}");
        if let Some(report) = &mut *self.last.borrow_mut() {
            report.steps.push(step);
        }
    }

    /// It has ended.
    pub(super) fn end(&self, outcome: ReloadOutcome) {
        match &outcome {
            ReloadOutcome::Done => tracing::info!("reload: all processes run version {VERSION}"),
            ReloadOutcome::Refused { reason } => tracing::error!("reload refused: {reason}"),
            ReloadOutcome::Failed { reason } => tracing::error!("reload failed: {reason}"),
        }
        if let Some(report) = &mut *self.last.borrow_mut() {
            report.outcome = Some(outcome);
        }
    }

    /// The daemon stops before the installed program was executed.
    pub(super) fn stopped(&self) {
        tracing::info!("reload: given up, because the daemon is stopping");
        if let Some(report) = &mut *self.last.borrow_mut() {
            report.outcome = Some(ReloadOutcome::Refused { reason: "the daemon is stopping".to_owned() });
        }
    }

    /// The installed program could not be executed, although it could be started.
    pub(super) fn could_not_execute(&self, error: &std::io::Error) {
        self.end(ReloadOutcome::Refused { reason: format!("cannot execute the installed program: {error}") });
    }
}
