//! The controller's end.
//!
//! One balancer at a time: a newer connection takes the place of an older one once it has said a valid hello.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::codec::{FrameError, FrameReader, write_frame};
use super::delta::diff;
use super::message::{PROTOCOL, ToBalancer, ToController};
use crate::model::{BalancerReport, RoutingTable};

/// A balancer says hello at once; what does not is not one.
const HELLO_DEADLINE: Duration = Duration::from_secs(2);
/// A live balancer reads its socket within milliseconds; one that takes this long for a frame is stuck.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// Accept fails for want of file descriptors, and trying again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a conversation ended before the balancer ended it.
#[derive(Debug, thiserror::Error)]
enum PlaneError {
    #[error("the exchange of frames failed")]
    Frame(#[from] FrameError),
    #[error("the balancer did not say hello within {} s", HELLO_DEADLINE.as_secs())]
    NoHello,
    #[error("the balancer speaks protocol {0}, this controller {PROTOCOL}")]
    Protocol(u32),
    #[error("the balancer said something else than hello, or hello twice")]
    OutOfTurn,
    #[error("the balancer did not take a table within {} s", WRITE_DEADLINE.as_secs())]
    Stuck,
    #[error("the controller stopped publishing")]
    Closed,
}

type Tables = watch::Receiver<Option<Arc<RoutingTable>>>;
/// How many watch the counters.
type Watchers = watch::Receiver<usize>;
type Reports = watch::Sender<Option<BalancerReport>>;
/// A step under way, if any.
type Step<'a, T> = Option<Pin<Box<dyn Future<Output = Result<T, PlaneError>> + Send + 'a>>>;

struct Greeted {
    reader: FrameReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    report: BalancerReport,
}

/// Serves balancers until `shutdown`: the whole table on connect (as soon as there is one), then what changes; only the
/// newest table matters, so a slow balancer skips some. Counters are asked for while `watchers` is not 0. `reports` holds the
/// balancer's last word, `None` while there is no balancer.
pub async fn serve(
    listener: UnixListener,
    tables: Tables,
    watchers: Watchers,
    reports: Reports,
    shutdown: CancellationToken,
) {
    let mut greeting: Step<'_, Greeted> = None;
    let mut conversation: Step<'_, ()> = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept(), if greeting.is_none() => match accepted {
                Ok((stream, _)) => greeting = Some(Box::pin(greet(stream))),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a balancer's connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            greeted = finish(&mut greeting) => {
                greeting = None;
                match greeted {
                    Ok(Greeted { reader, writer, report }) => {
                        tracing::info!(incarnation = %report.incarnation.0, "balancer connected");
                        reports.send_replace(Some(report));
                        let talk = converse(reader, writer, tables.clone(), watchers.clone(), &reports);
                        conversation = Some(Box::pin(talk));
                    }
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "balancer refused"),
                }
            },
            ended = finish(&mut conversation) => {
                conversation = None;
                reports.send_replace(None);
                match ended {
                    Ok(()) => tracing::info!("balancer disconnected"),
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "balancer's connection ended");
                    }
                }
            },
        }
    }
    drop(conversation);
    reports.send_replace(None);
}

/// The step's end; never where there is none.
async fn finish<T>(step: &mut Step<'_, T>) -> Result<T, PlaneError> {
    match step {
        Some(step) => step.await,
        None => std::future::pending().await,
    }
}

async fn greet(stream: UnixStream) -> Result<Greeted, PlaneError> {
    let (reader, writer) = stream.into_split();
    let mut reader = FrameReader::new(reader);
    let first = tokio::time::timeout(HELLO_DEADLINE, reader.next()).await;
    match first.map_err(|_| PlaneError::NoHello)?? {
        Some(ToController::Hello { protocol: PROTOCOL, report }) => Ok(Greeted { reader, writer, report }),
        Some(ToController::Hello { protocol, .. }) => Err(PlaneError::Protocol(protocol)),
        Some(ToController::Report { .. } | ToController::NeedTable) => Err(PlaneError::OutOfTurn),
        None => Err(PlaneError::NoHello),
    }
}

/// Both directions of one connection; ends with the first that ends.
async fn converse(
    reader: FrameReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    tables: Tables,
    watchers: Watchers,
    reports: &Reports,
) -> Result<(), PlaneError> {
    let wants_whole = Notify::new();
    tokio::select! {
        ended = listen(reader, reports, &wants_whole) => ended,
        ended = publish(writer, tables, watchers, &wants_whole) => ended,
    }
}

async fn listen(
    mut reader: FrameReader<OwnedReadHalf>,
    reports: &Reports,
    wants_whole: &Notify,
) -> Result<(), PlaneError> {
    while let Some(message) = reader.next().await? {
        match message {
            ToController::Report { report } => {
                reports.send_replace(Some(report));
            }
            ToController::NeedTable => wants_whole.notify_one(),
            ToController::Hello { .. } => return Err(PlaneError::OutOfTurn),
        }
    }
    Ok(())
}

async fn publish(
    mut writer: OwnedWriteHalf,
    mut tables: Tables,
    mut watchers: Watchers,
    wants_whole: &Notify,
) -> Result<(), PlaneError> {
    let mut sent: Option<Arc<RoutingTable>> = None;
    let mut measures = false;
    loop {
        let newest = tables.borrow_and_update().clone();
        if let Some(newest) = newest
            && sent.as_ref().is_none_or(|sent| !Arc::ptr_eq(sent, &newest))
        {
            let message = match &sent {
                Some(base) => ToBalancer::Delta { delta: diff(base, &newest) },
                None => ToBalancer::Table { table: RoutingTable::clone(&newest) },
            };
            say(&mut writer, &message).await?;
            sent = Some(newest);
        }
        let watched = *watchers.borrow_and_update() > 0;
        if watched != measures {
            say(&mut writer, &ToBalancer::Watch { watched }).await?;
            measures = watched;
        }
        tokio::select! {
            changed = tables.changed() => changed.map_err(|_| PlaneError::Closed)?,
            changed = watchers.changed() => changed.map_err(|_| PlaneError::Closed)?,
            () = wants_whole.notified() => sent = None,
        }
    }
}

async fn say(writer: &mut OwnedWriteHalf, message: &ToBalancer) -> Result<(), PlaneError> {
    let written = tokio::time::timeout(WRITE_DEADLINE, write_frame(writer, message)).await;
    Ok(written.map_err(|_| PlaneError::Stuck)??)
}
