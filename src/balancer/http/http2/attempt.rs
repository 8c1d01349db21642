//! Sends a request to an endpoint that speaks HTTP/2.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Request, StatusCode, Uri, Version, response};

use super::upstream::Http2Lease;
use super::upstream_response::Http2ResponseBody;
use super::upstream_upload::Http2Upload;
use crate::balancer::http::answer::{Answer, AnswerContent, NoAnswer};
use crate::balancer::http::handler::HttpClient;
use crate::balancer::http::headers;
use crate::balancer::http::request_body::RequestBody;
use crate::balancer::http::upload::UploadError;
use crate::balancer::http::upstream::NoResponse;

/// A request on its way to an endpoint, whose response has not come.
pub(in crate::balancer::http) struct Http2Attempt {
    phase: AttemptPhase,
    lease: Http2Lease,
    /// Whether the endpoint has begun to answer.
    saw_interim: bool,
}

enum AttemptPhase {
    /// The connection has no place for it yet.
    Waiting {
        head: Box<Request<()>>,
        body: RequestBody,
    },
    Sent {
        response: ResponseFuture,
        upload: Option<Http2Upload>,
    },
    /// The connection took no byte of it.
    Refused {
        body: RequestBody,
    },
}

/// The head of a response.
pub(in crate::balancer::http) struct Http2Head {
    parts: response::Parts,
    stream: RecvStream,
}

impl Http2Attempt {
    pub(in crate::balancer::http) fn new(head: &Parts, body: RequestBody, lease: Http2Lease) -> Self {
        let head = Box::new(request(head));
        Self { phase: AttemptPhase::Waiting { head, body }, lease, saw_interim: false }
    }

    /// Whether the endpoint has begun to answer.
    pub(in crate::balancer::http) fn saw_interim(&self) -> bool {
        self.saw_interim
    }

    /// The endpoint has not answered in time, and may not answer anything any more.
    pub(in crate::balancer::http) fn retire_connection(&self) {
        self.lease.retire_connection();
    }

    /// The body, if it can be sent again.
    pub(in crate::balancer::http) fn into_unseen_body(self) -> Option<RequestBody> {
        match self.phase {
            AttemptPhase::Waiting { body, .. } | AttemptPhase::Refused { body } => Some(body),
            AttemptPhase::Sent { upload: Some(mut upload), .. } => upload.take_whole_body(),
            AttemptPhase::Sent { upload: None, .. } => Some(RequestBody::Empty),
        }
    }

    /// Sends more of the request, and reads the response's head. Interim responses are passed.
    pub(in crate::balancer::http) fn poll_answer(
        &mut self,
        client: &HttpClient,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Http2Head, NoAnswer>> {
        if matches!(self.phase, AttemptPhase::Waiting { .. }) {
            ready!(self.poll_begin(cx))?;
        }
        let AttemptPhase::Sent { response, upload } = &mut self.phase else {
            return Poll::Ready(Err(NoAnswer::Upload(UploadError::Unsent)));
        };
        if let Some(sending) = upload
            && let Poll::Ready(sent) = sending.poll_send(cx)
        {
            sent.map_err(NoAnswer::Upload)?;
        }
        while let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
            self.saw_interim = true;
            let (mut interim, ()) = interim.into_parts();
            match interim.status {
                // HTTP/2 has none, and for a client of HTTP/1.1 it would end the requests of its connection
                StatusCode::SWITCHING_PROTOCOLS => {
                    return Poll::Ready(Err(NoAnswer::Response(NoResponse::NotHttp2)));
                }
                // a client that expects 100 Continue got it from the balancer
                StatusCode::CONTINUE => {}
                status => {
                    headers::strip_hop_by_hop(&mut interim.headers);
                    client.pass_interim(status, &mut interim.headers);
                }
            }
        }
        match ready!(Pin::new(response).poll(cx)) {
            Ok(response) => {
                let (parts, stream) = response.into_parts();
                Poll::Ready(Ok(Http2Head { parts, stream }))
            }
            Err(error) => {
                if error.is_go_away() || error.is_io() {
                    self.lease.retire_connection();
                }
                Poll::Ready(Err(NoAnswer::Response(no_response(&error))))
            }
        }
    }

    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NoAnswer>> {
        let is_ready = ready!(self.lease.sender.poll_ready(cx));
        let was_ready = is_ready.is_ok();
        let refused = AttemptPhase::Refused { body: RequestBody::Empty };
        let AttemptPhase::Waiting { head, body } = std::mem::replace(&mut self.phase, refused) else {
            return Poll::Ready(Err(NoAnswer::Upload(UploadError::Unsent)));
        };
        let sent = is_ready.and_then(|()| self.lease.sender.send_request(*head, body.is_empty()));
        match sent {
            Ok((response, send)) => {
                let upload = (!body.is_empty()).then(|| Http2Upload::new(send, body));
                self.phase = AttemptPhase::Sent { response, upload };
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                tracing::debug!(%error, "a connection to an endpoint took no request");
                self.lease.retire_connection();
                self.phase = AttemptPhase::Refused { body };
                let is_of_connection = !was_ready || error.is_io() || error.is_go_away() || error.is_reset();
                // a request that h2 does not send would be refused on any other connection too
                let refused = NoAnswer::Response(NoResponse::Incomplete);
                Poll::Ready(Err(if is_of_connection {
                    NoAnswer::Upload(UploadError::Unsent)
                } else {
                    refused
                }))
            }
        }
    }

    pub(in crate::balancer::http) fn accept(self, head: Http2Head) -> Answer {
        let Http2Head { mut parts, stream } = head;
        headers::strip_hop_by_hop(&mut parts.headers);
        let upload = match self.phase {
            AttemptPhase::Sent { upload, .. } => upload.map(Http2Upload::without_replay),
            AttemptPhase::Waiting { .. } | AttemptPhase::Refused { .. } => None,
        };
        let body = Http2ResponseBody::new(&parts.headers, stream, upload, self.lease);
        Answer { head: parts, content: AnswerContent::Http2(body) }
    }
}

/// The request in the form of HTTP/2: without what is of a hop, and the host as `:authority` (RFC 9113, section 8.3.1).
fn request(head: &Parts) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = head.method.clone();
    // h2 takes a request without an authority, as one of HTTP/1.0 may be, only as one of HTTP/1.1
    *request.version_mut() = Version::HTTP_11;
    let mut headers: HeaderMap = head.headers.clone();
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    let host = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut uri = head.uri.clone().into_parts();
    if headers.get(HOST).is_some_and(|host| host.is_empty()) {
        headers.remove(HOST);
    }
    if let Some(authority) = host {
        headers.remove(HOST);
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(authority);
    }
    // the parts are those of valid URIs
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_else(|_| head.uri.clone());
    *request.headers_mut() = headers;
    request
}

fn no_response(error: &h2::Error) -> NoResponse {
    let is_unseen = error.is_remote()
        && (error.reason() == Some(Reason::REFUSED_STREAM)
            || (error.is_go_away() && error.reason() == Some(Reason::NO_ERROR)));
    if is_unseen {
        NoResponse::Unseen
    } else if error.is_library() {
        // what came made no sense to h2
        NoResponse::NotHttp2
    } else if error.is_reset() {
        NoResponse::Incomplete
    } else {
        NoResponse::HungUp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_the_form_of_http2() {
        let (head, ()) = Request::post("/a?b")
            .header("host", "shop:80")
            .header("connection", "te")
            .header("te", "trailers")
            .header("transfer-encoding", "chunked")
            .body(())
            .unwrap()
            .into_parts();
        let request = request(&head);
        assert_eq!(request.uri(), "http://shop:80/a?b");
        assert_eq!(request.headers().keys().collect::<Vec<_>>(), ["te"]);
    }

    #[test]
    fn request_without_a_host_has_no_authority() {
        let (head, ()) = Request::get("/a").header("host", "").body(()).unwrap().into_parts();
        let request = request(&head);
        assert_eq!((request.uri().to_string(), request.headers().len()), ("/a".to_owned(), 0));
        assert_eq!(request.version(), Version::HTTP_11);
    }

    #[test]
    fn only_what_an_endpoint_has_not_looked_at_is_unseen() {
        let refused = h2::Error::from(Reason::REFUSED_STREAM);
        assert!(matches!(no_response(&refused), NoResponse::HungUp), "not said by the endpoint");
    }
}
