//! A request's way to an endpoint that answers it.

use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Version};

use super::answer::Answer;
use super::body::{Passing, Progress, RequestBody, ResponseBody, Upload};
use super::connection::Activity;
use super::headers;
use super::target::Wanted;
use crate::balancer::limits::{ATTEMPTS_MAX, CONNECT_DEADLINE, UPLOAD_STALL};
use crate::balancer::upstream::{Lease, Made, Reuse, Upstream};
use crate::balancer::worker::{Choice, Worker};
use crate::model::Mono;

/// Who asks.
pub(super) struct Client {
    pub(super) worker: Rc<Worker>,
    pub(super) activity: Rc<Activity>,
    /// For X-Forwarded-For.
    pub(super) address: HeaderValue,
}

/// Answers a request: with what an endpoint says, else with why none does.
pub(super) async fn forward(client: Rc<Client>, request: Request<Incoming>) -> Response<ResponseBody> {
    let exchange = client.activity.begin();
    match Journey::start(&client, request) {
        Ok(journey) => match journey.run().await {
            Ok(response) => response.map(|passing| ResponseBody::passing(passing, exchange)),
            Err(answer) => answer.response(exchange),
        },
        Err(answer) => answer.response(exchange),
    }
}

/// A request until its response has come.
struct Journey<'a> {
    worker: &'a Worker,
    wanted: Wanted,
    head: Parts,
    body: RequestBody,
    /// Endpoints that this request has failed at.
    tried: Vec<Rc<Upstream>>,
    /// Whether a connection turned out closed: from then on only new ones are taken.
    met_closed: bool,
    /// Whether it was sent again because a connection was closed on it: that happens once.
    repeated: bool,
}

/// What became of one attempt that brought no response.
enum Failure {
    /// No byte was sent; the request is whole.
    Unsent(Request<RequestBody>),
    /// It was sent, and the connection was closed before a byte of a response came. With its head where it may be sent again.
    HungUp(Option<Parts>),
    /// Nothing more can be done.
    Final(Answer),
}

impl<'a> Journey<'a> {
    fn start(client: &'a Client, request: Request<Incoming>) -> Result<Self, Answer> {
        let (mut head, body) = request.into_parts();
        let worker = &*client.worker;
        let body = RequestBody::new(body, &client.activity, &worker.clock);
        let wanted = Wanted::of(&head)?;
        head.version = Version::HTTP_11;
        head.extensions.clear();
        headers::for_endpoint(&mut head.headers, &client.address, wanted.authority.clone());
        if !body.is_empty() {
            headers::announce_body(&mut head.headers);
        }
        Ok(Self { worker, wanted, head, body, tried: Vec::new(), met_closed: false, repeated: false })
    }

    async fn run(mut self) -> Result<Response<Passing>, Answer> {
        for _ in 0..ATTEMPTS_MAX {
            let (choice, lease) = self.connect().await.map_err(|answer| self.unanswered(answer))?;
            let Choice { upstream, claim, chosen, timeout, strip, .. } = choice;
            self.head.uri = self.wanted.forwarded(strip)?;
            self.body.claimed(&claim);
            let made = lease.made;
            let can_repeat = self.may_be_elsewhere(made) && self.is_repeatable();
            let spare = can_repeat.then(|| self.head.clone());
            let request = Request::from_parts(self.head, self.body);
            let sent_at = (made == Made::ByProxy).then(|| self.worker.clock.mono());
            match send(lease, request, spare, timeout).await {
                Ok((response, lease)) => {
                    if made == Made::ByProxy {
                        upstream.note_reached();
                    }
                    if let Some(chosen) = chosen {
                        claim.answered(self.worker.clock.micros().saturating_sub(chosen));
                    }
                    if response.status().is_server_error() {
                        claim.failed();
                    }
                    return Ok(response.map(|body| Passing::new(body, lease, claim)));
                }
                Err(Failure::Unsent(request)) => {
                    claim.unsent();
                    self.met_closed = true;
                    if made == Made::ByProxy {
                        upstream.skip_for_a_while();
                        self.tried.push(upstream);
                    }
                    (self.head, self.body) = request.into_parts();
                }
                Err(Failure::HungUp(spare)) => {
                    let found_nobody = sent_at.is_some_and(|at| found_nobody(self.worker, at));
                    if found_nobody {
                        upstream.skip_for_a_while();
                    }
                    let Some(head) = spare.filter(|_| found_nobody || made == Made::Before) else {
                        claim.failed();
                        return Err(Answer::Broken);
                    };
                    claim.passed_on();
                    self.met_closed = true;
                    self.repeated = true;
                    self.tried.push(upstream);
                    (self.head, self.body) = (head, RequestBody::Empty);
                }
                Err(Failure::Final(answer)) => {
                    if answer.blames_endpoint() {
                        claim.failed();
                    }
                    return Err(answer);
                }
            }
        }
        Err(self.unanswered(Answer::Unreachable))
    }

    /// Counts it as failed: there is no endpoint to do so with its claim.
    fn unanswered(&self, answer: Answer) -> Answer {
        self.worker.unanswered(&self.wanted.to_route(&self.head));
        answer
    }

    /// Chooses endpoints until one can be connected to.
    async fn connect(&mut self) -> Result<(Choice, Lease), Answer> {
        let mut refused: Vec<Rc<Upstream>> = Vec::new();
        let mut answer = Answer::Unreachable;
        while refused.len() < ATTEMPTS_MAX {
            let choice = self.worker.choose(&self.wanted.to_route(&self.head), &self.tried)?;
            if refused.iter().any(|upstream| Rc::ptr_eq(upstream, &choice.upstream)) {
                choice.claim.unsent();
                return Err(answer);
            }
            let reuse = match () {
                () if self.met_closed => Reuse::Never,
                () if self.body.is_empty() => Reuse::Any,
                () => Reuse::Fresh,
            };
            match Rc::clone(&choice.upstream).lease(choice.address, choice.via, reuse).await {
                Ok(lease) => return Ok((choice, lease)),
                // Ports of our own run out for one address at a time: another endpoint may still be reached.
                Err(error) if error.is_our_shortage() => {
                    choice.claim.unsent();
                    self.worker.ran_short(&error);
                    answer = Answer::Short;
                }
                Err(error) => {
                    let endpoint = choice.upstream.seat.target.id.as_str();
                    tracing::debug!(endpoint, error = &error as &dyn std::error::Error, "endpoint skipped");
                    choice.claim.passed_on();
                }
            }
            self.tried.push(Rc::clone(&choice.upstream));
            refused.push(choice.upstream);
        }
        Err(answer)
    }

    /// Whether a connection's end without an answer may mean that nobody saw the request. Believed once: a request that ends
    /// whoever sees it must not go round.
    fn may_be_elsewhere(&self, made: Made) -> bool {
        match made {
            Made::Before | Made::ByProxy => !self.repeated,
            Made::Directly => false,
        }
    }

    /// Whether sending it twice does what sending it once does, and can be done.
    fn is_repeatable(&self) -> bool {
        let is_safe = matches!(self.head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        is_safe && self.body.is_empty()
    }
}

/// Whether a proxy that was sent a request then, and has hung up now, found nobody: it does so at once. What takes longer
/// was begun by somebody.
fn found_nobody(worker: &Worker, sent_at: Mono) -> bool {
    worker.clock.mono().since(sent_at).std() < CONNECT_DEADLINE
}

/// Sends a request and waits for the response's headers.
async fn send(
    mut lease: Lease,
    request: Request<RequestBody>,
    spare: Option<Parts>,
    timeout: Duration,
) -> Result<(Response<Incoming>, Lease), Failure> {
    let progress = request.body().progress();
    let sending = lease.sender.try_send_request(request);
    let sent = match &progress {
        None => tokio::time::timeout(timeout, sending).await.map_err(|_| Failure::Final(Answer::Late))?,
        Some(progress) => tokio::select! {
            sent = sending => sent,
            () = too_late(progress, timeout) => return Err(Failure::Final(Answer::Late)),
        },
    };
    let is_broken = progress.is_some_and(|progress| progress.is_broken());
    let mut response = sent.map_err(|error| failure(error, spare, is_broken))?;
    // an upgrade was never asked for
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::Final(Answer::Broken));
    }
    *response.version_mut() = Version::HTTP_11;
    headers::strip_hop_by_hop(response.headers_mut());
    Ok((response, lease))
}

/// What a request without a response means. `is_broken` says that its client broke off the body: whatever the endpoint
/// then does with half a request, closing included, is not its fault.
fn failure(mut error: TrySendError<Request<RequestBody>>, spare: Option<Parts>, is_broken: bool) -> Failure {
    if is_broken {
        return Failure::Final(Answer::BodyBroken);
    }
    if let Some(request) = error.take_message() {
        return Failure::Unsent(request);
    }
    let error = error.into_error();
    // of what is sent, only the body can fail before it is on the wire: the client did not send it to its end
    if error.is_user() {
        return Failure::Final(Answer::BodyBroken);
    }
    tracing::debug!(error = &error as &dyn std::error::Error, "an endpoint broke off");
    match is_closed(&error) {
        true => Failure::HungUp(spare),
        false => Failure::Final(Answer::Broken), // bytes that are not HTTP
    }
}

/// Whether the connection ended before a byte of a response.
fn is_closed(error: &hyper::Error) -> bool {
    use std::error::Error;
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    error.is_incomplete_message() || error.is_canceled() || error.is_closed() || source.is_some()
}

/// Resolves when an endpoint took too long: to take in the body, or after its last byte to answer.
async fn too_late(progress: &Progress, timeout: Duration) {
    let mut seen = progress.upload();
    while seen != Upload::Over {
        tokio::select! {
            () = progress.over() => {}
            () = tokio::time::sleep(UPLOAD_STALL) => {
                if progress.upload() == seen {
                    return;
                }
            }
        }
        seen = progress.upload();
    }
    tokio::time::sleep(timeout).await;
}
