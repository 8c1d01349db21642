//! Sends a request to one endpoint, and says what a missing response means.

use std::task::{Context, Poll};
use std::time::Duration;

use http::header::UPGRADE;
use http::request::Parts;
use http::{Method, Request, StatusCode};

use super::codec::{ResponseHead, SentMethod};
use super::handler::HttpClient;
use super::headers;
use super::local_reply::LocalReply;
use super::request_body::{RequestBody, UploadProgress, UploadState};
use super::upload::{Upload, UploadError};
use super::upstream::{HttpLease, NoResponse};
use crate::model::Millis;

/// A response whose body is still to come.
pub(super) struct Answer {
    pub(super) head: ResponseHead,
    pub(super) lease: HttpLease,
    /// What of the request is still to be sent.
    pub(super) upload: Option<Upload>,
}

/// What became of an attempt that brought no response.
pub(super) enum AttemptFailure {
    /// No byte was sent; the request is whole.
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
    lease: HttpLease,
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
        None => match tokio::time::timeout(times.timeout, answering).await {
            Ok(answered) => answered,
            Err(_) => return Err(AttemptFailure::Final(LocalReply::UpstreamTimeout(times.timeout.into()))),
        },
        Some(progress) => tokio::select! {
            answered = answering => answered,
            reply = overdue(progress, times, client) => return Err(AttemptFailure::Final(reply)),
            () = client.activity.upload_timed_out() => {
                return Err(AttemptFailure::Final(LocalReply::UploadTimeout(times.upload)));
            }
        },
    };
    match answered {
        Ok(answer) => attempt.accept(answer).map_err(AttemptFailure::Final),
        // whatever an endpoint does with half a request, closing included, is not its fault
        Err(_) if progress.is_some_and(|progress| progress.is_broken.get()) => {
            Err(AttemptFailure::Final(LocalReply::BodyBroken))
        }
        Err(NoAnswer::Upload(UploadError::Unsent)) => {
            Err(AttemptFailure::Unsent(Request::from_parts(head, attempt.upload.into_body())))
        }
        Err(NoAnswer::Upload(UploadError::Body)) => Err(AttemptFailure::Final(LocalReply::BodyBroken)),
        Err(NoAnswer::Response(error)) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "an endpoint did not answer");
            Err(match error {
                NoResponse::HungUp if !attempt.saw_interim => {
                    AttemptFailure::HungUp(may_repeat.then_some(head))
                }
                NoResponse::HungUp | NoResponse::Incomplete | NoResponse::Invalid(_) => {
                    AttemptFailure::Final(LocalReply::UpstreamBroken)
                }
            })
        }
    }
}

/// A request on its way to an endpoint, whose response has not come.
struct Attempt {
    upload: Upload,
    is_sent: bool,
    lease: HttpLease,
    method: SentMethod,
    /// Whether the request asks to switch to another protocol.
    may_switch: bool,
    /// Whether the endpoint has begun to answer.
    saw_interim: bool,
}

/// Why there is no response.
enum NoAnswer {
    Upload(UploadError),
    Response(NoResponse),
}

impl Attempt {
    fn new(head: &Parts, body: RequestBody, lease: HttpLease) -> Self {
        let method = if head.method == Method::HEAD { SentMethod::Head } else { SentMethod::Other };
        let may_switch = head.headers.contains_key(UPGRADE);
        Self {
            upload: Upload::new(head, body),
            is_sent: false,
            lease,
            method,
            may_switch,
            saw_interim: false,
        }
    }

    /// Sends more of the request, and reads the response's head. Interim responses are passed.
    fn poll_answer(
        &mut self,
        client: &HttpClient,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, NoAnswer>> {
        if !self.is_sent {
            match self.lease.connection.poll_send(&mut self.upload, cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(NoAnswer::Upload(error))),
                Poll::Ready(Ok(())) => self.is_sent = true,
                Poll::Pending => {}
            }
        }
        loop {
            match self.lease.connection.poll_head(self.method, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(NoAnswer::Response(error))),
                Poll::Ready(Ok(mut head)) => {
                    if !head.parts.status.is_informational()
                        || head.parts.status == StatusCode::SWITCHING_PROTOCOLS
                    {
                        return Poll::Ready(Ok(head));
                    }
                    self.saw_interim = true;
                    // a client that expects 100 Continue got it from the balancer
                    if head.parts.status != StatusCode::CONTINUE {
                        headers::strip_hop_by_hop(&mut head.parts.headers);
                        client.pass_interim(&head);
                    }
                }
            }
        }
    }

    fn accept(self, mut head: ResponseHead) -> Result<Answer, LocalReply> {
        let switched_to = match head.parts.status {
            StatusCode::SWITCHING_PROTOCOLS if self.may_switch => head.parts.headers.get(UPGRADE).cloned(),
            StatusCode::SWITCHING_PROTOCOLS => return Err(LocalReply::UpstreamBroken),
            _ => None,
        };
        headers::strip_hop_by_hop(&mut head.parts.headers);
        if let Some(protocol) = switched_to {
            headers::announce_upgrade(&mut head.parts.headers, protocol);
        }
        let upload = (!self.is_sent || self.upload.is_write_closed()).then_some(self.upload);
        Ok(Answer { head, lease: self.lease, upload })
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
