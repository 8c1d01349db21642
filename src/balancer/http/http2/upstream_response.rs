//! The body of a response from an endpoint that speaks HTTP/2.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Frame, SizeHint};

use super::upstream::Http2Lease;
use super::upstream_upload::Http2Upload;
use crate::balancer::claim::Claim;
use crate::balancer::http::codec::BodyError;
use crate::balancer::http::upload::UploadError;

pub(in crate::balancer::http) struct Http2ResponseBody {
    stream: RecvStream,
    /// What of the announced length is still to come.
    left: Option<u64>,
    is_ended: bool,
    /// What of the request is still to be sent.
    upload: Option<Http2Upload>,
    _lease: Http2Lease,
}

impl Http2ResponseBody {
    pub(super) fn new(
        headers: &HeaderMap,
        stream: RecvStream,
        upload: Option<Http2Upload>,
        lease: Http2Lease,
    ) -> Self {
        // h2 refuses a body of another length
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let is_ended = stream.is_end_stream();
        let left = if is_ended { Some(0) } else { length };
        Self { stream, left, is_ended, upload, _lease: lease }
    }

    pub(in crate::balancer::http) fn is_ended(&self) -> bool {
        self.is_ended
    }

    pub(in crate::balancer::http) fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }

    /// Whether the rest of the request will not be sent.
    pub(in crate::balancer::http) fn abandons_upload(&self) -> bool {
        self.upload.as_ref().is_some_and(Http2Upload::is_write_closed)
    }

    /// Sends the rest of the request.
    pub(in crate::balancer::http) fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>> {
        let Some(upload) = &mut self.upload else { return Poll::Ready(Ok(())) };
        let sent = ready!(upload.poll_send(cx));
        if !upload.is_write_closed() {
            self.upload = None;
        }
        Poll::Ready(sent)
    }

    pub(in crate::balancer::http) fn poll_frame(
        &mut self,
        claim: &Claim,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while !self.is_ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    let length = data.len();
                    self.left = self.left.map(|left| left.saturating_sub(length as u64));
                    // a length that is known may not be polled for its end; trailers follow only where there is none
                    self.is_ended = self.stream.is_end_stream();
                    return Poll::Ready(Some(match self.stream.flow_control().release_capacity(length) {
                        Ok(()) => Ok(Frame::data(data)),
                        Err(error) => Err(broken(claim, &error)),
                    }));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(broken(claim, &error)))),
                None => {
                    let trailers = ready!(self.stream.poll_trailers(cx));
                    self.is_ended = true;
                    return Poll::Ready(match trailers {
                        Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
                        Err(error) => Some(Err(broken(claim, &error))),
                    });
                }
            }
        }
        Poll::Ready(None)
    }
}

fn broken(claim: &Claim, error: &h2::Error) -> BodyError {
    claim.mark_failed();
    tracing::debug!(%error, "an endpoint's stream broke");
    BodyError::Broken
}
