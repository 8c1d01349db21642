//! Logs that a thread refused connections, or ran out of what connections need: file descriptors, most likely.

use std::cell::Cell;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use super::limits::LOG_SHORTAGE_EVERY;
use super::log_throttle::LogThrottle;
use crate::clock::Clock;

pub(super) struct ConnectionLog {
    clock: Arc<dyn Clock>,
    shortage: Cell<LogThrottle>,
    no_room: Cell<LogThrottle>,
    client_limit: Cell<LogThrottle>,
    bad_request: Cell<LogThrottle>,
    cancelled: Cell<LogThrottle>,
    not_allowed: Cell<LogThrottle>,
    wrong_password: Cell<LogThrottle>,
    handshake: Cell<LogThrottle>,
}

impl ConnectionLog {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            shortage: Cell::default(),
            no_room: Cell::default(),
            client_limit: Cell::default(),
            bad_request: Cell::default(),
            cancelled: Cell::default(),
            not_allowed: Cell::default(),
            wrong_password: Cell::default(),
            handshake: Cell::default(),
        }
    }

    /// A connection could not be accepted or made.
    pub(super) fn report_shortage(&self, error: &(dyn Error + 'static)) {
        if let Some(count) = self.occurred(&self.shortage) {
            tracing::warn!(error, count, "out of connections");
        }
    }

    /// A client was refused because no descriptor is free.
    pub(super) fn report_no_room(&self) {
        if let Some(count) = self.occurred(&self.no_room) {
            tracing::warn!(count, "refused connections: no file descriptor is free and none is idle");
        }
    }

    /// A client was refused that has as many connections as one may have.
    pub(super) fn report_client_limit(&self, client: IpAddr, limit: usize) {
        if let Some(count) = self.occurred(&self.client_limit) {
            tracing::warn!(
                %client, limit, count,
                "refused connections of a client that has as many as --max-connections-per-client allows"
            );
        }
    }

    /// A client sent what is no request.
    pub(super) fn report_bad_request(&self, error: &(dyn Error + 'static)) {
        if let Some(count) = self.occurred(&self.bad_request) {
            tracing::info!(error, count, "refused requests that cannot be read");
        }
    }

    /// A client gave up one request after another before their responses.
    pub(super) fn report_cancelled_requests(&self) {
        if let Some(count) = self.occurred(&self.cancelled) {
            tracing::warn!(count, "closed HTTP/2 connections whose clients cancel nearly every request");
        }
    }

    /// A route does not allow the address of a client.
    pub(super) fn report_not_allowed(&self, client: IpAddr) {
        if let Some(count) = self.occurred(&self.not_allowed) {
            tracing::info!(%client, count, "refused requests of clients that `allow` of their route does not name");
        }
    }

    /// A client sent a wrong password, or one for no user.
    pub(super) fn report_wrong_password(&self, client: IpAddr) {
        if let Some(count) = self.occurred(&self.wrong_password) {
            tracing::info!(%client, count, "refused requests with a wrong user or password");
        }
    }

    /// A client did not get a TLS connection.
    pub(super) fn report_failed_handshake(&self, client: IpAddr, error: &(dyn Error + 'static)) {
        if let Some(count) = self.occurred(&self.handshake) {
            tracing::info!(%client, error, count, "TLS handshakes failed");
        }
    }

    /// The number to log, unless the same was logged lately.
    fn occurred(&self, throttle: &Cell<LogThrottle>) -> Option<u64> {
        let mut state = throttle.get();
        let count = state.occurred(self.clock.mono(), LOG_SHORTAGE_EVERY);
        throttle.set(state);
        count
    }
}
