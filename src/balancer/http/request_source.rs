//! Where a request comes from: a client's connection in HTTP/1.1, or one of its streams in HTTP/2.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};

use super::client_socket::ClientSocket;
use super::codec::BodyError;
use super::http2::ClientStream;

/// Has the body of a request, and takes interim responses to it.
#[derive(Clone)]
pub(super) enum RequestSource {
    Http1(Rc<ClientSocket>),
    Http2(Rc<ClientStream>),
}

impl RequestSource {
    /// Whether the body has been read to its end.
    pub(super) fn is_body_read(&self) -> bool {
        match self {
            Self::Http1(socket) => socket.is_body_read(),
            Self::Http2(stream) => stream.is_body_read(),
        }
    }

    /// How much of the body is still to come.
    pub(super) fn body_size(&self) -> SizeHint {
        match self {
            Self::Http1(socket) => socket.body_size(),
            Self::Http2(stream) => stream.body_size(),
        }
    }

    /// Reads more of the body.
    pub(super) fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Http1(socket) => socket.poll_body(cx),
            Self::Http2(stream) => stream.poll_body(cx),
        }
    }

    /// Passes an interim response, such as 103 Early Hints.
    pub(super) fn push_interim(&self, status: StatusCode, headers: &HeaderMap) {
        match self {
            Self::Http1(socket) => socket.push_interim(status, headers),
            Self::Http2(stream) => stream.send_interim(status, headers),
        }
    }
}
