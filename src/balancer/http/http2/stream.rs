//! Serves one stream of a client's connection: a request and its response.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::request::Parts;
use http::{Method, Request, Response};

use super::client_connection::StreamPlace;
use super::client_stream::ClientStream;
use super::request_head;
use super::response::{BrokenStream, write_response};
use crate::balancer::http::activity::ClientActivity;
use crate::balancer::http::deadline_watch::DeadlineWatch;
use crate::balancer::http::forward::forward;
use crate::balancer::http::forwarding::ForwardingPeer;
use crate::balancer::http::handler::{HttpClient, HttpHandler};
use crate::balancer::http::request_source::RequestSource;
use crate::balancer::http::response_body::ResponseBody;
use crate::balancer::http::upload_watch::ClientOverdue;
use crate::model::Millis;

/// Serves a stream until its response has been written, its client has given it up, or a limit is exceeded.
pub(super) async fn serve_stream(
    handler: Rc<HttpHandler>,
    peer: Rc<ForwardingPeer>,
    request: Request<RecvStream>,
    mut reply: SendResponse<Bytes>,
    place: StreamPlace,
) {
    let (mut head, body) = request.into_parts();
    let announced = match request_head::rewrite(&mut head, !body.is_end_stream()) {
        Ok(announced) => announced,
        Err(error) => {
            handler.connections.log.report_bad_request(&error);
            return reply.send_reset(Reason::PROTOCOL_ERROR);
        }
    };
    let stall = Millis::from(handler.limits.stall);
    let activity =
        Rc::new(ClientActivity::new(Arc::clone(&handler.clock), stall, Rc::clone(&handler.requests)));
    let stream = ClientStream::new(body, announced, reply);
    let served = ServedStream { handler, activity, stream: Rc::new(stream), place };
    served.serve(peer, head).await;
}

struct ServedStream {
    handler: Rc<HttpHandler>,
    activity: Rc<ClientActivity>,
    stream: Rc<ClientStream>,
    place: StreamPlace,
}

impl ServedStream {
    async fn serve(self, peer: Rc<ForwardingPeer>, head: Parts) {
        let client = HttpClient {
            handler: Rc::clone(&self.handler),
            activity: Rc::clone(&self.activity),
            source: RequestSource::Http2(Rc::clone(&self.stream)),
            counts_for: self.place.is_further().then(|| peer.ip),
            peer,
            gate: RefCell::default(),
        };
        let mut exchange = pin!(self.exchange(&client, head));
        let mut watch = pin!(DeadlineWatch::new(&self.activity, self.handler.limits));
        let is_overdue = std::future::poll_fn(|cx| {
            loop {
                if exchange.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(false);
                }
                match ready!(watch.as_mut().poll(cx)) {
                    ClientOverdue::Cut => return Poll::Ready(true),
                    // the request's future, which is polled above, answers it
                    ClientOverdue::Answered => {}
                }
            }
        })
        .await;
        if is_overdue {
            self.stream.reply().send_reset(Reason::CANCEL);
        }
        self.place.note_waits(self.activity.waits());
    }

    async fn exchange(&self, client: &HttpClient, head: Parts) {
        let answers_head = head.method == Method::HEAD;
        let Some(response) = self.response(client, head).await else {
            self.place.note_cancelled();
            return;
        };
        let date = self.handler.date.at(self.handler.clock.wall());
        match write_response(&self.stream, &self.activity, answers_head, response, date).await {
            Ok(()) => self.place.note_answered(),
            Err(BrokenStream) => tracing::trace!("a response was cut"),
        }
    }

    /// The response; `None` if the client gives up before there is one.
    async fn response(&self, client: &HttpClient, head: Parts) -> Option<Response<ResponseBody>> {
        let mut forwarding = pin!(forward(client, head));
        std::future::poll_fn(|cx| {
            let answered = forwarding.as_mut().poll(cx);
            // a client that breaks off its body is answered 400, if it is still there
            if self.stream.poll_gone(cx).is_ready() {
                return Poll::Ready(None);
            }
            answered.map(Some)
        })
        .await
    }
}
