//! Serves a connection that has switched from HTTP to another protocol, a WebSocket most likely, to its end.

use std::rc::Rc;

use super::client_socket::ClientSocket;
use super::handler::HttpClient;
use super::response_body::EndpointTunnel;
use crate::balancer::listener::{Admission, EvictableConnection};
use crate::balancer::relay::{
    DrainSignals, EarlierBytes, GOING_AWAY, IdleLimits, Relay, RelayClient, RelayEnd, RelayedConnection,
    prepare,
};

/// Copies bytes both ways until both sides have ended, one breaks, or the connection is idle in a drain or for too long. The endpoint's
/// claim is held for as long.
pub(super) async fn run_tunnel(
    client: &HttpClient,
    socket: &ClientSocket,
    tunnel: EndpointTunnel,
    admission: &Admission,
) {
    let Some((mut stream, from_client)) = socket.take_stream() else { return };
    let EndpointTunnel { mut connection, claim, slot: _slot, is_websocket } = tunnel;
    let handler = &client.handler;
    if let Err(error) = prepare(stream.tcp()).and_then(|()| prepare(&connection.stream)) {
        tracing::debug!(%error, "a peer disconnected at once");
        return;
    }
    let relayed = Rc::new(RelayedConnection::new(handler.clock.mono()));
    admission.keep_evictable(Rc::<RelayedConnection>::clone(&relayed) as Rc<dyn EvictableConnection>);
    let from_endpoint = connection.input.bytes.split();
    let relay = Relay {
        client: RelayClient::from(&mut stream),
        endpoint: &connection.stream,
        connection: &relayed,
        earlier: EarlierBytes { from_client: from_client.to_vec(), from_endpoint: from_endpoint.to_vec() },
        close_frames: is_websocket.then_some(GOING_AWAY),
        signals: DrainSignals {
            endpoint: Rc::clone(claim.endpoint()),
            succeeded: handler.succeeded.clone(),
            draining: handler.draining.clone(),
        },
        limits: IdleLimits {
            timeout: client.activity.waits().idle_timeout,
            in_drain: handler.limits.tcp_drain_idle,
        },
        clock: &handler.clock,
        scratch: &handler.scratch,
    };
    match relay.run().await {
        RelayEnd::Finished => {}
        RelayEnd::ClientBroke(error) => tracing::trace!(%error, "a client's connection broke"),
        RelayEnd::EndpointBroke(error) => {
            tracing::debug!(endpoint = claim.endpoint().name(), %error, "an endpoint's connection broke");
            claim.mark_failed();
        }
        RelayEnd::Idle(reason) => tracing::debug!(?reason, "ended an idle connection"),
        RelayEnd::Evicted => tracing::debug!("closed an idle connection for others"),
    }
}
