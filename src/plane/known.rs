//! Which balancers are known, and their reports.
//!
//! A container is stopped once every known balancer has acknowledged a table without its endpoint (`registry/barrier.rs`). That
//! is safe only if no other balancer sends requests to it, now or later. Each process is listed from before it starts until
//! it has ended, whatever becomes of its supervisor. So the list is read **after an acknowledgement has arrived and before it
//! is in the reports**:
//!
//! - A balancer in that list counts: the table is not acknowledged before it has acknowledged it too.
//! - A balancer that is not in that list has ended, or started after the table was acknowledged. An acknowledgement comes after
//!   the table is in the table file, and no balancer replaces the file by an older table (`balancer/file.rs`). So it starts from
//!   this table or a later one.
//!
//! Invariants: reads of the list follow one another, and the known balancers are those of the last one; no `applied` is in the
//! reports that arrived after that read began; a list that cannot be read adds no acknowledgement.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use crate::model::{BalancerId, BalancerProcess, BalancerReport, BalancerReports};

/// Between two reads of the list while a known balancer is not connected: it may have ended, which nothing else reports. A
/// read costs some microseconds.
const READ_EVERY: Duration = Duration::from_millis(100);
/// Between two tries to read the list, which fails when file descriptors run out.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Lists the balancers that run; may block.
pub type ListBalancers = Arc<dyn Fn() -> io::Result<Vec<BalancerProcess>> + Send + Sync>;

/// The known balancers.
pub(super) struct KnownBalancers {
    list: ListBalancers,
    reports: watch::Sender<BalancerReports>,
    /// Held while the list is read and applied.
    reading: Mutex<()>,
}

impl KnownBalancers {
    pub(super) fn new(list: ListBalancers, reports: watch::Sender<BalancerReports>) -> Self {
        Self { list, reports, reading: Mutex::default() }
    }

    /// Takes in a report of a connected balancer; returns whether the balancer is known.
    pub(super) async fn report(&self, balancer: &BalancerId, report: BalancerReport) -> bool {
        let has_acknowledged = self
            .reports
            .borrow()
            .get(balancer)
            .is_none_or(|last| report.applied.is_some() && last.applied != report.applied);
        if has_acknowledged {
            self.read(|reports| reports.set(balancer, Some(report))).await;
        } else {
            self.reports.send_modify(|reports| reports.set(balancer, Some(report)));
        }
        self.reports.borrow().is_known(balancer)
    }

    pub(super) fn disconnected(&self, balancer: &BalancerId) {
        self.reports.send_modify(|reports| reports.set(balancer, None));
    }

    pub(super) fn disconnect_all(&self) {
        self.reports.send_modify(BalancerReports::disconnect_all);
    }

    /// Whether this balancer runs. One that has just started is found in the list.
    pub(super) async fn is_known(&self, balancer: &BalancerId) -> bool {
        if !self.reports.borrow().is_known(balancer) {
            self.read(|_| ()).await;
        }
        self.reports.borrow().is_known(balancer)
    }

    /// The ids of those that run.
    pub(super) fn ids(&self) -> Vec<BalancerId> {
        self.reports.borrow().known().cloned().collect()
    }

    /// Reads the list again and again while a known balancer is not connected.
    pub(super) async fn follow(&self) {
        let mut reports = self.reports.subscribe();
        while reports.wait_for(|reports| !reports.are_all_connected()).await.is_ok() {
            self.read(|_| ()).await;
            tokio::time::sleep(READ_EVERY).await;
        }
    }

    /// Reads the list, however often it fails; then applies it and this change at once.
    async fn read(&self, change: impl FnOnce(&mut BalancerReports)) {
        let _turn = self.reading.lock().await;
        let mut has_failed = false;
        let running = loop {
            let list = Arc::clone(&self.list);
            match tokio::task::spawn_blocking(move || list()).await {
                Ok(Ok(running)) => break running,
                Ok(Err(error)) if !has_failed => {
                    tracing::error!(%error, "cannot list the balancers that run; nothing is acknowledged meanwhile");
                }
                Ok(Err(_)) => {}
                Err(error) => tracing::error!(%error, "listing the balancers that run failed"),
            }
            has_failed = true;
            tokio::time::sleep(RETRY_AFTER).await;
        };
        self.reports.send_if_modified(|reports| {
            let before = reports.clone();
            reports.set_running(running);
            change(reports);
            *reports != before
        });
    }
}
