//! The balancer's end.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::codec::{FrameError, FrameReader, write_frame};
use super::delta::apply;
use super::message::{PROTOCOL, ToBalancer, ToController};
use crate::model::{BalancerReport, RoutingTable};

/// The first wait before connecting again; doubles with each failure.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// The longest wait: a controller that restarts is found within half a second.
const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// A live controller reads its socket within milliseconds; the balancer does not wait for one that is stuck.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// Why a connection to the controller ended.
#[derive(Debug, thiserror::Error)]
enum ClientError {
    #[error("cannot reach the controller")]
    Connect(#[source] std::io::Error),
    #[error("the exchange of frames failed")]
    Frame(#[from] FrameError),
    #[error("the controller did not take a report within {} s", WRITE_DEADLINE.as_secs())]
    Stuck,
    #[error("the controller ended the connection")]
    Ended,
    #[error("the balancer stopped reporting")]
    Closed,
}

/// Follows the controller behind the unix socket `path` until `stop`: says hello with the report as it stands, puts the
/// newest table into `tables` and sends each report that `reports` comes to hold; `watched` is whether the controller wants
/// counters. Connects again whenever the connection ends; what `tables` holds stays meanwhile, and nobody watches.
pub async fn follow(
    path: PathBuf,
    tables: watch::Sender<Option<Arc<RoutingTable>>>,
    reports: watch::Receiver<BalancerReport>,
    watched: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let mut connected = false;
        let heard = Heard { tables: &tables, watched: &watched };
        let talk = converse(&path, &heard, reports.clone(), &mut connected);
        let error = tokio::select! {
            () = stop.cancelled() => return,
            ended = talk => { let Err(error) = ended; error }
        };
        watched.send_replace(false);
        if connected {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "lost the controller; serving the last table");
            backoff = BACKOFF_MIN;
        } else {
            tracing::debug!(error = &error as &dyn std::error::Error, "no controller yet");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(backoff) => backoff = (backoff * 2).min(BACKOFF_MAX),
        }
    }
}

/// Where it goes what the controller says.
struct Heard<'a> {
    tables: &'a watch::Sender<Option<Arc<RoutingTable>>>,
    watched: &'a watch::Sender<bool>,
}

async fn converse(
    path: &PathBuf,
    heard: &Heard<'_>,
    reports: watch::Receiver<BalancerReport>,
    connected: &mut bool,
) -> Result<Infallible, ClientError> {
    let (reader, writer) = UnixStream::connect(path).await.map_err(ClientError::Connect)?.into_split();
    let needs_table = Notify::new();
    tokio::select! {
        ended = receive(FrameReader::new(reader), heard, &needs_table, connected) => ended,
        ended = report(writer, reports, &needs_table) => ended,
    }
}

async fn receive(
    mut reader: FrameReader<OwnedReadHalf>,
    heard: &Heard<'_>,
    needs_table: &Notify,
    connected: &mut bool,
) -> Result<Infallible, ClientError> {
    let mut last: Option<Arc<RoutingTable>> = None;
    while let Some(message) = reader.next().await? {
        *connected = true;
        let table = match message {
            ToBalancer::Table { table } => Some(table),
            ToBalancer::Delta { delta } => last.as_ref().and_then(|last| apply(last, delta)),
            ToBalancer::Watch { watched } => {
                heard.watched.send_replace(watched);
                continue;
            }
        };
        last = table.map(Arc::new);
        match &last {
            Some(table) => {
                heard.tables.send_replace(Some(Arc::clone(table)));
            }
            None => needs_table.notify_one(),
        }
    }
    Err(ClientError::Ended)
}

async fn report(
    mut writer: OwnedWriteHalf,
    mut reports: watch::Receiver<BalancerReport>,
    needs_table: &Notify,
) -> Result<Infallible, ClientError> {
    let report = reports.borrow_and_update().clone();
    send(&mut writer, &ToController::Hello { protocol: PROTOCOL, report }).await?;
    loop {
        let message = tokio::select! {
            changed = reports.changed() => {
                changed.map_err(|_| ClientError::Closed)?;
                ToController::Report { report: reports.borrow_and_update().clone() }
            }
            () = needs_table.notified() => ToController::NeedTable,
        };
        send(&mut writer, &message).await?;
    }
}

async fn send(writer: &mut OwnedWriteHalf, message: &ToController) -> Result<(), ClientError> {
    let written = tokio::time::timeout(WRITE_DEADLINE, write_frame(writer, message)).await;
    Ok(written.map_err(|_| ClientError::Stuck)??)
}
