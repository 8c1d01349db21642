//! The controller's end.
//!
//! Invariants: only balancers that run are served; each has at most one connection, and a newer one replaces the older once it
//! has said a valid hello; a balancer that is not connected has no report.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde::de::DeserializeOwned;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::codec::{FrameError, FrameReader, FrameWriter};
use super::delta::diff;
use super::known::{KnownBalancers, ListBalancers};
use super::message::{PROTOCOL, ToBalancer, ToController};
use crate::model::{BalancerId, BalancerReport, BalancerReports, RoutingTable};

/// A balancer says hello at once; a peer that does not is no balancer.
const HELLO_DEADLINE: Duration = Duration::from_secs(2);
/// Connections that may wait for their hello at a time; further ones wait in the socket's queue.
const GREETINGS_MAX: usize = 4;
/// Accept fails when file descriptors run out; an immediate retry would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest part of an unknown balancer's id that is logged.
const LOGGED_ID_CHARS: usize = 64;

/// Why a connection ended before the balancer ended it.
#[derive(Debug, thiserror::Error)]
enum PlaneError {
    #[error("the exchange of frames failed")]
    Frame(#[from] FrameError),
    #[error("the balancer did not say hello within {} s", HELLO_DEADLINE.as_secs())]
    NoHello,
    #[error("the balancer speaks protocol {0}, this controller {PROTOCOL}")]
    Protocol(u32),
    #[error("balancer {id:?} is not one of those that run, which are {known:?}")]
    UnknownBalancer { id: String, known: Vec<BalancerId> },
    #[error("the first message of a balancer must be hello, and no later one may be")]
    OutOfTurn,
    #[error("the controller stopped publishing")]
    Closed,
}

/// Where a controller takes from what it sends to its balancers, and puts what it receives.
pub struct PlaneServer {
    /// The newest is sent.
    pub tables: watch::Receiver<Option<Arc<RoutingTable>>>,
    /// How many clients watch the counters; balancers count while there are any.
    pub metrics_subscribers: watch::Receiver<usize>,
    /// The last report of each known balancer.
    pub reports: watch::Sender<BalancerReports>,
    pub running: ListBalancers,
}

/// The server while it serves.
struct ServedPlane {
    tables: watch::Receiver<Option<Arc<RoutingTable>>>,
    metrics_subscribers: watch::Receiver<usize>,
    balancers: KnownBalancers,
}

/// A connection whose balancer has said a valid hello.
struct Greeted {
    reader: FrameReader<OwnedReadHalf>,
    writer: FrameWriter<OwnedWriteHalf>,
    balancer: BalancerId,
    report: BalancerReport,
}

/// The connection of each balancer. They are polled here and nowhere else: nothing comes of a connection that was replaced.
#[derive(Default)]
struct Conversations<'a>(BTreeMap<BalancerId, BoxFuture<'a, Result<(), PlaneError>>>);

impl Conversations<'_> {
    /// Waits until one ends, and removes it.
    fn next_ended(&mut self) -> impl Future<Output = (BalancerId, Result<(), PlaneError>)> {
        poll_fn(|context| {
            let ended = self.0.iter_mut().find_map(|(id, talk)| match talk.as_mut().poll(context) {
                Poll::Ready(result) => Some((id.clone(), result)),
                Poll::Pending => None,
            });
            let Some((id, result)) = ended else { return Poll::Pending };
            self.0.remove(&id);
            Poll::Ready((id, result))
        })
    }
}

impl PlaneServer {
    /// Serves balancers until `shutdown`: the whole table on connect (as soon as there is one), then what changes. Only the
    /// newest table matters, so a slow balancer skips some.
    pub async fn serve(self, listener: UnixListener, shutdown: CancellationToken) {
        let Self { tables, metrics_subscribers, reports, running } = self;
        let balancers = KnownBalancers::new(running, reports);
        let plane = ServedPlane { tables, metrics_subscribers, balancers };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = plane.converse_with_all(&listener) => {}
            () = plane.balancers.follow() => {}
        }
        plane.balancers.disconnect_all();
    }
}

impl ServedPlane {
    async fn converse_with_all(&self, listener: &UnixListener) {
        let mut greetings = FuturesUnordered::new();
        let mut conversations = Conversations::default();
        // kept over the rounds of the loop: another event must not end its pause
        let mut accepted = pin!(accept(listener));
        loop {
            tokio::select! {
                stream = &mut accepted, if greetings.len() < GREETINGS_MAX => {
                    greetings.push(self.greet(stream));
                    accepted.set(accept(listener));
                }
                Some(greeted) = greetings.next() => match greeted {
                    Ok(Greeted { reader, writer, balancer, report }) => {
                        tracing::info!(%balancer, incarnation = %report.incarnation.0, "balancer connected");
                        let talk = self.converse(balancer.clone(), report, reader, writer);
                        conversations.0.insert(balancer, Box::pin(talk));
                    }
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "balancer refused"),
                },
                (balancer, ended) = conversations.next_ended() => {
                    self.balancers.disconnected(&balancer);
                    match ended {
                        Ok(()) => tracing::info!(%balancer, "balancer disconnected"),
                        Err(error) => {
                            let error = &error as &dyn std::error::Error;
                            tracing::warn!(%balancer, error, "balancer's connection ended");
                        }
                    }
                },
            }
        }
    }

    async fn greet(&self, stream: UnixStream) -> Result<Greeted, PlaneError> {
        let (reader, writer) = stream.into_split();
        let mut reader = FrameReader::new(reader);
        let writer = FrameWriter::new(writer);
        let first = tokio::time::timeout(HELLO_DEADLINE, next(&mut reader)).await;
        match first.map_err(|_| PlaneError::NoHello)?? {
            Some(ToController::Hello { protocol: PROTOCOL, balancer, report }) => {
                self.check_known(&balancer, self.balancers.is_known(&balancer).await)?;
                Ok(Greeted { reader, writer, balancer, report })
            }
            Some(ToController::Hello { protocol, .. }) => Err(PlaneError::Protocol(protocol)),
            Some(ToController::Report { .. } | ToController::NeedTable) => Err(PlaneError::OutOfTurn),
            None => Err(PlaneError::NoHello),
        }
    }

    fn check_known(&self, balancer: &BalancerId, is_known: bool) -> Result<(), PlaneError> {
        if is_known {
            return Ok(());
        }
        let id = balancer.as_str().chars().take(LOGGED_ID_CHARS).collect();
        Err(PlaneError::UnknownBalancer { id, known: self.balancers.ids() })
    }

    /// Both directions of one connection; ends with the first that ends.
    async fn converse(
        &self,
        balancer: BalancerId,
        report: BalancerReport,
        reader: FrameReader<OwnedReadHalf>,
        writer: FrameWriter<OwnedWriteHalf>,
    ) -> Result<(), PlaneError> {
        let needs_table = Notify::new();
        tokio::select! {
            ended = self.receive(&balancer, report, reader, &needs_table) => ended,
            ended = self.publish(writer, &needs_table) => ended,
        }
    }

    async fn receive(
        &self,
        balancer: &BalancerId,
        first: BalancerReport,
        mut reader: FrameReader<OwnedReadHalf>,
        needs_table: &Notify,
    ) -> Result<(), PlaneError> {
        self.check_known(balancer, self.balancers.report(balancer, first).await)?;
        while let Some(message) = next(&mut reader).await? {
            match message {
                ToController::Report { report } => {
                    self.check_known(balancer, self.balancers.report(balancer, report).await)?;
                }
                ToController::NeedTable => needs_table.notify_one(),
                ToController::Hello { .. } => return Err(PlaneError::OutOfTurn),
            }
        }
        Ok(())
    }

    async fn publish(
        &self,
        mut writer: FrameWriter<OwnedWriteHalf>,
        needs_table: &Notify,
    ) -> Result<(), PlaneError> {
        let mut tables = self.tables.clone();
        let mut metrics_subscribers = self.metrics_subscribers.clone();
        let mut sent: Option<Arc<RoutingTable>> = None;
        let mut was_watched = false;
        loop {
            let newest = tables.borrow_and_update().clone();
            if let Some(newest) = newest
                && sent.as_ref().is_none_or(|sent| !Arc::ptr_eq(sent, &newest))
            {
                let message = match &sent {
                    Some(base) => ToBalancer::Delta { delta: diff(base, &newest) },
                    None => ToBalancer::Table { table: RoutingTable::clone(&newest) },
                };
                writer.send(&message).await?;
                sent = Some(newest);
            }
            let watched = *metrics_subscribers.borrow_and_update() > 0;
            if watched != was_watched {
                writer.send(&ToBalancer::Watch { watched }).await?;
                was_watched = watched;
            }
            tokio::select! {
                changed = tables.changed() => changed.map_err(|_| PlaneError::Closed)?,
                changed = metrics_subscribers.changed() => changed.map_err(|_| PlaneError::Closed)?,
                () = needs_table.notified() => sent = None,
            }
        }
    }
}

/// The next connection. The pause after an error is part of it, so that it holds up no conversation.
async fn accept(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a balancer's connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The next message; `None` once the balancer has ended the connection.
async fn next<T: DeserializeOwned>(reader: &mut FrameReader<OwnedReadHalf>) -> Result<Option<T>, FrameError> {
    let Some(frame) = reader.next().await? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&frame)?))
}
