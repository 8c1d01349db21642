//! Forwards a request to an endpoint that answers it.

use std::net::IpAddr;
use std::rc::Rc;

use http::header::{HeaderValue, LOCATION, STRICT_TRANSPORT_SECURITY};
use http::request::Parts;
use http::{Request, Response, Version};

use super::answer::Answer;
use super::attempt::{AnswerTimes, AttemptFailure, send};
use super::endpoint_pools::HttpPool;
use super::exchange::Exchange;
use super::handler::{HttpClient, HttpHandler};
use super::headers;
use super::local_reply::LocalReply;
use super::request_body::RequestBody;
use super::request_target::RequestTarget;
use super::response_body::{ResponseBody, UpstreamResponseBody};
use crate::balancer::choice::Choice;
use crate::balancer::limits::CONNECT_DEADLINE;
use crate::balancer::request_picks::RequestPicks;
use crate::balancer::table::UpstreamProtocol;
use crate::model::{EndpointVia, Mono};
use crate::routing::redirect::may_require_https;

pub(super) type HttpChoice = Choice<HttpPool>;

/// Returns the response of an endpoint, or a local reply that says why there is none.
pub(super) async fn forward(client: &HttpClient, head: Parts) -> Response<ResponseBody> {
    let mut exchange = Exchange::begin(&client.activity);
    let has_body = !client.source.is_body_read();
    let answered = match client.admit(&head.headers) {
        Ok(slot) => {
            exchange.slot = slot;
            match ForwardedRequest::new(client, head) {
                Ok(forwarded) => match forwarded.https_location() {
                    Some(location) => return redirect(&location, has_body, exchange),
                    None => forwarded.run().await,
                },
                Err(reply) => Err(reply),
            }
        }
        Err(refusal) => Err(refusal.into()),
    };
    match answered {
        Ok(response) => response.map(|body| ResponseBody::upstream(body, exchange)),
        Err(reply) => reply.response(has_body, exchange),
    }
}

/// Refuses a host whose certificate the connection does not have: a client that shares a connection among hosts connects again.
fn check_site(client: &HttpClient, host: &str) -> Result<(), LocalReply> {
    let Some(tls) = &client.peer.tls else { return Ok(()) };
    let is_same = host.is_empty()
        || *host == *tls.server_name
        || client.handler.picker.is_same_site(&tls.pattern, host);
    if is_same { Ok(()) } else { Err(LocalReply::Misdirected) }
}

/// The times of the route hold from now on; a call of gRPC may be silent for longer than an upload.
fn begin_waiting(client: &HttpClient, choice: &HttpChoice, request: &Request<RequestBody>) -> AnswerTimes {
    let waits = choice.waits;
    client.activity.set_waits(waits);
    if choice.protocol == UpstreamProtocol::Http2 && headers::is_grpc(request.headers()) {
        client.activity.begin_call();
        return AnswerTimes { timeout: choice.timeout, upload: waits.idle_timeout };
    }
    AnswerTimes { timeout: choice.timeout, upload: waits.upload_timeout }
}

/// The method stays as it was: 308.
fn redirect(location: &str, has_body: bool, exchange: Exchange) -> Response<ResponseBody> {
    let mut response = LocalReply::ToHttps.response(has_body, exchange);
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// How a connection was made, and so what it means when it ends without a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionOrigin {
    /// For an earlier request: it may have ended between the two.
    Reused,
    /// For this request. An endpoint that is reached directly has then seen the request. Docker's proxy of a published port
    /// accepts connections even if nothing listens in the container: the endpoint may not be there.
    New(EndpointVia),
}

impl ConnectionOrigin {
    pub(super) const TO_ENDPOINT: Self = Self::New(EndpointVia::Direct);
    pub(super) const TO_DOCKER_PROXY: Self = Self::New(EndpointVia::DockerProxy);
}

/// A request until its response has come.
pub(super) struct ForwardedRequest<'a> {
    pub(super) handler: &'a HttpHandler,
    pub(super) client: &'a HttpClient,
    pub(super) target: RequestTarget,
    pub(super) head: Parts,
    pub(super) body: RequestBody,
    /// Connects so far, successful or not.
    pub(super) connects: usize,
    pub(super) picks: RequestPicks,
    /// Whether a connection turned out closed: from then on none is reused.
    pub(super) met_closed: bool,
    /// Its client: the one that a trusted proxy names, if it came from one; `None` if that is no address.
    pub(super) address: Option<IpAddr>,
    /// Whether it was sent again because a connection closed on it: that happens once.
    was_repeated: bool,
    /// Whether the client uses TLS, with the balancer or with a trusted proxy in front.
    is_encrypted: bool,
}

impl<'a> ForwardedRequest<'a> {
    fn new(client: &'a HttpClient, mut head: Parts) -> Result<Self, LocalReply> {
        let handler = &*client.handler;
        let body = RequestBody::new(&client.source, &client.activity, &handler.clock);
        let target = RequestTarget::parse(&head)?;
        let address = client.address(&head.headers);
        check_site(client, &target.host)?;
        let is_encrypted = client.peer.is_encrypted(&head.headers);
        let upgrade = headers::requested_upgrade(&head).filter(|_| body.is_empty());
        head.version = Version::HTTP_11;
        head.extensions.clear();
        headers::for_endpoint(&mut head.headers, &client.peer, target.authority.clone());
        if !body.is_empty() {
            headers::announce_body(&mut head.headers);
        }
        if let Some(protocol) = upgrade {
            headers::announce_upgrade(&mut head.headers, protocol);
        }
        Ok(Self {
            handler,
            client,
            target,
            head,
            body,
            connects: 0,
            picks: handler.picker.begin(),
            met_closed: false,
            address,
            was_repeated: false,
            is_encrypted,
        })
    }

    /// Where the request is redirected to: HTTPS, if its route says so.
    fn https_location(&self) -> Option<String> {
        if self.is_encrypted || !may_require_https(self.target.path()) {
            return None;
        }
        let request = self.target.route_request(&self.head);
        let port = self.handler.picker.https_port(&self.handler.listener, &request)?;
        Some(self.target.https_location(port))
    }

    /// Sends the request until an endpoint answers, or must be assumed to have acted on it. Each turn but the first makes a
    /// new connection, and [`CONNECTS_MAX`] bounds those.
    async fn run(mut self) -> Result<Response<UpstreamResponseBody>, LocalReply> {
        loop {
            let found = self.find_endpoint().await;
            let (choice, lease, origin) = found.map_err(|reply| reply.with_page(self.picks.gate()))?;
            self.head.uri = self.target.forwarded(choice.strip)?;
            let unedited = choice.gate.as_ref().and_then(|gate| gate.edit_request(&mut self.head.headers));
            self.body.set_claim(&choice.claim, choice.gate.as_ref());
            self.client.set_gate(choice.gate.clone());
            let may_repeat = self.may_repeat(origin);
            let request = Request::from_parts(self.head, self.body);
            let sent_at = (origin == ConnectionOrigin::TO_DOCKER_PROXY).then(|| self.handler.clock.mono());
            let times = begin_waiting(self.client, &choice, &request);
            let failure = match send(lease, request, may_repeat, times, self.client).await {
                Ok(answer) => {
                    return Ok(self.handler.answered(choice, origin, answer, self.client.peer.tls.is_some()));
                }
                Err(failure) => failure,
            };
            (self.head, self.body) = match failure {
                AttemptFailure::Unsent(request) => {
                    choice.claim.mark_unsent();
                    if origin == ConnectionOrigin::TO_DOCKER_PROXY {
                        choice.claim.endpoint().eject(&*self.handler.clock);
                        self.picks.add_tried(Rc::clone(choice.claim.endpoint()));
                    }
                    request.into_parts()
                }
                AttemptFailure::HungUp(spare) => {
                    let is_absent = sent_at.is_some_and(|at| self.handler.was_hung_up_at_once(at));
                    if is_absent {
                        choice.claim.endpoint().eject(&*self.handler.clock);
                    }
                    let is_unseen = is_absent || origin == ConnectionOrigin::Reused;
                    let Some(head) = spare.filter(|_| is_unseen) else {
                        choice.claim.mark_failed();
                        return Err(LocalReply::UpstreamBroken.with_page(self.picks.gate()));
                    };
                    choice.claim.mark_retried();
                    self.was_repeated = true;
                    self.picks.add_tried(Rc::clone(choice.claim.endpoint()));
                    (head, RequestBody::Empty)
                }
                AttemptFailure::Final(reply) => {
                    if reply.blames_endpoint() {
                        choice.claim.mark_failed();
                    }
                    return Err(reply.with_page(self.picks.gate()));
                }
            };
            if let Some(headers) = unedited {
                self.head.headers = headers;
            }
            self.met_closed = true;
        }
    }

    /// Whether it may be sent again if the connection ends without a response. That may mean once that no endpoint saw the
    /// request: one that ends every connection must not receive it again and again.
    fn may_repeat(&self, origin: ConnectionOrigin) -> bool {
        let is_repeatable = self.head.method.is_idempotent() && self.body.is_empty();
        origin != ConnectionOrigin::TO_ENDPOINT && !self.was_repeated && is_repeatable
    }
}

impl HttpHandler {
    /// Counts a response.
    fn answered(
        &self,
        choice: HttpChoice,
        origin: ConnectionOrigin,
        answer: Answer,
        is_tls: bool,
    ) -> Response<UpstreamResponseBody> {
        let Answer { mut head, content } = answer;
        let HttpChoice { claim, picked_at, gate, hsts, .. } = choice;
        if let Some(hsts) = hsts.filter(|_| is_tls).and_then(|hsts| HeaderValue::from_str(&hsts).ok()) {
            head.headers.insert(STRICT_TRANSPORT_SECURITY, hsts);
        }
        if let Some(gate) = &gate {
            gate.edit_response(&mut head.headers);
        }
        if origin == ConnectionOrigin::TO_DOCKER_PROXY {
            claim.endpoint().restore();
        }
        if let Some(picked_at) = picked_at {
            claim.record_latency(self.clock.micros().saturating_sub(picked_at));
        }
        if head.status.is_server_error() {
            claim.mark_failed();
        }
        Response::from_parts(head, UpstreamResponseBody::new(content, claim, gate))
    }

    /// Whether Docker's proxy hung up on a request because nothing listens in the container: it does so at once. If it takes
    /// longer, a process in the container has accepted the request.
    fn was_hung_up_at_once(&self, sent_at: Mono) -> bool {
        self.clock.mono().since(sent_at).std() < CONNECT_DEADLINE
    }
}
