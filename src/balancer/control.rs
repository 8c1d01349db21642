//! The controlling thread: follows the controller, hands tables to the workers, keeps the file, reports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, Sleep};
use tokio_util::sync::CancellationToken;

use super::failures::{Failures, FailuresByService};
use super::file::{FileError, Saved, TableFile};
use super::limits::{FIRST_TABLE_WAIT, REPORT_GAP, TELL_UNSAVED_TICKS, TICK};
use super::pending::{over, written};
use super::table::{Table, compile};
use super::target::Target;
use super::worker::Command;
use crate::clock::Clock;
use crate::model::{
    BalancerReport, EndpointId, Incarnation, RoutingTable, ServiceName, TableName, TableRejection,
};
use crate::plane;

/// A worker, as seen from here.
pub(super) struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    /// The last ping that it answered.
    pub(super) answered: Arc<AtomicU64>,
}

/// What is served, and what is known to be served.
pub(super) struct Control {
    workers: Vec<Handle>,
    file: TableFile,
    incarnation: Incarnation,
    targets: BTreeMap<EndpointId, Arc<Target>>,
    failures: FailuresByService,
    /// What all threads serve from; `None` before the first table, and while a file from another boot is served.
    live: Option<Arc<RoutingTable>>,
    /// What the file has and all threads took, this table or a later one.
    applied: Option<TableName>,
    /// The file being written, and what is written.
    saving: Option<(TableName, JoinHandle<Result<(), FileError>>)>,
    refused: Option<TableRejection>,
    unsaved: Unsaved,
    /// Woken by requests that end on endpoints that left.
    ended: Arc<Notify>,
    reports: watch::Sender<BalancerReport>,
    heartbeat: Box<dyn Fn() + Send>,
    pings: u64,
    clock: Arc<dyn Clock>,
    /// Whether somebody watches the counters: read by the threads before they measure.
    measures: Arc<AtomicBool>,
}

/// What else it is made with.
pub(super) struct Surroundings {
    pub(super) file: TableFile,
    pub(super) heartbeat: Box<dyn Fn() + Send>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) measures: Arc<AtomicBool>,
}

impl Control {
    pub(super) fn new(workers: Vec<Handle>, incarnation: Incarnation, surroundings: Surroundings) -> Self {
        let Surroundings { file, heartbeat, clock, measures } = surroundings;
        let nothing = BalancerReport {
            incarnation: incarnation.clone(),
            applied: None,
            refused: None,
            counted: None,
            failed: BTreeMap::new(),
            endpoints: BTreeMap::new(),
        };
        Self {
            workers,
            file,
            incarnation,
            targets: BTreeMap::new(),
            failures: FailuresByService::default(),
            live: None,
            applied: None,
            saving: None,
            refused: None,
            unsaved: Unsaved::default(),
            ended: Arc::default(),
            reports: watch::Sender::new(nothing),
            heartbeat,
            pings: 0,
            clock,
            measures,
        }
    }

    /// Serves until `stop`, then until the workers have drained or `drain` is over.
    pub(super) async fn run(mut self, plane: PathBuf, stop: CancellationToken, drain: std::time::Duration) {
        let (tables, mut incoming) = watch::channel(None);
        let (watch, watched) = watch::channel(false);
        let following = CancellationToken::new();
        let reports = self.reports.subscribe();
        let follower = tokio::spawn(plane::follow(plane, tables, reports, watch, following.clone()));
        self.first_table(&mut incoming).await;
        self.tell(|| Command::Open).await;
        self.serve(incoming, watched, &stop).await;
        // a successor talks to the controller from here on
        following.cancel();
        if let Err(error) = follower.await {
            tracing::error!(%error, "the task that follows the controller died");
        }
        self.tell(|| Command::Drain).await;
        self.wait_for_workers(drain).await;
    }

    /// The controller's table if it comes soon, else the file's.
    async fn first_table(&mut self, incoming: &mut watch::Receiver<Option<Arc<RoutingTable>>>) {
        let first = tokio::time::timeout(FIRST_TABLE_WAIT, incoming.changed()).await;
        let newest = incoming.borrow_and_update().clone();
        if let (Ok(Ok(())), Some(table)) = (first, newest) {
            return self.offer(table).await;
        }
        let file = self.file.clone();
        match tokio::task::spawn_blocking(move || file.load()).await {
            Ok(Ok(Some(saved))) => self.restore(saved).await,
            Ok(Ok(None)) => tracing::info!("no controller and no table file: waiting for a table"),
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the table file is of no use");
            }
            Err(error) => tracing::error!(%error, "reading the table file failed"),
        }
    }

    async fn restore(&mut self, saved: Saved) {
        let (table, is_this_boot) = match saved {
            Saved::ThisBoot(table) => (table, true),
            Saved::OtherBoot(table) => (table, false),
        };
        tracing::info!(table = %table.name, is_this_boot, "no controller yet: serving from the table file");
        let name = table.name.clone();
        if let Err(reason) = self.install(&table).await {
            tracing::error!(%reason, "the table file cannot be applied");
        } else if is_this_boot {
            self.live = Some(Arc::new(table));
            self.applied = Some(name);
            self.report();
        }
    }

    async fn serve(
        &mut self,
        mut incoming: watch::Receiver<Option<Arc<RoutingTable>>>,
        mut watched: watch::Receiver<bool>,
        stop: &CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (ended, failed) = (Arc::clone(&self.ended), self.failures.added());
        let mut gap: Option<Pin<Box<Sleep>>> = None;
        // The first failure is told at once: whoever says that there was none must know.
        let mut told: Option<Pin<Box<Sleep>>> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = incoming.changed() => {
                    let newest = incoming.borrow_and_update().clone();
                    if let Some(table) = newest {
                        self.offer(table).await;
                    }
                }
                Ok(()) = watched.changed() => {
                    self.measures.store(*watched.borrow_and_update(), Ordering::Relaxed);
                    self.report();
                }
                written = written(&mut self.saving) => {
                    self.saved(written);
                    self.report();
                }
                () = ended.notified(), if gap.is_none() => {
                    self.report();
                    gap = Some(Box::pin(tokio::time::sleep(REPORT_GAP)));
                }
                () = over(&mut gap) => gap = None,
                () = failed.notified(), if told.is_none() => {
                    self.report();
                    told = Some(Box::pin(tokio::time::sleep(TICK)));
                }
                () = over(&mut told) => told = None,
                _ = ticks.tick() => {
                    self.unsaved.ticked();
                    self.beat();
                    self.save();
                    self.report();
                }
            }
        }
    }

    /// Takes a table from the controller, unless it is older than what is served.
    async fn offer(&mut self, table: Arc<RoutingTable>) {
        if self.live.as_ref().is_some_and(|live| live.name.covers(&table.name)) {
            return;
        }
        match self.install(&table).await {
            Ok(()) => {
                tracing::debug!(table = %table.name, "serving from a new table");
                self.live = Some(table);
                self.save();
            }
            Err(reason) => {
                tracing::error!(table = %table.name, reason, "table refused");
                self.refused = Some(TableRejection { table: table.name.clone(), reason });
            }
        }
        self.report();
    }

    /// Brings a table to all threads; returns when each has taken it.
    async fn install(&mut self, table: &RoutingTable) -> Result<(), String> {
        let threads = self.workers.len();
        let (targets, ended) = (&mut self.targets, &self.ended);
        let target = |id: &EndpointId, failures: &Failures| {
            let new = || Arc::new(Target::new(id.clone(), threads, Arc::clone(ended), failures.clone()));
            Arc::clone(targets.entry(id.clone()).or_insert_with(new))
        };
        let failures = |service: &ServiceName| self.failures.of(service);
        let compiled = compile(table, failures, target).map_err(|bad| bad.to_string())?;
        let compiled: Arc<Table> = Arc::new(compiled);
        self.mark_left(table);
        let mut answers = Vec::with_capacity(threads);
        for worker in &self.workers {
            let (taken, answer) = oneshot::channel();
            let command = Command::Table { table: Arc::clone(&compiled), taken };
            // a worker ends before its commands only by a panic, which ends the process
            let _ = worker.commands.send(command).await;
            answers.push(answer);
        }
        for answer in answers {
            let _ = answer.await;
        }
        self.failures.keep(&table.services);
        Ok(())
    }

    /// Tells all threads at once which endpoints a table is without. Each thread takes the table in its turn, which on a
    /// busy machine may be long in coming; until then it passes these over wherever it has another.
    fn mark_left(&self, table: &RoutingTable) {
        let served: BTreeSet<&EndpointId> = table.endpoints().map(|endpoint| &endpoint.id).collect();
        for target in self.targets.values() {
            let leaves = !served.contains(&target.id);
            let news = leaves && !target.has_left();
            target.set_left(leaves, self.clock.mono());
            if news {
                tracing::debug!(endpoint = %target.id, "every thread passes it over");
            }
        }
    }

    /// Begins to put the file in place where it is behind; only then is the table acknowledged. The disk may take its
    /// time: heartbeats and reports go on.
    fn save(&mut self) {
        let Some(table) = self.live.clone().filter(|live| self.applied.as_ref() != Some(&live.name)) else {
            return;
        };
        if self.saving.is_none() {
            let (file, name) = (self.file.clone(), table.name.clone());
            self.saving = Some((name, tokio::task::spawn_blocking(move || file.save(&table))));
        }
    }

    /// The file is in place, or is not and is tried again at the next tick.
    fn saved(&mut self, (name, written): (TableName, Result<(), String>)) {
        self.saving = None;
        match written {
            Ok(()) => {
                if let Some(failures) = self.unsaved.over() {
                    tracing::info!(table = %name, failures, "the table file is written again");
                }
                // a refusal of a later table stands
                let is_later = |refused: &TableRejection| {
                    refused.table.epoch >= name.epoch && !name.covers(&refused.table)
                };
                self.refused = self.refused.take().filter(is_later);
                self.applied = Some(name);
                // a later table may have come meanwhile
                self.save();
            }
            Err(reason) => {
                if let Some(failures) = self.unsaved.failed() {
                    tracing::error!(table = %name, reason, failures, "the table is served but not acknowledged");
                }
                self.refused = Some(TableRejection { table: name, reason });
            }
        }
    }

    /// Publishes the state where it differs from what was last published (while somebody watches it always does), and
    /// forgets endpoints that left and are done.
    fn report(&mut self) {
        let (watched, now) = (self.measures.load(Ordering::Relaxed), self.clock.mono());
        let stats = |(id, target): (&EndpointId, &Arc<Target>)| (id.clone(), target.stats(watched));
        let report = BalancerReport {
            incarnation: self.incarnation.clone(),
            applied: self.applied.clone(),
            refused: self.refused.clone(),
            counted: watched.then_some(now),
            failed: self.failures.told(),
            endpoints: self.targets.iter().map(stats).collect(),
        };
        self.targets.retain(|_, target| !target.is_over(now));
        self.reports.send_if_modified(|last| {
            let differs = *last != report;
            *last = report;
            differs
        });
    }

    /// Beats if every worker answered the last ping; pings again.
    fn beat(&mut self) {
        let answered = |worker: &Handle| worker.answered.load(Ordering::Relaxed) == self.pings;
        if self.workers.iter().all(answered) {
            (self.heartbeat)();
            self.pings += 1;
            for worker in &self.workers {
                // a full queue belongs to a worker that does not answer, and shows at the next tick
                let _ = worker.commands.try_send(Command::Ping(self.pings));
            }
        }
    }

    async fn tell(&self, command: impl Fn() -> Command) {
        for worker in &self.workers {
            let _ = worker.commands.send(command()).await;
        }
    }

    async fn wait_for_workers(&mut self, drain: std::time::Duration) {
        let closed: Vec<_> = self.workers.iter().map(|worker| worker.commands.clone()).collect();
        let all = async {
            for commands in &closed {
                commands.closed().await;
            }
        };
        let beats = async {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                self.workers.retain(|worker| !worker.commands.is_closed());
                self.beat();
            }
        };
        tokio::select! {
            () = all => {}
            () = beats => {}
            () = tokio::time::sleep(drain) => tracing::warn!("cutting requests that took too long to finish"),
        }
    }
}

/// How often in a row the file could not be written, and when that was last told: a full disk fails at every tick.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unsaved {
    failures: u64,
    /// Ticks since it was told.
    ticks: u64,
}

impl Unsaved {
    fn ticked(&mut self) {
        self.ticks += 1;
    }

    /// Another failure; the number of them where it is to be told.
    fn failed(&mut self) -> Option<u64> {
        self.failures += 1;
        let tell = self.failures == 1 || self.ticks >= TELL_UNSAVED_TICKS;
        if tell {
            self.ticks = 0;
        }
        tell.then_some(self.failures)
    }

    /// It was written; the number of failures before it, if there were any.
    fn over(&mut self) -> Option<u64> {
        let failures = std::mem::take(self).failures;
        (failures > 0).then_some(failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_once_and_then_once_a_minute() {
        let mut unsaved = Unsaved::default();
        let mut told = Vec::new();
        for second in 0..150 {
            unsaved.ticked();
            // a table that changes meanwhile makes for more than one failure a tick
            for _ in 0..2 {
                told.extend(unsaved.failed().map(|failures| (second, failures)));
            }
        }
        assert_eq!(told, [(0, 1), (60, 121), (120, 241)]);
        assert_eq!(unsaved.over(), Some(300));
        assert_eq!((unsaved.over(), unsaved), (None, Unsaved::default()));
    }
}
