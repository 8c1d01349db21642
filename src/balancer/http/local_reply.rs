//! Responses of the balancer itself: a status and a short reason.

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

use super::codec::{FramingError, HeadError};
use super::exchange::Exchange;
use super::response_body::ResponseBody;
use crate::balancer::choice::NoChoice;
use crate::balancer::listener::ConnectionRefusal;
use crate::balancer::route_gate::{ErrorPage, RouteGate};
use crate::model::{MemorySize, Millis};
use crate::routing::normalise::BadTarget;

/// Seconds after which a client may retry: replicas start within seconds.
const RETRY_AFTER_SECONDS: &str = "1";
/// The same while a person is at work.
const MAINTENANCE_SECONDS: &str = "60";
const TEXT: &str = "text/plain; charset=utf-8";

/// Why the balancer does not forward an endpoint's response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LocalReply {
    #[error(transparent)]
    BadTarget(#[from] BadTarget),
    #[error(transparent)]
    BadHead(#[from] HeadError),
    #[error("this port serves HTTPS: use https:// in the address")]
    NoTls,
    #[error("this host is served over HTTPS")]
    ToHttps,
    #[error("the certificate of this connection is for another host")]
    Misdirected,
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
    #[error("this client's address is not allowed here")]
    NotAllowed,
    /// With the value of `WWW-Authenticate`.
    #[error("this address needs a user and a password")]
    Unauthorized(HeaderValue),
    #[error("the service is in maintenance")]
    Maintenance,
    /// An answer with the page of its route.
    #[error("{reply}")]
    Paged { reply: Box<LocalReply>, page: ErrorPage },
    #[error("too many passwords are being checked")]
    PasswordsBusy,
    #[error("this address has moved to the one in `Location`")]
    Redirect { status: StatusCode, location: HeaderValue, gate: Arc<RouteGate> },
    #[error("the request's body is longer than route.maxBodySize ({0})")]
    BodyTooLarge(MemorySize),
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
            // asked first: who has not passed is not allowed
            NoChoice::Gate(_) => Self::NotAllowed,
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
    fn status(&self) -> StatusCode {
        match self {
            Self::BadTarget(_) | Self::Host | Self::Scheme | Self::BodyBroken | Self::NoTls => {
                StatusCode::BAD_REQUEST
            }
            Self::ToHttps => StatusCode::PERMANENT_REDIRECT,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::BadHead(error) => status_of(*error),
            Self::TooLong => StatusCode::URI_TOO_LONG,
            Self::Connect | Self::Trace => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Redirect { status, .. } => *status,
            Self::Paged { reply, .. } => reply.status(),
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoEndpoint
            | Self::NoEndpointInTime(_)
            | Self::NoTable
            | Self::Shortage
            | Self::Maintenance
            | Self::PasswordsBusy => StatusCode::SERVICE_UNAVAILABLE,
            Self::UploadTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::ClientLimit(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unreachable | Self::UpstreamBroken | Self::UpstreamProtocol(_) => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout(_) | Self::UpstreamStalled(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The same with the page that its route has for it.
    pub(super) fn with_page(self, gate: Option<&RouteGate>) -> Self {
        match gate.and_then(|gate| gate.page(self.status())) {
            Some(_) if matches!(self, Self::Paged { .. }) => self,
            Some(page) => Self::Paged { page: page.clone(), reply: Box::new(self) },
            None => self,
        }
    }

    /// Whether the client's connection must be closed: after an invalid request the next bytes can mean anything.
    fn closes(&self) -> bool {
        if let Self::Paged { reply, .. } = self {
            return reply.closes();
        }
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

    /// Whether the route decided so, by what it checks: no endpoint was looked for.
    pub(super) fn is_of_route(&self) -> bool {
        if let Self::Paged { reply, .. } = self {
            return reply.is_of_route();
        }
        matches!(
            self,
            Self::Maintenance
                | Self::NotAllowed
                | Self::Unauthorized(_)
                | Self::PasswordsBusy
                | Self::Redirect { .. }
                | Self::BodyTooLarge(_)
        )
    }

    /// Whether a request that waits may still be answered.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::NoEndpoint | Self::Unreachable)
    }

    /// Whether the same request may be answered soon.
    fn passes(&self) -> bool {
        matches!(self.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
    }

    /// Seconds after which the same request may be sent again.
    fn retry_after(&self) -> &'static str {
        match self {
            Self::Maintenance => MAINTENANCE_SECONDS,
            _ => RETRY_AFTER_SECONDS,
        }
    }

    /// Whether the endpoint is to blame.
    pub(super) fn blames_endpoint(&self) -> bool {
        self.status().is_server_error()
    }

    /// The response to a request. One to a request with a body says that it closes the connection: what is left of the body is
    /// not read, so no further request can follow it.
    pub(super) fn response(self, has_body: bool, exchange: Exchange) -> Response<ResponseBody> {
        let (reply, page) = match self {
            Self::Paged { reply, page } => (*reply, Some(page)),
            reply => (reply, None),
        };
        let (body, content_type) = match page {
            Some(ErrorPage { body, content_type, .. }) => (body, content_type),
            None => (format!("{reply}\n").into(), HeaderValue::from_static(TEXT)),
        };
        let mut response = Response::new(ResponseBody::text(body, exchange));
        *response.status_mut() = reply.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        if reply.passes() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(reply.retry_after()));
        }
        if has_body || reply.closes() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        match reply {
            Self::Unauthorized(challenge) => {
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            Self::Redirect { location, gate, .. } => {
                headers.insert(LOCATION, location);
                gate.edit_response(headers);
            }
            _ => {}
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
