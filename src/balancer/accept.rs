//! Accepts the connections of a socket, until another process does or the socket closes.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::connect::is_local_shortage;
use super::limits::{ACCEPT_PAUSE, WAITING_CONNECTIONS_MAX};
use super::listener::{ClientConnections, ConnectionHandler};

/// What ends the acceptance of connections.
pub(super) struct AcceptEnd {
    /// Another process accepts on the socket.
    pub(super) succeeded: CancellationToken,
    /// No one does: connections that wait in its queue are served, because closing it would reset them.
    pub(super) draining: CancellationToken,
}

/// Accepts until one of these.
pub(super) async fn accept<H: ConnectionHandler>(
    socket: TcpListener,
    connections: Rc<ClientConnections>,
    handler: Rc<H>,
    end: AcceptEnd,
) {
    // without one it is open all the same, and there is a little less room for connections
    let _permit = connections.shared.budget.try_take();
    let serve = async |stream, peer: SocketAddr| {
        connections.receive(&handler, stream, peer.ip().to_canonical()).await;
    };
    loop {
        // What was accepted is received before anything else happens: dropped, it would be a request that is lost.
        let accepted = tokio::select! {
            biased;
            () = end.succeeded.cancelled() => return,
            () = end.draining.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => serve(stream, peer).await,
            // such as a client that left before it was accepted
            Err(error) if !is_local_shortage(&error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::task::yield_now().await;
            }
            Err(error) => {
                connections.log.report_shortage(&error);
                connections.shared.budget.press();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    if let Err(error) = accept_waiting(socket, serve).await {
        connections.log.report_shortage(&error);
    }
}

/// Accepts what waits in the socket's queue.
async fn accept_waiting(socket: TcpListener, serve: impl AsyncFn(TcpStream, SocketAddr)) -> io::Result<()> {
    let socket = socket.into_std()?;
    for _ in 0..WAITING_CONNECTIONS_MAX {
        match socket.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                serve(TcpStream::from_std(stream)?, peer).await;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // the client has gone
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
