//! Sends a request to one endpoint, and says what a missing response means.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Version};

use super::activity::ClientActivity;
use super::headers;
use super::local_reply::LocalReply;
use super::request_body::{RequestBody, UploadProgress, UploadState};
use super::upstream::HttpLease;
use crate::model::Millis;

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
    mut lease: HttpLease,
    request: Request<RequestBody>,
    spare: Option<Parts>,
    times: AnswerTimes,
    client: &ClientActivity,
) -> Result<(Response<Incoming>, HttpLease), AttemptFailure> {
    let progress = request.body().progress();
    let sending = lease.connection.sender.try_send_request(request);
    let sent = match &progress {
        None => match tokio::time::timeout(times.timeout, sending).await {
            Ok(sent) => sent,
            Err(_) => return Err(AttemptFailure::Final(LocalReply::UpstreamTimeout(times.timeout.into()))),
        },
        Some(progress) => tokio::select! {
            sent = sending => sent,
            reply = overdue(progress, times, client) => return Err(AttemptFailure::Final(reply)),
            () = client.upload_timed_out() => {
                return Err(AttemptFailure::Final(LocalReply::UploadTimeout(times.upload)));
            }
        },
    };
    let is_body_broken = progress.is_some_and(|progress| progress.is_broken.get());
    let mut response = sent.map_err(|error| classify(error, spare, is_body_broken))?;
    // an upgrade is never requested
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(AttemptFailure::Final(LocalReply::UpstreamBroken));
    }
    *response.version_mut() = Version::HTTP_11;
    headers::strip_hop_by_hop(response.headers_mut());
    Ok((response, lease))
}

/// Whatever an endpoint does with half a request, closing included, is not its fault: `is_body_broken` comes first.
fn classify(
    mut error: TrySendError<Request<RequestBody>>,
    spare: Option<Parts>,
    is_body_broken: bool,
) -> AttemptFailure {
    if is_body_broken {
        return AttemptFailure::Final(LocalReply::BodyBroken);
    }
    if let Some(request) = error.take_message() {
        return AttemptFailure::Unsent(request);
    }
    let error = error.into_error();
    // of what is sent, only the body can fail before it is on the wire: the client did not send all of it
    if error.is_user() {
        return AttemptFailure::Final(LocalReply::BodyBroken);
    }
    tracing::debug!(error = &error as &dyn std::error::Error, "an endpoint did not answer");
    if is_closed(&error) {
        return AttemptFailure::HungUp(spare);
    }
    // the response is not HTTP
    AttemptFailure::Final(LocalReply::UpstreamBroken)
}

/// Whether the connection ended before a byte of a response.
fn is_closed(error: &hyper::Error) -> bool {
    use std::error::Error;
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    error.is_incomplete_message() || error.is_canceled() || error.is_closed() || source.is_some()
}

/// Resolves when an endpoint took too long: to take in the body, or after its last byte to answer.
async fn overdue(progress: &UploadProgress, times: AnswerTimes, client: &ClientActivity) -> LocalReply {
    let mut seen = progress.state.get();
    while seen != UploadState::Ended {
        tokio::select! {
            () = progress.ended() => {}
            () = tokio::time::sleep(times.upload.std()) => {
                // while the client is waited for, the endpoint has nothing to take
                if progress.state.get() == seen && !client.owes_body() {
                    return LocalReply::UpstreamStalled(times.upload);
                }
            }
        }
        seen = progress.state.get();
    }
    tokio::time::sleep(times.timeout).await;
    LocalReply::UpstreamTimeout(times.timeout.into())
}
