//! Connections to an endpoint that speak HTTP/1.1.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

use super::codec::{
    BodyDecoder, BodyError, DecodedBody, HeadError, ReadBuffer, ResponseHead, SentMethod, parse_response,
};
use super::upload::{Upload, UploadError};
use crate::balancer::connect::{self, ConnectError};
use crate::balancer::pool::{PoolLease, PooledConnection, UpstreamPool};
use crate::balancer::socket_budget::{SocketBudget, SocketPermit};

pub(super) type Http1Pool = Rc<UpstreamPool<HttpConnection>>;
pub(super) type HttpLease = PoolLease<HttpConnection>;

/// A connection to an endpoint.
pub(super) struct HttpConnection {
    pub(super) stream: TcpStream,
    pub(super) input: ReadBuffer,
    /// Dropped after the stream.
    _permit: SocketPermit,
}

/// Why no response came.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoResponse {
    /// The connection ended before a byte of a response.
    #[error("the connection was closed")]
    HungUp,
    /// It ended in the head.
    #[error("the connection was closed in the response's headers")]
    Incomplete,
    /// What came is no response.
    #[error("the response is invalid: {0}")]
    Invalid(#[from] HeadError),
    /// What came is not HTTP/2.
    #[error("the endpoint does not speak HTTP/2")]
    NotHttp2,
    /// The endpoint says that it has not looked at the request.
    #[error("the endpoint takes no more requests on this connection")]
    Unseen,
}

impl PooledConnection for HttpConnection {
    /// Also if bytes came that nothing asked for.
    fn is_closed(&self) -> bool {
        !self.input.bytes.is_empty()
            || !matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// A new connection.
pub(super) async fn connect(
    address: SocketAddr,
    budget: &SocketBudget,
) -> Result<HttpConnection, ConnectError> {
    let (stream, permit) = connect::connect(address, budget).await?;
    Ok(HttpConnection { stream, input: ReadBuffer::new(), _permit: permit })
}

impl HttpConnection {
    /// Sends more of a request.
    pub(super) fn poll_send(
        &mut self,
        upload: &mut Upload,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>> {
        upload.poll_send(Pin::new(&mut self.stream), cx)
    }

    /// Reads the next head, which may be that of an interim response.
    pub(super) fn poll_head(
        &mut self,
        sent: SentMethod,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, NoResponse>> {
        loop {
            if !self.input.bytes.is_empty()
                && let Some(head) = parse_response(&mut self.input.bytes, sent)?
            {
                return Poll::Ready(Ok(head));
            }
            let had_some = !self.input.bytes.is_empty();
            match ready!(self.input.poll_fill(Pin::new(&mut self.stream), cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) if had_some => return Poll::Ready(Err(NoResponse::Incomplete)),
                Ok(0) | Err(_) => return Poll::Ready(Err(NoResponse::HungUp)),
            }
        }
    }

    /// Reads more of a response's body.
    pub(super) fn poll_body(
        &mut self,
        decoder: &mut BodyDecoder,
        cx: &mut Context<'_>,
    ) -> Poll<Result<DecodedBody, BodyError>> {
        loop {
            match decoder.decode(&mut self.input.bytes)? {
                DecodedBody::NeedsMore => {}
                decoded => return Poll::Ready(Ok(decoded)),
            }
            match ready!(self.input.poll_fill(Pin::new(&mut self.stream), cx)) {
                Ok(1..) => {}
                Ok(0) => decoder.end_of_input()?,
                Err(_) => return Poll::Ready(Err(BodyError::Broken)),
            }
        }
    }
}
