//! The balancer's end.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::codec::{FrameError, FrameReader, FrameWriter};
use super::message::{PROTOCOL, ToController};
use super::received::{Received, ReceivedTable, TableReceiver};
use crate::model::{Backoff, BalancerId, BalancerReport, Millis};

/// Between attempts to connect: a controller that restarts is found within half a second.
const RECONNECT: Backoff = Backoff::new(Millis(10), Millis(500));

/// Why a connection to the controller ended.
#[derive(Debug, thiserror::Error)]
enum ClientError {
    #[error("cannot reach the controller")]
    Connect(#[source] std::io::Error),
    #[error("the exchange of frames failed")]
    Frame(#[from] FrameError),
    #[error("the controller ended the connection")]
    Ended,
    #[error("the balancer stopped reporting")]
    Closed,
}

/// A balancer, as its connection to the controller sees it.
pub struct PlaneClient {
    /// How the controller knows this balancer.
    pub id: BalancerId,
    /// The newest table is put here.
    pub tables: watch::Sender<Option<ReceivedTable>>,
    /// Each report is sent.
    pub reports: watch::Receiver<BalancerReport>,
    /// Whether the controller wants counters.
    pub watched: watch::Sender<bool>,
}

impl PlaneClient {
    /// Follows the controller behind a unix socket until `stop`, and connects again whenever the connection ends. The last
    /// table stays meanwhile, and no counters are wanted.
    pub async fn follow(self, socket: PathBuf, stop: CancellationToken) {
        let mut failures: u32 = 0;
        loop {
            let mut has_received = false;
            let error = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.converse(&socket, &mut has_received) => { let Err(error) = ended; error }
            };
            self.watched.send_replace(false);
            if has_received {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "disconnected from the controller; serving the last table");
                failures = 0;
            } else {
                tracing::debug!(error = &error as &dyn std::error::Error, "not connected to the controller");
                failures = failures.saturating_add(1);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RECONNECT.wait(failures).std()) => {}
            }
        }
    }

    /// One connection, in both directions. `has_received` is set by the first message: a controller that refuses this
    /// balancer accepts the connection and sends none.
    async fn converse(&self, socket: &Path, has_received: &mut bool) -> Result<Infallible, ClientError> {
        let (reader, writer) = UnixStream::connect(socket).await.map_err(ClientError::Connect)?.into_split();
        let needs_table = Notify::new();
        tokio::select! {
            ended = self.receive(FrameReader::new(reader), &needs_table, has_received) => ended,
            ended = self.report(FrameWriter::new(writer), &needs_table) => ended,
        }
    }

    async fn receive(
        &self,
        mut reader: FrameReader<OwnedReadHalf>,
        needs_table: &Notify,
        has_received: &mut bool,
    ) -> Result<Infallible, ClientError> {
        let mut receiver = TableReceiver::default();
        while let Some(frame) = reader.next().await? {
            match receiver.take(&frame).map_err(FrameError::from)? {
                Received::Table(table) => {
                    self.tables.send_replace(Some(table));
                }
                Received::OtherBase => needs_table.notify_one(),
                Received::Watch(watched) => {
                    self.watched.send_replace(watched);
                }
            }
            *has_received = true;
        }
        Err(ClientError::Ended)
    }

    async fn report(
        &self,
        mut writer: FrameWriter<OwnedWriteHalf>,
        needs_table: &Notify,
    ) -> Result<Infallible, ClientError> {
        let mut reports = self.reports.clone();
        let report = reports.borrow_and_update().clone();
        writer.send(&ToController::Hello { protocol: PROTOCOL, balancer: self.id.clone(), report }).await?;
        loop {
            let message = tokio::select! {
                changed = reports.changed() => {
                    changed.map_err(|_| ClientError::Closed)?;
                    ToController::Report { report: reports.borrow_and_update().clone() }
                }
                () = needs_table.notified() => ToController::NeedTable,
            };
            writer.send(&message).await?;
        }
    }
}
