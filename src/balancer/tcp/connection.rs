//! Serves a client's TCP connection.

use std::rc::Rc;

use tokio::net::TcpStream;

use super::endpoint_search::ConnectedEndpoint;
use super::handler::TcpHandler;
use crate::balancer::listener::{Admission, ConnectionHandler, ConnectionRefusal};
use crate::balancer::pool::EndpointConnections;
use crate::balancer::relay::{
    DrainSignals, EarlierBytes, IdleLimits, Relay, RelayClient, RelayEnd, RelayedConnection, prepare,
};

impl<P: EndpointConnections> TcpHandler<P> {
    async fn relay(&self, client: &TcpStream, connected: &mut ConnectedEndpoint, admission: &Admission) {
        let connection = Rc::new(RelayedConnection::new(self.clock.mono()));
        admission.keep_evictable(Rc::<RelayedConnection>::clone(&connection));
        let relay = Relay {
            client: RelayClient::Plain(client),
            endpoint: &connected.stream,
            connection: &connection,
            earlier: EarlierBytes::default(),
            close_frames: None,
            signals: DrainSignals {
                endpoint: Rc::clone(connected.claim.endpoint()),
                succeeded: self.succeeded.clone(),
                draining: self.draining.clone(),
            },
            limits: IdleLimits { timeout: connected.waits.idle_timeout, in_drain: self.drain_idle },
            clock: &self.clock,
            scratch: &self.scratch,
        };
        let listener = &self.listener;
        match relay.run().await {
            RelayEnd::Finished => {}
            RelayEnd::ClientBroke(error) => tracing::trace!(%listener, %error, "a client's connection broke"),
            RelayEnd::EndpointBroke(error) => {
                let endpoint = connected.claim.endpoint().name();
                tracing::debug!(%listener, endpoint, %error, "an endpoint's connection broke");
                connected.claim.mark_failed();
            }
            RelayEnd::Idle(reason) => tracing::debug!(%listener, ?reason, "ended an idle connection"),
            RelayEnd::Evicted => tracing::debug!(%listener, "closed an idle connection for others"),
        }
    }
}

impl<P: EndpointConnections> ConnectionHandler for TcpHandler<P> {
    /// Serves until both sides have ended, one breaks, or the connection is idle in a drain or for too long.
    async fn serve(self: Rc<Self>, client: TcpStream, admission: Admission) {
        if let Err(error) = prepare(&client) {
            tracing::debug!(%error, "a client disconnected at once");
            return;
        }
        let Some(mut connected) = self.find_endpoint(&client).await else { return };
        match prepare(&connected.stream) {
            Ok(()) => self.relay(&client, &mut connected, &admission).await,
            Err(error) => {
                tracing::debug!(%error, "an endpoint disconnected at once");
                connected.claim.mark_failed();
            }
        }
        // the request counts until nothing of it is left
        let ConnectedEndpoint { claim, stream, permit, .. } = connected;
        drop(stream);
        drop(permit);
        drop(client);
        drop(claim);
    }

    /// Bytes have no words for it.
    fn refusal(&self, _: ConnectionRefusal) -> Vec<u8> {
        Vec::new()
    }
}
