//! Responses of the balancer itself: a status and a short reason.

use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use super::codec::{FramingError, HeadError};
use super::exchange::Exchange;
use super::response_body::ResponseBody;
use crate::balancer::listener::ConnectionRefusal;
use crate::balancer::normalise::BadTarget;
use crate::balancer::picker::NoChoice;
use crate::model::Millis;

/// Seconds after which a client may retry: replicas start within seconds.
const RETRY_AFTER_SECONDS: &str = "1";
const TEXT: &str = "text/plain; charset=utf-8";

/// Why the balancer does not forward an endpoint's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LocalReply {
    #[error(transparent)]
    BadTarget(#[from] BadTarget),
    #[error(transparent)]
    BadHead(#[from] HeadError),
    #[error("a request needs exactly one Host header")]
    Host,
    #[error("the request target is too long")]
    TooLong,
    #[error("this method is for proxies of clients")]
    Connect,
    #[error("this method would show what a proxy adds to a request")]
    Trace,
    #[error("the request target is for another protocol than HTTP")]
    Scheme,
    #[error("no service has a route for this host and path")]
    NoRoute,
    #[error("no instance of this service is ready")]
    NoEndpoint,
    #[error("no instance of this service became ready within route.hold ({0})")]
    NoEndpointInTime(Millis),
    #[error("the balancer has no routes yet")]
    NoTable,
    #[error("no instance of this service could be reached")]
    Unreachable,
    #[error("the balancer is out of connections")]
    Shortage,
    #[error("this client has {0} connections or requests, which is the most that one may have")]
    ClientLimit(usize),
    #[error("the request's body broke off")]
    BodyBroken,
    #[error(
        "the client sent nothing of the request's body for route.uploadTimeout ({0}), or sent it too slowly"
    )]
    UploadTimeout(Millis),
    #[error("the instance took nothing of the request's body for route.uploadTimeout ({0})")]
    UpstreamStalled(Millis),
    #[error("the instance broke off before it answered")]
    UpstreamBroken,
    #[error("what the instance answered is not {0}, which the service declares for this port")]
    UpstreamProtocol(&'static str),
    #[error("the instance did not answer within route.timeout ({0})")]
    UpstreamTimeout(Millis),
}

impl From<NoChoice> for LocalReply {
    fn from(none: NoChoice) -> Self {
        match none {
            NoChoice::Table => Self::NoTable,
            NoChoice::Route => Self::NoRoute,
            NoChoice::Endpoint => Self::NoEndpoint,
        }
    }
}

impl From<ConnectionRefusal> for LocalReply {
    fn from(refusal: ConnectionRefusal) -> Self {
        match refusal {
            ConnectionRefusal::ClientLimit(limit) => Self::ClientLimit(limit),
            ConnectionRefusal::NoRoom => Self::Shortage,
        }
    }
}

impl LocalReply {
    fn status(self) -> StatusCode {
        match self {
            Self::BadTarget(_) | Self::Host | Self::Scheme | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::BadHead(error) => status_of(error),
            Self::TooLong => StatusCode::URI_TOO_LONG,
            Self::Connect | Self::Trace => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::NoEndpoint | Self::NoEndpointInTime(_) | Self::NoTable | Self::Shortage => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::UploadTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::ClientLimit(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unreachable | Self::UpstreamBroken | Self::UpstreamProtocol(_) => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout(_) | Self::UpstreamStalled(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Whether the client's connection must be closed: after an invalid request the next bytes can mean anything.
    fn closes(self) -> bool {
        matches!(
            self,
            Self::BadTarget(_)
                | Self::BadHead(_)
                | Self::Host
                | Self::TooLong
                | Self::Connect
                | Self::BodyBroken
        )
    }

    /// Whether a request that waits may still be answered.
    pub(super) fn may_pass(self) -> bool {
        matches!(self, Self::NoEndpoint | Self::Unreachable)
    }

    /// Whether the same request may be answered soon.
    fn passes(self) -> bool {
        matches!(self.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
    }

    /// Whether the endpoint is to blame.
    pub(super) fn blames_endpoint(self) -> bool {
        self.status().is_server_error()
    }

    /// The response to a request. One to a request with a body says that it closes the connection: what is left of the body is
    /// not read, so no further request can follow it.
    pub(super) fn response(self, has_body: bool, exchange: Exchange) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::text(format!("{self}\n"), exchange));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
        if self.passes() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        if has_body || self.closes() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The response as bytes, to a client whose connection is not served.
    pub(super) fn bytes(self) -> Vec<u8> {
        let status = self.status();
        let body = format!("{self}\n");
        let retry =
            if self.passes() { format!("retry-after: {RETRY_AFTER_SECONDS}\r\n") } else { String::new() };
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {TEXT}\r\n{retry}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

fn status_of(error: HeadError) -> StatusCode {
    match error {
        HeadError::Syntax(_) | HeadError::Tls | HeadError::Target => StatusCode::BAD_REQUEST,
        HeadError::Version | HeadError::Http2 => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        HeadError::Method | HeadError::Framing(FramingError::Coding) => StatusCode::NOT_IMPLEMENTED,
        HeadError::TargetLength => StatusCode::URI_TOO_LONG,
        HeadError::Length | HeadError::Count => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        HeadError::Framing(_) => StatusCode::BAD_REQUEST,
    }
}
