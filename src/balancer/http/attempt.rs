//! Sends a request to one endpoint, and says what a missing response means.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Version};

use super::headers;
use super::local_reply::LocalReply;
use super::request_body::{RequestBody, UploadProgress, UploadState};
use super::upstream::HttpLease;
use crate::balancer::limits::UPLOAD_STALL;

/// What became of an attempt that brought no response.
pub(super) enum AttemptFailure {
    /// No byte was sent; the request is whole.
    Unsent(Request<RequestBody>),
    /// It was sent, and the connection closed before a byte of a response came. With its head if it may be sent again.
    HungUp(Option<Parts>),
    /// It must not be tried again.
    Final(LocalReply),
}

/// Sends a request and waits for the response's headers.
pub(super) async fn send(
    mut lease: HttpLease,
    request: Request<RequestBody>,
    spare: Option<Parts>,
    timeout: Duration,
) -> Result<(Response<Incoming>, HttpLease), AttemptFailure> {
    let timed_out = AttemptFailure::Final(LocalReply::UpstreamTimeout(timeout.into()));
    let progress = request.body().progress();
    let sending = lease.connection.sender.try_send_request(request);
    let sent = match &progress {
        None => match tokio::time::timeout(timeout, sending).await {
            Ok(sent) => sent,
            Err(_) => return Err(timed_out),
        },
        Some(progress) => tokio::select! {
            sent = sending => sent,
            () = overdue(progress, timeout) => return Err(timed_out),
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
async fn overdue(progress: &UploadProgress, timeout: Duration) {
    let mut seen = progress.state.get();
    while seen != UploadState::Ended {
        tokio::select! {
            () = progress.ended() => {}
            () = tokio::time::sleep(UPLOAD_STALL) => {
                if progress.state.get() == seen {
                    return;
                }
            }
        }
        seen = progress.state.get();
    }
    tokio::time::sleep(timeout).await;
}
