//! Limits of a balancer, with the reasons.

use std::time::Duration;

use crate::model::{Backoff, Millis};

/// Bounds on clients. All apply to one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalancerLimits {
    /// From a request's first byte to the end of its headers: an honest client sends them at once.
    pub header: Duration,
    /// Between two requests on a connection; longer than the minute that common clients keep one for.
    pub idle: Duration,
    /// While a client sends a body, or reads a response: the longest pause between two pieces. Checked at this interval,
    /// so a pause of up to twice this passes.
    pub stall: Duration,
    /// Connections of all clients; more wait in the socket's backlog.
    pub connections: usize,
    /// Connections of one client address; more are closed at once. Many people may share an address.
    pub per_client: usize,
    /// After a stop is asked for: until requests in flight are cut.
    pub drain: Duration,
}

impl Default for BalancerLimits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(30),
            connections: 10_000,
            per_client: 1_000,
            drain: DRAIN,
        }
    }
}

/// Longest wait for requests in flight when the balancer is asked to stop.
pub(super) const DRAIN: Duration = Duration::from_secs(30);
/// Longest request target; browsers and other proxies have the same limit.
pub(super) const URI_MAX_BYTES: usize = 8 << 10;
/// Request line and headers together, and response headers together.
pub(super) const HEADERS_MAX_BYTES: usize = 64 << 10;
/// A connect on this machine or its bridge networks takes microseconds; an endpoint that needs longer is not there.
pub(super) const CONNECT_DEADLINE: Duration = Duration::from_millis(500);
/// Connects for one request, to all endpoints together and however often the request is sent again: with
/// [`CONNECT_DEADLINE`] a client waits two seconds at most for connections.
pub(super) const CONNECTS_MAX: usize = 4;
/// How long an endpoint is ejected that could not be connected to, by the number of failures in a row.
pub(super) const EJECTION: Backoff = Backoff::new(Millis::secs(1), Millis::secs(30));
/// Idle connections kept per endpoint and thread: more than a busy endpoint works on at a time.
pub(super) const UPSTREAM_IDLE_CONNECTIONS_MAX: usize = 256;
/// How long an idle connection to an endpoint is kept.
pub(super) const UPSTREAM_IDLE: Duration = Duration::from_secs(60);
/// A request with a body cannot be sent again, so it reuses only a connection that was in use this recently.
pub(super) const UPSTREAM_FRESH: Duration = Duration::from_secs(1);
/// While an endpoint takes in a request's body: the longest pause between two pieces.
pub(super) const UPLOAD_STALL: Duration = Duration::from_secs(60);
/// How long a starting balancer waits for the controller's table before it serves from its file.
pub(super) const FIRST_TABLE_WAIT: Duration = Duration::from_millis(100);
/// How long a starting balancer waits for its table file before it serves without a table: a failing disk may never
/// deliver it. It sends no heartbeat meanwhile, and without one for 5 s the supervisor kills it.
pub(super) const TABLE_FILE_WAIT: Duration = Duration::from_secs(2);
/// Bytes per second of a request's body that make up for the time the client was waited for. Slower uploads are cut like
/// stalled ones, so that a trickle cannot delay a drain.
pub(super) const BODY_RATE_MIN: u64 = 100;
/// After the balancer has ended a connection whose client is still sending: closing it at once would reset it, and the
/// client would lose the response.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// Accept fails when file descriptors run out, and an immediate retry would only burn the processor.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Shortest time between two reports while requests end on departed endpoints.
pub(super) const REPORT_GAP: Duration = Duration::from_millis(5);
/// Time between two heartbeats, and between two reports of counters.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// Shortest time between two log lines about a table file that cannot be written: a full disk fails at every tick.
pub(super) const LOG_UNSAVED_EVERY: Duration = Duration::from_secs(60);
/// Shortest time between two log lines of a thread about connections that could not be opened because this process or
/// machine ran out of something: every request of a busy minute would write one.
pub(super) const LOG_SHORTAGE_EVERY: Duration = Duration::from_secs(10);
/// How long a departed endpoint stays in the reports once it is idle: a reader that looks once a second sees how many
/// requests it drained.
pub(super) const DEPARTED_REPORTED: Duration = Duration::from_secs(10);
