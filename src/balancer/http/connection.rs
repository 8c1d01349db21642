//! Serves a client's connection.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};

use http::header::{HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Response, StatusCode};
use tokio::net::TcpStream;

use super::activity::ClientActivity;
use super::client_socket::ClientSocket;
use super::codec::{HeadError, RequestHead};
use super::deadline_watch::DeadlineWatch;
use super::exchange::Exchange;
use super::forward::forward;
use super::forwarding::ForwardingPeer;
use super::handler::{HttpClient, HttpHandler};
use super::http2::{Preread, serve_http2};
use super::local_reply::LocalReply;
use super::request_source::RequestSource;
use super::response_body::{EndpointTunnel, ResponseBody};
use super::response_writer::{ResponseEnd, ResponseRules, write_response};
use super::tunnel::run_tunnel;
use super::upload_watch::ClientOverdue;
use crate::balancer::client_transport::ClientTransport;
use crate::balancer::listener::{Admission, ConnectionHandler, ConnectionRefusal};
use crate::balancer::relay;
use crate::balancer::tls::TlsPeer;
use crate::model::Millis;

impl ConnectionHandler for HttpHandler {
    async fn serve(self: Rc<Self>, stream: TcpStream, admission: Admission) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a client disconnected at once");
            return;
        }
        let activity = self.begin(&admission);
        self.serve_stream(ClientTransport::Plain(stream), None, activity, admission).await;
    }

    fn refusal(&self, refusal: ConnectionRefusal) -> Vec<u8> {
        LocalReply::from(refusal).bytes()
    }
}

impl HttpHandler {
    /// Watches a connection that begins.
    pub(super) fn begin(&self, admission: &Admission) -> Rc<ClientActivity> {
        let stall = Millis::from(self.limits.stall);
        let requests = Rc::clone(&self.requests);
        let activity = Rc::new(ClientActivity::new(Arc::clone(&self.clock), stall, requests));
        admission.keep_evictable(Rc::<ClientActivity>::clone(&activity));
        activity
    }

    /// Serves until one side ends the connection, a limit is exceeded, or the thread drains.
    pub(super) async fn serve_stream(
        self: Rc<Self>,
        stream: ClientTransport,
        tls: Option<TlsPeer>,
        activity: Rc<ClientActivity>,
        admission: Admission,
    ) {
        let peer = Rc::new(ForwardingPeer::new(admission.peer(), admission.is_trusted(), tls));
        if stream.has_agreed_on_http2() {
            if let Err(error) = relay::prepare(stream.tcp()) {
                return tracing::debug!(%error, "a client disconnected at once");
            }
            return serve_http2(&self, stream, &peer, &admission).await;
        }
        let socket = Rc::new(ClientSocket::new(stream, Rc::clone(&activity)));
        let client = HttpClient {
            handler: Rc::clone(&self),
            activity: Rc::clone(&activity),
            source: RequestSource::Http1(Rc::clone(&socket)),
            counts_for: None,
            peer,
            gate: RefCell::default(),
        };
        let mut requests = pin!(serve_requests(&client, &socket));
        let mut watch = pin!(DeadlineWatch::new(&activity, self.limits));
        let mut draining = pin!(self.draining.cancelled());
        let next = std::future::poll_fn(|cx| {
            activity.set_task(cx.waker());
            // what the client has sent already is served below, before the watch closes an idle connection
            if !activity.is_closing() && draining.as_mut().poll(cx).is_ready() {
                activity.close();
            }
            loop {
                if let Poll::Ready(next) = requests.as_mut().poll(cx) {
                    return Poll::Ready(next);
                }
                match ready!(watch.as_mut().poll(cx)) {
                    ClientOverdue::Cut => return Poll::Ready(None),
                    // the request's future, which is polled above, answers it
                    ClientOverdue::Answered => {}
                }
            }
        })
        .await;
        match next {
            None => socket.announce_end(),
            Some(NextProtocol::Tunnel(tunnel)) => run_tunnel(&client, &socket, tunnel, &admission).await,
            Some(NextProtocol::Http2) => {
                if let Some((stream, bytes)) = socket.take_stream() {
                    if let Err(error) = relay::prepare(stream.tcp()) {
                        return tracing::debug!(%error, "a client disconnected at once");
                    }
                    serve_http2(&self, Preread::new(stream, bytes), &client.peer, &admission).await;
                }
            }
        }
    }
}

/// What a connection speaks from now on.
enum NextProtocol {
    /// What its endpoint has agreed to with the client.
    Tunnel(EndpointTunnel),
    /// The client began with it, without TLS and without asking (RFC 9113, section 3.3).
    Http2,
}

/// Serves one request after another, until the connection ends or speaks another protocol.
async fn serve_requests(client: &HttpClient, socket: &Rc<ClientSocket>) -> Option<NextProtocol> {
    let mut is_first = true;
    while let Some(head) = socket.next_head().await {
        let end = match head {
            Ok(head) => serve_request(client, socket, head).await,
            Err(HeadError::Http2) if is_first => return Some(NextProtocol::Http2),
            Err(error) => refuse_head(client, socket, error).await,
        };
        match end {
            RequestEnd::KeepAlive => is_first = false,
            RequestEnd::Close => {
                socket.close().await;
                return None;
            }
            RequestEnd::Switched(tunnel) => return Some(NextProtocol::Tunnel(tunnel)),
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

async fn serve_request(client: &HttpClient, socket: &Rc<ClientSocket>, head: RequestHead) -> RequestEnd {
    let rules = ResponseRules::new(&head.parts);
    let Some(mut response) = response(client, socket, head.parts).await else { return RequestEnd::Broken };
    let is_switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let is_websocket = response.headers().get(UPGRADE).is_some_and(is_websocket);
    let tunnel = if is_switching { response.body_mut().take_tunnel(is_websocket) } else { None };
    match (respond(client, socket, rules, response, head.keeps_alive).await, tunnel) {
        (RequestEnd::Broken, _) => RequestEnd::Broken,
        (_, Some(tunnel)) => RequestEnd::Switched(tunnel),
        (end, None) => end,
    }
}

fn is_websocket(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
}

/// The response; `None` if the client leaves before there is one.
async fn response(client: &HttpClient, socket: &ClientSocket, head: Parts) -> Option<Response<ResponseBody>> {
    let mut forwarding = pin!(forward(client, head));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(response) = forwarding.as_mut().poll(cx) {
            return Poll::Ready(Some(response));
        }
        // interim responses
        if let Poll::Ready(Err(_)) = socket.poll_flush(cx) {
            return Poll::Ready(None);
        }
        socket.poll_gone(cx).map(|()| None)
    })
    .await
}

async fn refuse_head(client: &HttpClient, socket: &Rc<ClientSocket>, error: HeadError) -> RequestEnd {
    client.handler.connections.log.report_bad_request(&error);
    let reply = LocalReply::BadHead(error);
    let response = reply.response(false, Exchange::begin(&client.activity));
    client.activity.end_body(false);
    respond(client, socket, ResponseRules::UNREAD, response, false).await
}

async fn respond(
    client: &HttpClient,
    socket: &Rc<ClientSocket>,
    rules: ResponseRules,
    response: Response<ResponseBody>,
    keeps_alive: bool,
) -> RequestEnd {
    let keeps_alive = keeps_alive && !client.activity.is_last_request();
    let date = client.handler.date.at(client.handler.clock.wall());
    match write_response(socket, rules, response, keeps_alive, date).await {
        ResponseEnd::Whole { keeps_alive } if keeps_alive && socket.is_body_read() => RequestEnd::KeepAlive,
        ResponseEnd::Whole { .. } => RequestEnd::Close,
        ResponseEnd::Broken => RequestEnd::Broken,
    }
}
