//! Serves a client's connection.

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Response, StatusCode};
use tokio::net::TcpStream;

use super::activity::ClientActivity;
use super::client_socket::ClientSocket;
use super::codec::{HeadError, RequestHead};
use super::exchange::Exchange;
use super::forward::forward;
use super::forwarding::ForwardingPeer;
use super::handler::{HttpClient, HttpHandler};
use super::local_reply::LocalReply;
use super::response_body::{EndpointTunnel, ResponseBody};
use super::response_writer::{ResponseEnd, ResponseRules, write_response};
use super::tunnel::run_tunnel;
use super::upload_watch::ClientOverdue;
use crate::balancer::limits::BalancerLimits;
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
        let client = HttpClient {
            handler: Rc::clone(&self),
            activity: Rc::clone(&activity),
            socket: Rc::new(ClientSocket::new(stream, Rc::clone(&activity))),
            peer: ForwardingPeer::new(admission.peer(), admission.is_trusted()),
        };
        let mut requests = pin!(serve_requests(&client));
        let mut watch = pin!(DeadlineWatch::new(&activity, self.limits));
        let mut draining = pin!(self.draining.cancelled());
        let tunnel = std::future::poll_fn(|cx| {
            activity.set_task(cx.waker());
            // what the client has sent already is served below, before the watch closes an idle connection
            if !activity.is_closing() && draining.as_mut().poll(cx).is_ready() {
                activity.close();
            }
            loop {
                if let Poll::Ready(tunnel) = requests.as_mut().poll(cx) {
                    return Poll::Ready(tunnel);
                }
                match ready!(watch.as_mut().poll(cx)) {
                    ClientOverdue::Cut => return Poll::Ready(None),
                    // the request's future, which is polled above, answers it
                    ClientOverdue::Answered => {}
                }
            }
        })
        .await;
        if let Some(tunnel) = tunnel {
            run_tunnel(&client, tunnel, &admission).await;
        }
    }

    fn refusal(&self, refusal: ConnectionRefusal) -> Vec<u8> {
        LocalReply::from(refusal).bytes()
    }
}

/// Serves one request after another, until the connection ends or switches to another protocol.
async fn serve_requests(client: &HttpClient) -> Option<EndpointTunnel> {
    while let Some(head) = client.socket.next_head().await {
        let end = match head {
            Ok(head) => serve_request(client, head).await,
            Err(error) => refuse_head(client, error).await,
        };
        match end {
            RequestEnd::KeepAlive => {}
            RequestEnd::Close => {
                client.socket.close().await;
                return None;
            }
            RequestEnd::Switched(tunnel) => return Some(tunnel),
            RequestEnd::Broken => return None,
        }
    }
    None
}

/// What becomes of the connection after a request.
enum RequestEnd {
    KeepAlive,
    /// It speaks another protocol.
    Switched(EndpointTunnel),
    /// The response says so, or the rest of the request is not read.
    Close,
    Broken,
}

async fn serve_request(client: &HttpClient, head: RequestHead) -> RequestEnd {
    let rules = ResponseRules::new(&head.parts);
    let Some(mut response) = response(client, head.parts).await else { return RequestEnd::Broken };
    let is_switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let is_websocket = response.headers().get(UPGRADE).is_some_and(is_websocket);
    let tunnel = if is_switching { response.body_mut().take_tunnel(is_websocket) } else { None };
    match (respond(client, rules, response, head.keeps_alive).await, tunnel) {
        (RequestEnd::Broken, _) => RequestEnd::Broken,
        (_, Some(tunnel)) => RequestEnd::Switched(tunnel),
        (end, None) => end,
    }
}

fn is_websocket(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
}

/// The response; `None` if the client leaves before there is one.
async fn response(client: &HttpClient, head: Parts) -> Option<Response<ResponseBody>> {
    let mut forwarding = pin!(forward(client, head));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(response) = forwarding.as_mut().poll(cx) {
            return Poll::Ready(Some(response));
        }
        // interim responses
        if let Poll::Ready(Err(_)) = client.socket.poll_flush(cx) {
            return Poll::Ready(None);
        }
        client.socket.poll_gone(cx).map(|()| None)
    })
    .await
}

async fn refuse_head(client: &HttpClient, error: HeadError) -> RequestEnd {
    client.handler.connections.log.report_bad_request(&error);
    let reply = LocalReply::BadHead(error);
    let response = reply.response(false, Exchange::begin(&client.activity));
    client.activity.end_body(false);
    respond(client, ResponseRules::UNREAD, response, false).await
}

async fn respond(
    client: &HttpClient,
    rules: ResponseRules,
    response: Response<ResponseBody>,
    keeps_alive: bool,
) -> RequestEnd {
    let keeps_alive = keeps_alive && !client.activity.is_last_request();
    let date = client.handler.date.at(client.handler.clock.wall());
    match write_response(&client.socket, rules, response, keeps_alive, date).await {
        ResponseEnd::Whole { keeps_alive } if keeps_alive && client.socket.is_body_read() => {
            RequestEnd::KeepAlive
        }
        ResponseEnd::Whole { .. } => RequestEnd::Close,
        ResponseEnd::Broken => RequestEnd::Broken,
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
