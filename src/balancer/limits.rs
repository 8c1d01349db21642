//! What a balancer bounds, with the reasons.

use std::time::Duration;

/// Bounds on clients. All apply to one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalancerLimits {
    /// From a request's first byte to the end of its headers: an honest client sends them at once.
    pub header: Duration,
    /// Between two requests on a connection; longer than the minute that common clients keep one for.
    pub idle: Duration,
    /// While a client sends a body, or reads a response: the longest pause between two pieces. Checked this often, so a
    /// pause of up to twice this passes.
    pub stall: Duration,
    /// Connections of all clients; more wait in the socket's backlog.
    pub connections: usize,
    /// Connections of one client's address; more are closed at once. Many people may share an address.
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
/// Longest request target: what browsers and other proxies hold to.
pub(super) const URI_MAX_BYTES: usize = 8 << 10;
/// Request line and headers together, and response headers together.
pub(super) const HEADERS_MAX_BYTES: usize = 64 << 10;
/// A connect on the host or its bridge networks takes microseconds; what takes longer is not there.
pub(super) const CONNECT_DEADLINE: Duration = Duration::from_millis(500);
/// Endpoints tried for one request: with [`CONNECT_DEADLINE`] a client waits two seconds at most for a connection.
pub(super) const ATTEMPTS_MAX: usize = 4;
/// First time that an endpoint is skipped for, once it failed to connect; doubles with each failure.
pub(super) const SKIP_MIN: Duration = Duration::from_secs(1);
/// Longest time that an endpoint is skipped for.
pub(super) const SKIP_MAX: Duration = Duration::from_secs(30);
/// Idle connections kept per endpoint and thread: more than a busy endpoint works on at a time.
pub(super) const IDLE_UPSTREAM_MAX: usize = 256;
/// How long an idle connection to an endpoint is kept.
pub(super) const IDLE_UPSTREAM: Duration = Duration::from_secs(60);
/// A request with a body cannot be sent again, so it takes only a connection that was used this short a time ago.
pub(super) const FRESH: Duration = Duration::from_secs(1);
/// While an endpoint takes in a request's body: the longest pause between two pieces.
pub(super) const UPLOAD_STALL: Duration = Duration::from_secs(60);
/// How long a starting balancer waits for the controller's table before it uses its file.
pub(super) const FIRST_TABLE_WAIT: Duration = Duration::from_millis(100);
/// Bytes a second of a request's body that make up for the time in which the client was waited for. What is slower in the
/// long run is let go as one long pause is: a byte now and then must not hold an endpoint back from being stopped.
pub(super) const BODY_RATE_MIN: u64 = 100;
/// After the balancer has ended a connection whose client is still sending: closing it at once would reset it, and the
/// client would lose the answer.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// Accept fails for want of file descriptors, and trying again at once would only burn the processor.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Shortest time between two reports while requests end on endpoints that left.
pub(super) const REPORT_GAP: Duration = Duration::from_millis(5);
/// Time between two heartbeats, and between two reports of counters.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// A table file that cannot be written is told of once, and then after so many ticks: once a minute.
pub(super) const TELL_UNSAVED_TICKS: u64 = 60;
/// Shortest time between two lines of a thread's log about connections that could not be opened for want of something of
/// ours: each request of a busy minute would write one.
pub(super) const TELL_SHORT_EVERY: Duration = Duration::from_secs(10);
/// How long an endpoint that left is told of once it is idle: a reader who looks once in a second sees what it drained.
pub(super) const LEFT_TOLD: Duration = Duration::from_secs(10);
