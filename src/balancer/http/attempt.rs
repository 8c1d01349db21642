//! Sends a request to one endpoint, and says what a missing response means.

use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use http::request::Parts;

use super::answer::{Answer, NoAnswer};
use super::codec::ResponseHead;
use super::endpoint_pools::UpstreamLease;
use super::handler::HttpClient;
use super::http1_attempt::Http1Attempt;
use super::http2::{Http2Attempt, Http2Head};
use super::local_reply::LocalReply;
use super::request_body::{RequestBody, UploadProgress, UploadState};
use super::upload::UploadError;
use super::upstream::NoResponse;
use crate::model::Millis;

/// What became of an attempt that brought no response.
pub(super) enum AttemptFailure {
    /// The endpoint has seen nothing of it; the request is whole.
    Unsent(Request<RequestBody>),
    /// It was sent, and the connection closed before a byte of a response came. With its head if it may be sent again.
    HungUp(Option<Parts>),
    /// It must not be tried again.
    Final(LocalReply),
}

/// How long an answer may take.
#[derive(Clone, Copy)]
pub(super) struct AnswerTimes {
    /// From the request's last byte to the response's headers.
    pub(super) timeout: Duration,
    /// The longest pause of either side in the request's body.
    pub(super) upload: Millis,
}

/// Sends a request and waits for the response's headers.
pub(super) async fn send(
    lease: UpstreamLease,
    request: Request<RequestBody>,
    may_repeat: bool,
    times: AnswerTimes,
    client: &HttpClient,
) -> Result<Answer, AttemptFailure> {
    let progress = request.body().progress();
    let (head, body) = request.into_parts();
    let mut attempt = Attempt::new(&head, body, lease);
    let answering = std::future::poll_fn(|cx| attempt.poll_answer(client, cx));
    let answered = match &progress {
        None => tokio::time::timeout(times.timeout, answering)
            .await
            .map_err(|_| LocalReply::UpstreamTimeout(times.timeout.into())),
        Some(progress) => tokio::select! {
            answered = answering => Ok(answered),
            reply = overdue(progress, times, client) => Err(reply),
            () = client.activity.upload_timed_out() => Err(LocalReply::UploadTimeout(times.upload)),
        },
    };
    let answered = match answered {
        Ok(answered) => answered,
        Err(reply) => {
            if reply.blames_endpoint() {
                attempt.retire_connection();
            }
            return Err(AttemptFailure::Final(reply));
        }
    };
    match answered {
        Ok(answer) => attempt.accept(answer).map_err(AttemptFailure::Final),
        // whatever an endpoint does with half a request, closing included, is not its fault
        Err(_) if progress.as_ref().is_some_and(|progress| progress.is_broken.get()) => {
            let exceeded = progress.and_then(|progress| progress.exceeded.get());
            Err(AttemptFailure::Final(exceeded.map_or(LocalReply::BodyBroken, LocalReply::BodyTooLarge)))
        }
        Err(NoAnswer::Upload(UploadError::Unsent)) => {
            Err(AttemptFailure::Unsent(Request::from_parts(head, attempt.into_body())))
        }
        Err(NoAnswer::Upload(UploadError::Body)) => Err(AttemptFailure::Final(LocalReply::BodyBroken)),
        Err(NoAnswer::Response(error)) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "an endpoint did not answer");
            Err(match error {
                NoResponse::Unseen => match attempt.into_unseen_body() {
                    Some(body) => AttemptFailure::Unsent(Request::from_parts(head, body)),
                    None => AttemptFailure::Final(LocalReply::UpstreamBroken),
                },
                NoResponse::HungUp if !attempt.saw_interim() => {
                    AttemptFailure::HungUp(may_repeat.then_some(head))
                }
                NoResponse::HungUp | NoResponse::Incomplete => {
                    AttemptFailure::Final(LocalReply::UpstreamBroken)
                }
                NoResponse::Invalid(_) => AttemptFailure::Final(LocalReply::UpstreamProtocol("HTTP/1.1")),
                NoResponse::NotHttp2 => AttemptFailure::Final(LocalReply::UpstreamProtocol("HTTP/2")),
            })
        }
    }
}

/// A request on its way to an endpoint.
enum Attempt {
    Http1(Http1Attempt),
    Http2(Http2Attempt),
}

/// The head of a response, in the protocol that it came in.
enum AnswerHead {
    Http1(ResponseHead),
    Http2(Http2Head),
}

impl Attempt {
    fn new(head: &Parts, body: RequestBody, lease: UpstreamLease) -> Self {
        match lease {
            UpstreamLease::Http1(lease) => Self::Http1(Http1Attempt::new(head, body, lease)),
            UpstreamLease::Http2(lease) => Self::Http2(Http2Attempt::new(head, body, lease)),
        }
    }

    /// No further request takes its connection, on which an endpoint was silent for too long. One of HTTP/1.1 ends with its request.
    fn retire_connection(&self) {
        if let Self::Http2(attempt) = self {
            attempt.retire_connection();
        }
    }

    fn saw_interim(&self) -> bool {
        match self {
            Self::Http1(attempt) => attempt.saw_interim(),
            Self::Http2(attempt) => attempt.saw_interim(),
        }
    }

    /// The body, whole: of a request of which nothing was sent.
    fn into_body(self) -> RequestBody {
        match self {
            Self::Http1(attempt) => attempt.into_body(),
            Self::Http2(attempt) => attempt.into_unseen_body().unwrap_or(RequestBody::Empty),
        }
    }

    /// The body of a request that the endpoint says it has not looked at, if none of it was read.
    fn into_unseen_body(self) -> Option<RequestBody> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(attempt) => attempt.into_unseen_body(),
        }
    }

    /// Sends more of the request, and reads the response's head. Interim responses are passed.
    fn poll_answer(
        &mut self,
        client: &HttpClient,
        cx: &mut Context<'_>,
    ) -> Poll<Result<AnswerHead, NoAnswer>> {
        match self {
            Self::Http1(attempt) => attempt.poll_answer(client, cx).map_ok(AnswerHead::Http1),
            Self::Http2(attempt) => attempt.poll_answer(client, cx).map_ok(AnswerHead::Http2),
        }
    }

    fn accept(self, head: AnswerHead) -> Result<Answer, LocalReply> {
        match (self, head) {
            (Self::Http1(attempt), AnswerHead::Http1(head)) => attempt.accept(head),
            (Self::Http2(attempt), AnswerHead::Http2(head)) => Ok(attempt.accept(head)),
            // an attempt yields heads of its own protocol
            (Self::Http1(_), AnswerHead::Http2(_)) | (Self::Http2(_), AnswerHead::Http1(_)) => {
                Err(LocalReply::UpstreamBroken)
            }
        }
    }
}

/// Resolves when an endpoint took too long: to take in the body, or after its last byte to answer.
async fn overdue(progress: &UploadProgress, times: AnswerTimes, client: &HttpClient) -> LocalReply {
    let mut seen = progress.state.get();
    while seen != UploadState::Ended {
        tokio::select! {
            () = progress.ended() => {}
            () = tokio::time::sleep(times.upload.std()) => {
                // while the client is waited for, the endpoint has nothing to take
                if progress.state.get() == seen && !client.activity.owes_body() {
                    return LocalReply::UpstreamStalled(times.upload);
                }
            }
        }
        seen = progress.state.get();
    }
    tokio::time::sleep(times.timeout).await;
    LocalReply::UpstreamTimeout(times.timeout.into())
}
