//! Sends a request to an endpoint that speaks HTTP/1.1.

use std::task::{Context, Poll};

use http::header::UPGRADE;
use http::request::Parts;
use http::{Method, StatusCode};

use super::answer::{Answer, AnswerContent, NoAnswer};
use super::codec::{ResponseHead, SentMethod};
use super::handler::HttpClient;
use super::headers;
use super::http1_response_body::Http1ResponseBody;
use super::local_reply::LocalReply;
use super::request_body::RequestBody;
use super::upload::Upload;
use super::upstream::HttpLease;

/// A request on its way to an endpoint, whose response has not come.
pub(super) struct Http1Attempt {
    upload: Upload,
    is_sent: bool,
    lease: HttpLease,
    method: SentMethod,
    /// Whether the request asks to switch to another protocol.
    may_switch: bool,
    /// Whether the endpoint has begun to answer.
    saw_interim: bool,
}

impl Http1Attempt {
    pub(super) fn new(head: &Parts, body: RequestBody, lease: HttpLease) -> Self {
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

    /// Whether the endpoint has begun to answer.
    pub(super) fn saw_interim(&self) -> bool {
        self.saw_interim
    }

    /// The body, whole: of a request of which nothing was sent.
    pub(super) fn into_body(self) -> RequestBody {
        self.upload.into_body()
    }

    /// Sends more of the request, and reads the response's head. Interim responses are passed.
    pub(super) fn poll_answer(
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
                        client.pass_interim(head.parts.status, &mut head.parts.headers);
                    }
                }
            }
        }
    }

    pub(super) fn accept(self, mut head: ResponseHead) -> Result<Answer, LocalReply> {
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
        let body = Http1ResponseBody::new(head.framing, self.lease, head.keeps_alive, upload);
        Ok(Answer { head: head.parts, content: AnswerContent::Http1(body) })
    }
}
