//! The handshake of a client: the name that it asks for decides which certificate it gets.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;

use rustls::server::Acceptor;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;

use super::sites::TlsSites;
use crate::balancer::client_transport::TlsStream;
use crate::model::HostPattern;

/// A record with the fatal alert `unrecognized_name` (RFC 6066, section 3), before encryption begins.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::balancer) enum HandshakeError {
    /// It ended the connection without a byte, as checks of ports do.
    #[error("the client sent nothing")]
    Silent,
    #[error("the client speaks HTTP without TLS")]
    PlainHttp(TcpStream),
    #[error("the client does not say which host it wants (SNI)")]
    NoName,
    #[error("there is no certificate for `{0}`")]
    UnknownName(String),
    #[error("the handshake failed")]
    Failed(#[from] io::Error),
    #[error("the client did not finish its handshake in time")]
    Late,
    #[error("the connection was closed for others before its handshake was done")]
    Evicted,
}

/// What a client of a TLS connection asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::balancer) struct TlsPeer {
    /// In lower case.
    pub(in crate::balancer) server_name: Box<str>,
    /// The pattern whose certificate it got.
    pub(in crate::balancer) pattern: HostPattern,
}

/// Performs a handshake, with the site that the client names. It takes one of the places once the client has said what it wants: clients
/// that connect and send nothing keep no other out.
pub(in crate::balancer) async fn handshake(
    stream: TcpStream,
    sites: &TlsSites,
    places: &Semaphore,
) -> Result<(Box<TlsStream>, TlsPeer), HandshakeError> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(HandshakeError::Silent);
    }
    if first[0].is_ascii_alphabetic() {
        return Err(HandshakeError::PlainHttp(stream));
    }
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let server_name = start.client_hello().server_name().map(str::to_ascii_lowercase);
    let found = server_name.as_deref().and_then(|name| sites.find(name));
    let (Some(name), Some((pattern, config))) = (&server_name, found) else {
        refuse_name(&start.io);
        return Err(server_name.map_or(HandshakeError::NoName, HandshakeError::UnknownName));
    };
    let peer = TlsPeer { server_name: name.as_str().into(), pattern: pattern.clone() };
    // no one closes the semaphore
    let _place = places.acquire().await;
    let stream = start.into_stream(Arc::clone(config)).await?;
    Ok((Box::new(stream), peer))
}

/// A certificate of another site would only be a riddle.
fn refuse_name(stream: &TcpStream) {
    let sent = stream.try_write(&UNRECOGNIZED_NAME);
    if let Err(error) = sent.and_then(|_| SockRef::from(stream).shutdown(Shutdown::Write)) {
        tracing::trace!(%error, "a refused client disconnected");
    }
}
