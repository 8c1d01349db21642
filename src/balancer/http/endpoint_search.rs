//! Finds an endpoint that can be connected to, and waits for one if the route says so.

use std::rc::Rc;

use super::endpoint_pools::UpstreamLease;
use super::forward::{ConnectionOrigin, ForwardedRequest, HttpChoice};
use super::local_reply::LocalReply;
use super::upstream::connect;
use crate::balancer::choice::{HoldRule, NoChoice};
use crate::balancer::claim::ThreadEndpoint;
use crate::balancer::connect::ConnectError;
use crate::balancer::hold::HeldRequest;
use crate::balancer::limits::{CONNECTS_MAX, HOLD_RETRY};
use crate::balancer::pool::ReusePolicy;
use crate::balancer::socket_budget::SocketBudget;
use crate::balancer::table::UpstreamProtocol;
use crate::model::{Millis, Mono};

type FoundEndpoint = (HttpChoice, UpstreamLease, ConnectionOrigin);

/// A request's place among those that wait for an endpoint.
struct Waiting {
    _place: HeldRequest,
    until: Mono,
    longest: Millis,
}

impl ForwardedRequest<'_> {
    /// Connects to an endpoint; while none can be connected to, waits for one as long as the route says.
    pub(super) async fn find_endpoint(&mut self) -> Result<FoundEndpoint, LocalReply> {
        let mut waiting: Option<Waiting> = None;
        loop {
            let table = self.handler.picker.table_number();
            let reply = match self.connect().await {
                Ok(found) => return Ok(found),
                Err(reply) if reply.is_of_route() => return Err(reply),
                Err(reply) => reply,
            };
            if waiting.is_none() && reply.may_pass() {
                waiting = self.begin_waiting();
            }
            // the table that has come meanwhile may say that no replica is to be expected any more
            let Some(waiting) = waiting.as_ref().filter(|_| reply.may_pass() && self.hold_rule().is_some())
            else {
                return self.unreached(reply);
            };
            if self.handler.clock.mono() >= waiting.until {
                return self.unreached(LocalReply::NoEndpointInTime(waiting.longest));
            }
            if !self.wait(table, waiting.until).await {
                return self.unreached(reply);
            }
        }
    }

    /// A place to wait at; `None` if the route has none for this request.
    fn begin_waiting(&self) -> Option<Waiting> {
        let rule = self.hold_rule()?;
        let now = self.handler.clock.mono();
        let place = self.handler.connections.shared.held.hold(&rule.service, now)?;
        let longest = Millis::from(rule.longest);
        Some(Waiting { _place: place, until: now.after(longest), longest })
    }

    fn hold_rule(&self) -> Option<HoldRule> {
        let request = self.target.route_request(&self.head);
        self.handler.picker.hold_rule(&self.handler.listener, &request, &self.picks)
    }

    /// Waits until it is time to look again; whether that makes sense.
    async fn wait(&mut self, table: u64, until: Mono) -> bool {
        let left = until.since(self.handler.clock.mono()).std();
        // the body is not read meanwhile, so only the socket says whether the client is still there
        let _watched = (!self.body.is_empty()).then(|| self.client.activity.watch_end());
        let looks_again = tokio::select! {
            () = self.handler.picker.table_changed(table) => true,
            () = tokio::time::sleep(left.min(HOLD_RETRY)) => true,
            // no table comes any more
            () = self.handler.draining.cancelled() => false,
        };
        self.picks.begin_again();
        self.connects = 0;
        looks_again
    }

    fn unreached<T>(&self, reply: LocalReply) -> Result<T, LocalReply> {
        let request = self.target.route_request(&self.head);
        self.handler.picker.count_unreached(&self.handler.listener, &request, &self.picks);
        Err(reply)
    }

    /// Picks endpoints until one can be connected to.
    async fn connect(&mut self) -> Result<FoundEndpoint, LocalReply> {
        let mut refused: Vec<Rc<ThreadEndpoint>> = Vec::new();
        let mut reply = LocalReply::Unreachable;
        while self.connects < CONNECTS_MAX {
            let request = self.target.route_request(&self.head);
            let choice = match self.handler.picker.pick(&self.handler.listener, &request, &self.picks) {
                Err(NoChoice::Gate(gate)) => {
                    self.pass(gate).await?;
                    continue;
                }
                picked => picked?,
            };
            if refused.iter().any(|endpoint| Rc::ptr_eq(endpoint, choice.claim.endpoint())) {
                choice.claim.mark_unsent();
                return Err(reply);
            }
            if let Some(lease) = reuse(&choice, self.reuse_policy()) {
                return Ok((choice, lease, ConnectionOrigin::Reused));
            }
            self.connects += 1;
            let endpoint = Rc::clone(choice.claim.endpoint());
            match open(&choice, &self.handler.connections.shared.budget).await {
                Ok(lease) => {
                    let origin = ConnectionOrigin::New(choice.via);
                    if origin == ConnectionOrigin::TO_ENDPOINT {
                        endpoint.restore();
                    }
                    return Ok((choice, lease, origin));
                }
                // local ports run out for one address at a time: another endpoint may still be reachable
                Err(error) if error.is_local_shortage() => {
                    choice.claim.mark_unsent();
                    self.handler.connections.log.report_shortage(&error);
                    if matches!(error, ConnectError::NoRoom) {
                        return Err(LocalReply::Shortage);
                    }
                    self.handler.connections.shared.budget.press();
                    reply = LocalReply::Shortage;
                }
                Err(error) => {
                    let name = endpoint.name();
                    tracing::debug!(endpoint = name, error = &error as &dyn std::error::Error, "ejected");
                    choice.claim.mark_retried();
                    endpoint.eject(&*self.handler.clock);
                }
            }
            self.picks.add_tried(Rc::clone(&endpoint));
            refused.push(endpoint);
        }
        Err(reply)
    }

    fn reuse_policy(&self) -> ReusePolicy {
        if self.met_closed {
            ReusePolicy::Never
        } else if self.body.is_empty() && self.head.method.is_idempotent() {
            ReusePolicy::Any
        } else {
            ReusePolicy::Fresh
        }
    }
}

/// A place on a connection that the thread has.
fn reuse(choice: &HttpChoice, policy: ReusePolicy) -> Option<UpstreamLease> {
    let HttpChoice { connections, address, .. } = choice;
    match choice.protocol {
        UpstreamProtocol::Http1 => connections.http1.reuse(*address, policy).map(UpstreamLease::Http1),
        UpstreamProtocol::Http2 => connections.http2.reuse(*address, policy).map(UpstreamLease::Http2),
    }
}

/// A place on a new connection.
async fn open(choice: &HttpChoice, budget: &SocketBudget) -> Result<UpstreamLease, ConnectError> {
    let HttpChoice { connections, address, .. } = choice;
    match choice.protocol {
        UpstreamProtocol::Http1 => {
            let connection = connect(*address, budget).await?;
            Ok(UpstreamLease::Http1(connections.http1.lease(connection, *address)))
        }
        UpstreamProtocol::Http2 => {
            connections.http2.connect(*address, budget).await.map(UpstreamLease::Http2)
        }
    }
}
