//! Serves a client's connection over TLS: a handshake within a deadline, then as any other connection.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::activity::ClientActivity;
use super::handler::HttpHandler;
use super::local_reply::LocalReply;
use crate::balancer::client_transport::ClientTransport;
use crate::balancer::limits::{HANDSHAKE, HANDSHAKES_MAX};
use crate::balancer::listener::{Admission, ConnectionHandler, ConnectionRefusal};
use crate::balancer::refuse::refuse;
use crate::balancer::tls::{HandshakeError, TlsPeer, handshake};

/// What the HTTPS connections of a thread share.
pub(in crate::balancer) struct HttpsHandler {
    http: Rc<HttpHandler>,
    handshakes: Semaphore,
}

impl HttpsHandler {
    pub(in crate::balancer) fn new(http: HttpHandler) -> Self {
        Self { http: Rc::new(http), handshakes: Semaphore::new(HANDSHAKES_MAX) }
    }

    /// Performs the handshake, unless the connection is closed for others first.
    async fn secure(
        &self,
        stream: TcpStream,
        activity: &ClientActivity,
    ) -> Result<(ClientTransport, TlsPeer), HandshakeError> {
        let handshake = async {
            let sites = self.http.picker.tls_sites().await;
            let (stream, peer) = handshake(stream, &sites, &self.handshakes).await?;
            Ok((ClientTransport::Tls(stream), peer))
        };
        let mut handshake = pin!(tokio::time::timeout(HANDSHAKE, handshake));
        std::future::poll_fn(|cx| {
            activity.set_task(cx.waker());
            if let Poll::Ready(done) = handshake.as_mut().poll(cx) {
                return Poll::Ready(done.unwrap_or(Err(HandshakeError::Late)));
            }
            if activity.is_evicted() { Poll::Ready(Err(HandshakeError::Evicted)) } else { Poll::Pending }
        })
        .await
    }

    async fn give_up(&self, error: HandshakeError, admission: &Admission) {
        if matches!(error, HandshakeError::Silent | HandshakeError::Evicted) {
            return;
        }
        self.http.connections.shared.counters.add_failed_handshake();
        self.http.connections.log.report_failed_handshake(admission.peer(), &error);
        if let HandshakeError::PlainHttp(stream) = error {
            refuse(stream, LocalReply::NoTls.bytes()).await;
        }
    }
}

impl ConnectionHandler for HttpsHandler {
    async fn serve(self: Rc<Self>, stream: TcpStream, admission: Admission) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a client disconnected at once");
            return;
        }
        let activity = self.http.begin(&admission);
        // a client that is late with it makes room for others, as one does that is late with its headers
        activity.note_read();
        match self.secure(stream, &activity).await {
            Ok((stream, peer)) => {
                activity.end_request();
                Rc::clone(&self.http).serve_stream(stream, Some(peer), activity, admission).await;
            }
            Err(error) => self.give_up(error, &admission).await,
        }
    }

    /// There is no connection yet on which it could be said.
    fn refusal(&self, _: ConnectionRefusal) -> Vec<u8> {
        Vec::new()
    }
}
