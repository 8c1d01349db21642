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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::LocalSet;

    use super::super::connection_log::ConnectionLog;
    use super::super::limits::{BalancerLimits, WAITING_FOR_ROOM_MAX};
    use super::super::listener::{Admission, ConnectionRefusal};
    use super::super::shared_connections::SharedConnections;
    use super::*;
    use crate::clock::{Clock, RealClock};
    use crate::model::TrustedProxies;

    /// Serves no connection; there is no room for one.
    struct NoRoom;

    impl ConnectionHandler for NoRoom {
        async fn serve(self: Rc<Self>, _stream: TcpStream, _admission: Admission) {}

        fn refusal(&self, _refusal: ConnectionRefusal) -> Vec<u8> {
            b"no room".to_vec()
        }
    }

    /// All sockets are taken, as well as all places of connections that wait for one.
    #[tokio::test]
    async fn accepted_connection_that_waits_for_its_place_is_answered_although_a_drain_begins() {
        let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
        let limits = BalancerLimits::default();
        let shared = Arc::new(SharedConnections::new(&limits, 1, TrustedProxies::default(), &clock));
        let taken: Vec<_> = std::iter::from_fn(|| shared.budget.try_take_for_client()).collect();
        let log = ConnectionLog::new(Arc::new(RealClock::new()));
        let connections = Rc::new(ClientConnections::new(Arc::clone(&shared), log));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let draining = CancellationToken::new();
        let end = AcceptEnd { succeeded: CancellationToken::new(), draining: draining.clone() };
        let mut clients = Vec::new();
        for _ in 0..=WAITING_FOR_ROOM_MAX {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let local = LocalSet::new();
        local.spawn_local(accept(socket, connections, Rc::new(NoRoom), end));
        let exchange = async {
            while shared.budget.share() < WAITING_FOR_ROOM_MAX {
                tokio::task::yield_now().await;
            }
            // the last one is accepted as soon as the loop has its turn
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            draining.cancel();
            let mut last = clients.pop().unwrap();
            drop(clients);
            last.write_all(b"x").await.unwrap();
            let mut answer = String::new();
            last.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "no room");
        };
        local.run_until(exchange).await;
        drop(taken);
    }
}
