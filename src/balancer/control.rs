//! The controlling thread: follows the controller, installs tables, acknowledges them, reports, and beats.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::acknowledgement::Acknowledgement;
use super::compile::{BadTable, compile};
use super::counters::CounterRegistry;
use super::drain::{Drain, DrainReason, DrainStep};
use super::file::Saved;
use super::health::BalancerHealth;
use super::limits::{BalancerLimits, FIRST_TABLE_WAIT, REPORT_GAP, TABLE_FILE_WAIT, TICK};
use super::load::TableLoader;
use super::reporter::{Reporter, ThrottledEvents};
use super::save::TableSaver;
use super::sockets::SocketChange;
use super::threads::{ThreadEnded, ThreadGroup};
use super::tls::TlsSiteKeeper;
use crate::clock::Clock;
use crate::model::{BalancerId, RoutingTable};
use crate::plane::{PlaneClient, ReceivedTable};

type IncomingTables = watch::Receiver<Option<ReceivedTable>>;
type DrainRequests = watch::Receiver<Option<DrainReason>>;

pub(super) struct Control {
    pub(super) id: BalancerId,
    pub(super) threads: ThreadGroup,
    pub(super) counters: CounterRegistry,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sockets: mpsc::Receiver<SocketChange>,
    pub(super) acknowledgement: Acknowledgement,
    pub(super) loader: TableLoader,
    pub(super) saver: TableSaver,
    pub(super) tls: TlsSiteKeeper,
    pub(super) reporter: Reporter,
    pub(super) heartbeat: Box<dyn Fn(BalancerHealth) + Send>,
}

impl Control {
    /// Serves until it is to drain, then until the threads have drained or there is no more time. While they drain it follows the controller
    /// and reports as before: a container is stopped only after its requests have ended here too.
    pub(super) async fn run(
        mut self,
        plane: PathBuf,
        drain: DrainRequests,
        limits: &BalancerLimits,
    ) -> Result<(), ThreadEnded> {
        let (tables, mut incoming) = watch::channel(None);
        let (watch, watched) = watch::channel(false);
        let following = CancellationToken::new();
        let reports = self.reporter.subscribe();
        let client = PlaneClient { id: self.id.clone(), tables, reports, watched: watch };
        let follower = tokio::spawn(client.follow(plane, following.clone()));
        let served = self.serve(&mut incoming, watched, drain, limits).await;
        following.cancel();
        if let Err(error) = follower.await {
            tracing::error!(%error, "the task that follows the controller panicked");
        }
        served
    }

    async fn serve(
        &mut self,
        incoming: &mut IncomingTables,
        mut watched: watch::Receiver<bool>,
        mut drain_requests: DrainRequests,
        limits: &BalancerLimits,
    ) -> Result<(), ThreadEnded> {
        self.first_table(incoming).await?;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut departures = ThrottledEvents::new(Arc::clone(&self.counters.request_ended), REPORT_GAP);
        // the first failure is reported at once: a reader that sees none must be able to rely on it
        let mut failures = ThrottledEvents::new(Arc::clone(&self.counters.request_failed), TICK);
        let mut drain = Drain::default();
        loop {
            tokio::select! {
                Ok(()) = drain_requests.changed() => {
                    let reason = *drain_requests.borrow_and_update();
                    self.begin_drain(reason, &mut drain, limits).await?;
                }
                step = drain.next() => match step {
                    DrainStep::Close => self.close_listeners().await?,
                    DrainStep::Cut => {
                        tracing::warn!("cutting requests that took too long to finish");
                        return Ok(());
                    }
                },
                () = self.threads.drained() => return Ok(()),
                ended = self.threads.ended() => return Err(ended),
                Some(change) = self.sockets.recv(), if drain.reason.is_none() => self.threads.change_sockets(change).await?,
                Ok(()) = incoming.changed() => self.receive_newest(incoming).await?,
                saved = self.loader.finished() => self.restore(saved).await?,
                Ok(()) = watched.changed() => {
                    self.reporter.set_watched(*watched.borrow_and_update());
                    self.report();
                }
                is_saved = self.saver.finished(&mut self.acknowledgement) => {
                    if is_saved {
                        // another table may have come meanwhile; a failed save is tried again at the next tick
                        self.save();
                        // a supervisor may wait for it
                        self.beat(incoming);
                    }
                    self.report();
                }
                () = departures.due() => self.report(),
                () = failures.due() => self.report(),
                _ = ticks.tick() => {
                    self.beat(incoming);
                    self.save();
                    self.report();
                }
            }
        }
    }

    /// Installs the controller's table if it comes before the file is read, and is not rejected; else the file's.
    async fn first_table(&mut self, incoming: &mut IncomingTables) -> Result<(), ThreadEnded> {
        if let Ok(Ok(())) = timeout(FIRST_TABLE_WAIT, incoming.changed()).await {
            self.receive_newest(incoming).await?;
        }
        self.loader.start();
        let mut waited = pin!(tokio::time::sleep(TABLE_FILE_WAIT));
        while !self.acknowledgement.is_serving() {
            tokio::select! {
                saved = self.loader.finished() => return self.restore(saved).await,
                Ok(()) = incoming.changed() => self.receive_newest(incoming).await?,
                () = &mut waited => {
                    tracing::error!("the table file takes long to read; no table to serve from yet");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Serves from the table file, unless there was none or the controller was faster. A table of another boot is not
    /// acknowledged: it was emptied, and is not the table of its name.
    async fn restore(&mut self, saved: Option<Saved>) -> Result<(), ThreadEnded> {
        let (table, is_this_boot) = match saved {
            _ if self.acknowledgement.is_serving() => return Ok(()),
            None => return Ok(()),
            Some(Saved::ThisBoot(table)) => (table, true),
            Some(Saved::OtherBoot(table)) => (table, false),
        };
        tracing::info!(table = %table.name, is_this_boot, "no usable table from the controller yet: serving from the table file");
        match self.install(&table).await? {
            Ok(()) if is_this_boot => self.acknowledgement.restored(Arc::new(table)),
            Ok(()) => {}
            Err(reason) => tracing::error!(%reason, "the table file cannot be used"),
        }
        self.report();
        Ok(())
    }

    /// Installs the controller's newest table, or reports that it could not be decoded.
    async fn receive_newest(&mut self, incoming: &mut IncomingTables) -> Result<(), ThreadEnded> {
        let newest = incoming.borrow_and_update().clone();
        match newest {
            None => Ok(()),
            Some(ReceivedTable::Table(table)) => self.offer(table).await,
            Some(ReceivedTable::Rejected(rejection)) => {
                tracing::error!(table = %rejection.table, reason = rejection.reason, "table rejected");
                self.acknowledgement.reject(rejection.table, rejection.reason);
                self.report();
                Ok(())
            }
        }
    }

    /// Hands a table to all threads, and returns when each has taken it; if it is refused, they keep the one they have.
    async fn install(&mut self, table: &RoutingTable) -> Result<Result<(), BadTable>, ThreadEnded> {
        let mut compiled = match compile(table, &mut self.counters) {
            Ok(compiled) => compiled,
            Err(bad) => return Ok(Err(bad)),
        };
        compiled.tls = self.tls.update(&table.certificates);
        compiled.note_available();
        self.counters.mark_departed(table, self.clock.mono());
        self.threads.hand_out(Arc::new(compiled)).await?;
        Ok(Ok(()))
    }

    /// Installs a table from the controller, unless it is older than the one that is served.
    async fn offer(&mut self, table: Arc<RoutingTable>) -> Result<(), ThreadEnded> {
        self.acknowledgement.offered(&table.name);
        if !self.acknowledgement.accepts(&table.name) {
            return Ok(());
        }
        match self.install(&table).await? {
            Ok(()) => {
                tracing::debug!(table = %table.name, "serving from a new table");
                self.acknowledgement.taken(table);
                self.save();
            }
            Err(reason) => {
                tracing::error!(table = %table.name, %reason, "table rejected");
                self.acknowledgement.reject(table.name.clone(), reason.to_string());
            }
        }
        self.report();
        Ok(())
    }

    fn save(&mut self) {
        self.saver.start(&mut self.acknowledgement);
    }

    fn report(&mut self) {
        self.reporter.publish(&self.acknowledgement, &mut self.counters);
    }

    /// Beats if every thread is alive.
    fn beat(&mut self, incoming: &IncomingTables) {
        if self.threads.ping() {
            (self.heartbeat)(self.health(incoming));
        }
    }

    fn health(&self, incoming: &IncomingTables) -> BalancerHealth {
        let is_rejected = matches!(&*incoming.borrow(), Some(ReceivedTable::Rejected(_)));
        match self.acknowledgement.is_serving() {
            true if self.acknowledgement.is_in_sync() && !is_rejected => BalancerHealth::InSync,
            true => BalancerHealth::HasTable,
            false => BalancerHealth::NoTable,
        }
    }

    async fn begin_drain(
        &mut self,
        reason: Option<DrainReason>,
        drain: &mut Drain,
        limits: &BalancerLimits,
    ) -> Result<(), ThreadEnded> {
        let Some(reason) = reason else { return Ok(()) };
        tracing::info!(?reason, "draining");
        let finished = self.threads.announce().await?;
        if reason == DrainReason::Succeeded {
            self.threads.retire().await?;
            self.reporter.set_draining();
            self.report();
        }
        drain.begin(reason, limits, finished);
        Ok(())
    }

    /// What is in flight finishes; the threads end with it.
    async fn close_listeners(&mut self) -> Result<(), ThreadEnded> {
        self.threads.drain().await?;
        self.reporter.set_draining();
        self.report();
        Ok(())
    }
}
