//! Finds an endpoint that can be connected to, and waits for one if the listener says so. Nothing of the client is read meanwhile, so
//! every endpoint may be tried.

use std::mem::MaybeUninit;
use std::rc::Rc;

use socket2::SockRef;
use tokio::net::TcpStream;

use super::handler::TcpHandler;
use crate::balancer::choice::NoChoice;
use crate::balancer::claim::{Claim, ThreadEndpoint};
use crate::balancer::connect::{ConnectError, connect};
use crate::balancer::hold::HeldRequest;
use crate::balancer::limits::{CONNECTS_MAX, HOLD_RETRY, TCP_TABLE_WAIT};
use crate::balancer::pool::EndpointConnections;
use crate::balancer::request_picks::RequestPicks;
use crate::balancer::socket_budget::SocketPermit;
use crate::model::{Millis, Mono, RouteWaits};
use crate::routing::router::RouteRequest;

/// An endpoint that is connected.
pub(super) struct ConnectedEndpoint {
    pub(super) claim: Rc<Claim>,
    pub(super) stream: TcpStream,
    pub(super) waits: RouteWaits,
    /// Dropped after the stream.
    pub(super) permit: SocketPermit,
}

/// Why there is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unreached {
    /// The thread's table has no such listener, perhaps not yet.
    Unknown,
    /// No endpoint is ready, or none can be connected to.
    NoEndpoint,
    /// This process has no descriptor left.
    Shortage,
}

/// What a connection waits for.
enum Wait {
    /// A table with its listener.
    Table { until: Mono },
    /// An endpoint, with a place among all that are held.
    Endpoint { _place: HeldRequest, until: Mono },
}

impl Wait {
    fn until(&self) -> Mono {
        let (Self::Table { until } | Self::Endpoint { until, .. }) = self;
        *until
    }
}

/// Bytes have no host and no path; the listener's rule takes everything.
const EVERYTHING: RouteRequest<'static> = RouteRequest { host: "", path: "/", attributes: &() };

impl<P: EndpointConnections> TcpHandler<P> {
    /// Connects to an endpoint; `None` if there is none in time, or the client has left.
    pub(super) async fn find_endpoint(&self, client: &TcpStream) -> Option<ConnectedEndpoint> {
        let mut picks = self.picker.begin();
        let mut wait: Option<Wait> = None;
        loop {
            let table = self.picker.table_number();
            let reason = match self.connect(&mut picks).await {
                Ok(connected) => return Some(connected),
                Err(reason) => reason,
            };
            match (&wait, reason) {
                // the table that has come has no endpoint ready: from now on the listener's `hold` counts
                (None, _) | (Some(Wait::Table { .. }), Unreached::NoEndpoint) => {
                    wait = self.begin_wait(reason, &picks);
                }
                _ => {}
            }
            let until = wait.as_ref().filter(|_| self.may_pass(reason, &picks)).map(Wait::until);
            let now = self.clock.mono();
            let Some(until) = until.filter(|until| *until > now && !has_left(client)) else {
                return self.give_up(reason, &picks);
            };
            tokio::select! {
                () = self.picker.table_changed(table) => {}
                () = tokio::time::sleep(until.since(now).std().min(HOLD_RETRY)) => {}
                // no table comes any more
                () = self.draining.cancelled() => return self.give_up(reason, &picks),
            }
            picks.begin_again();
        }
    }

    fn begin_wait(&self, reason: Unreached, picks: &RequestPicks) -> Option<Wait> {
        let now = self.clock.mono();
        match reason {
            Unreached::Shortage => None,
            Unreached::Unknown => Some(Wait::Table { until: now.after(TCP_TABLE_WAIT.into()) }),
            Unreached::NoEndpoint => {
                let rule = self.picker.hold_rule(&self.listener, &EVERYTHING, picks)?;
                let place = self.connections.shared.held.hold(&rule.service, now)?;
                Some(Wait::Endpoint { _place: place, until: now.after(Millis::from(rule.longest)) })
            }
        }
    }

    /// Whether waiting makes sense: the table that has come meanwhile may say that no replica is to be expected any more.
    fn may_pass(&self, reason: Unreached, picks: &RequestPicks) -> bool {
        match reason {
            Unreached::Shortage => false,
            Unreached::Unknown => true,
            Unreached::NoEndpoint => self.picker.hold_rule(&self.listener, &EVERYTHING, picks).is_some(),
        }
    }

    fn give_up<T>(&self, reason: Unreached, picks: &RequestPicks) -> Option<T> {
        tracing::debug!(listener = %self.listener, ?reason, "closed a connection that reached no endpoint");
        self.picker.count_unreached(&self.listener, &EVERYTHING, picks);
        None
    }

    /// Picks endpoints until one can be connected to.
    async fn connect(&self, picks: &mut RequestPicks) -> Result<ConnectedEndpoint, Unreached> {
        let mut refused: Vec<Rc<ThreadEndpoint>> = Vec::new();
        let budget = &self.connections.shared.budget;
        for _ in 0..CONNECTS_MAX {
            let choice = self.picker.pick(&self.listener, &EVERYTHING, picks)?;
            let endpoint = Rc::clone(choice.claim.endpoint());
            if refused.iter().any(|known| Rc::ptr_eq(known, &endpoint)) {
                choice.claim.mark_unsent();
                break;
            }
            match connect(choice.address, budget).await {
                Ok((stream, permit)) => {
                    endpoint.restore();
                    let waits = choice.waits;
                    return Ok(ConnectedEndpoint { claim: choice.claim, stream, waits, permit });
                }
                Err(error) if error.is_local_shortage() => {
                    choice.claim.mark_unsent();
                    self.connections.log.report_shortage(&error);
                    if matches!(error, ConnectError::NoRoom) {
                        return Err(Unreached::Shortage);
                    }
                    budget.press();
                }
                Err(error) => {
                    let name = endpoint.name();
                    tracing::debug!(endpoint = name, error = &error as &dyn std::error::Error, "ejected");
                    choice.claim.mark_retried();
                    endpoint.eject(&*self.clock);
                }
            }
            picks.add_tried(Rc::clone(&endpoint));
            refused.push(endpoint);
        }
        Err(Unreached::NoEndpoint)
    }
}

impl From<NoChoice> for Unreached {
    fn from(missing: NoChoice) -> Self {
        match missing {
            // a TCP listener's rule has no gate
            NoChoice::Table | NoChoice::Route | NoChoice::Gate(_) => Self::Unknown,
            NoChoice::Endpoint => Self::NoEndpoint,
        }
    }
}

/// Whether a client has closed its side without a word: one that has sent something may still await the answer.
fn has_left(client: &TcpStream) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    match SockRef::from(client).peek(&mut byte) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
