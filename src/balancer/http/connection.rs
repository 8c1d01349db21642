//! Serves a client's connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::activity::ClientActivity;
use super::client_socket::ClientSocket;
use super::forward::{HttpClient, HttpHandler, forward};
use super::forwarding::ForwardingPeer;
use super::local_reply::LocalReply;
use super::upload_watch::ClientOverdue;
use crate::balancer::limits::{BalancerLimits, HEADERS_MAX_BYTES};
use crate::balancer::listener::{Admission, ConnectionHandler, ConnectionRefusal};
use crate::model::{Millis, Mono};

impl ConnectionHandler for HttpHandler {
    /// Serves until one side ends the connection, a limit is exceeded, or the thread drains.
    async fn serve(self: Rc<Self>, stream: TcpStream, admission: Admission) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a client disconnected at once");
            return;
        }
        let stall = Millis::from(self.limits.stall);
        let requests = Rc::clone(&self.requests);
        let activity = Rc::new(ClientActivity::new(Arc::clone(&self.clock), stall, requests));
        admission.keep_evictable(Rc::<ClientActivity>::clone(&activity));
        let client = Rc::new(HttpClient {
            handler: Rc::clone(&self),
            activity: Rc::clone(&activity),
            peer: ForwardingPeer::new(admission.peer(), admission.is_trusted()),
        });
        let service = service_fn(|request| {
            let client = Rc::clone(&client);
            async move { Ok::<_, Infallible>(forward(client, request).await) }
        });
        let io = TokioIo::new(ClientSocket { stream, activity: Rc::clone(&activity) });
        // the watch below replaces hyper's timer: it distinguishes the pause between requests from slow headers
        let mut connection = pin!(
            Builder::new()
                .header_read_timeout(None)
                .max_header_size(HEADERS_MAX_BYTES)
                .max_buf_size(HEADERS_MAX_BYTES)
                .serve_connection(io, service)
        );
        let mut watch = pin!(DeadlineWatch::new(&activity, self.limits));
        let mut draining = pin!(self.draining.cancelled());
        let mut is_ending = false;
        std::future::poll_fn(|cx| {
            activity.set_task(cx.waker());
            // what the client has sent already is served below, before the watch closes an idle connection
            if !activity.is_closing() && draining.as_mut().poll(cx).is_ready() {
                activity.close();
            }
            if !is_ending && activity.is_evicted() {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
            loop {
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    if let Err(error) = ended {
                        tracing::trace!(%error, "a client's connection broke");
                    }
                    return Poll::Ready(());
                }
                match ready!(watch.as_mut().poll(cx)) {
                    ClientOverdue::Cut => return Poll::Ready(()),
                    // the request's future, which the connection polls, answers it
                    ClientOverdue::Answered => {}
                }
            }
        })
        .await;
    }

    fn refusal(&self, refusal: ConnectionRefusal) -> Vec<u8> {
        LocalReply::from(refusal).bytes()
    }
}

/// Resolves whenever the client is overdue. Its timer is reset only if a deadline comes closer than the
/// timer, so that a fast request costs none.
struct DeadlineWatch<'a> {
    activity: &'a ClientActivity,
    limits: BalancerLimits,
    timer: Pin<Box<tokio::time::Sleep>>,
    set_to: Mono,
}

impl<'a> DeadlineWatch<'a> {
    fn new(activity: &'a ClientActivity, limits: BalancerLimits) -> Self {
        let first = limits.stall.min(limits.idle);
        let set_to = activity.clock.mono().after(Millis::from(first));
        Self { activity, limits, timer: Box::pin(tokio::time::sleep(first)), set_to }
    }
}

impl Future for DeadlineWatch<'_> {
    type Output = ClientOverdue;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ClientOverdue> {
        let this = self.get_mut();
        let deadline = this.activity.deadline(&this.limits);
        if deadline.is_some_and(|deadline| deadline < this.set_to) {
            this.set(deadline, this.activity.clock.mono());
        }
        loop {
            ready!(this.timer.as_mut().poll(cx));
            let now = this.activity.clock.mono();
            let overdue = this.activity.overdue(&this.limits, now);
            this.set(this.activity.deadline(&this.limits), now);
            if let Some(overdue) = overdue {
                return Poll::Ready(overdue);
            }
        }
    }
}

impl DeadlineWatch<'_> {
    /// Another task reads the body, and does not wake this one when it waits for the client.
    fn set(&mut self, deadline: Option<Mono>, now: Mono) {
        let check = now.after(Millis::from(self.limits.stall.min(self.activity.upload_interval())));
        self.set_to = deadline.map_or(check, |deadline| deadline.min(check));
        self.timer.set(tokio::time::sleep(self.set_to.since(now).std()));
    }
}
