//! Limits of a balancer, with the reasons.

use std::time::Duration;

use crate::model::{Backoff, Millis};

/// Bounds on clients and on what the balancer opens for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalancerLimits {
    /// From a request's first byte to the end of its headers: an honest client sends them at once.
    pub header: Duration,
    /// Between two requests on a connection; longer than the minute that common clients keep one for.
    pub idle: Duration,
    /// While a client reads a response of the balancer itself, or sends a body to no route: the longest pause. Those of a
    /// service's requests are set by their route.
    pub stall: Duration,
    /// Descriptors that the process may have open.
    pub descriptors: usize,
    /// Connections of one client address, over all threads; more are refused. Many people may share an address.
    pub per_client: usize,
    /// In a drain: after how long without a byte a TCP connection is ended whose client awaits nothing.
    pub tcp_drain_idle: Duration,
    /// From the beginning of a drain until requests in flight are cut.
    pub drain: Duration,
    /// The part of `drain` in which a balancer without a successor accepts, unless the requests in flight have finished before.
    pub accept_after_stop: Duration,
    /// For a balancer with a successor: until its drain begins. Its connections end with their next response, or when their
    /// client is idle for too long.
    pub retire: Duration,
}

impl Default for BalancerLimits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(30),
            descriptors: usize::MAX,
            per_client: PER_CLIENT,
            tcp_drain_idle: TCP_DRAIN_IDLE,
            drain: DRAIN,
            accept_after_stop: ACCEPT_AFTER_STOP,
            retire: RETIRE,
        }
    }
}

impl BalancerLimits {
    /// How many sockets may be open, by all threads together: of clients, to endpoints, and listening ones.
    pub(super) fn sockets(&self, threads: usize) -> usize {
        let own = DESCRIPTORS_OF_PROCESS + threads * DESCRIPTORS_OF_THREAD;
        self.descriptors.saturating_sub(own).clamp(SOCKETS_MIN, threads.saturating_mul(SOCKETS_OF_THREAD_MAX))
    }
}

/// Connections of one client address, unless `--max-connections-per-client` says otherwise. A browser opens six to a host;
/// a thousand leaves room for an office behind one address.
pub const PER_CLIENT: usize = 1_000;
/// From the acceptance of a connection to the end of its TLS handshake: an honest client on a slow network needs two round trips and
/// sends at once.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// TLS handshakes of a thread at a time whose client has said which host it wants; further ones wait, within [`HANDSHAKE`]. Each holds up
/// to 20 KiB.
pub(super) const HANDSHAKES_MAX: usize = 1_000;
/// Descriptors kept back for the process: standard streams, what the supervisor passes, the controller's socket, the table
/// file, the event queues of two threads that serve no clients.
const DESCRIPTORS_OF_PROCESS: usize = 32;
/// Descriptors kept back for each thread: its event queue, a connection that was just accepted on each of a few listeners,
/// those that wait for room ([`WAITING_FOR_ROOM_MAX`]) and those that are being refused ([`REFUSING_MAX`]).
const DESCRIPTORS_OF_THREAD: usize = 8 + WAITING_FOR_ROOM_MAX + REFUSING_MAX;
/// Sockets that are used however few descriptors there are: with fewer, nothing could be served.
const SOCKETS_MIN: usize = 16;
/// Sockets of a thread: at 6 KiB for each side of a connection it has 120 MiB.
const SOCKETS_OF_THREAD_MAX: usize = 20_000;
/// Accepted connections of a thread that wait until idle ones are closed; the kernel keeps further ones meanwhile.
pub(super) const WAITING_FOR_ROOM_MAX: usize = 8;
/// Connections of a thread that are read from until they can be refused; others are answered and closed at once.
pub(super) const REFUSING_MAX: usize = 8;
/// How long a connection waits for another to be closed. Closing an idle one takes microseconds, so what waits longer will
/// not get one.
pub(super) const ROOM_WAIT: Duration = Duration::from_millis(500);
/// A thread that is closing connections may miss that more are to be closed.
pub(super) const ROOM_RETRY: Duration = Duration::from_millis(20);
/// After a thread has closed connections, it lets those that wait take their places before it closes more.
pub(super) const ROOM_PAUSE: Duration = Duration::from_millis(5);
/// The part of all sockets that clients cannot take, one in so many: without one to an endpoint no client is served.
pub(super) const ENDPOINT_SHARE: usize = 4;
/// A connection that has been idle for less than this is in use: its client is about to send the next request.
pub(super) const IDLE_UNDER_PRESSURE: Duration = Duration::from_millis(100);
/// A client that has begun a request and has not finished its headers for this long makes room for others: an honest one
/// sends them at once.
pub(super) const HEADER_UNDER_PRESSURE: Duration = Duration::from_secs(1);
/// Longest wait for requests in flight when the balancer is asked to stop.
pub(super) const DRAIN: Duration = Duration::from_secs(30);
/// Leaves a third of [`DRAIN`] for what is accepted last.
const ACCEPT_AFTER_STOP: Duration = Duration::from_secs(20);
/// A balancer that was replaced costs memory only, while its clients download or upload: far more than a client may pause.
const RETIRE: Duration = Duration::from_secs(600);
/// In a drain: how long a connection may be without a request. A client that connects in order to send does so at once, and one that
/// sends request after request does too.
pub(super) const REQUEST_WAIT_IN_DRAIN: Duration = Duration::from_secs(1);
/// Programs pause for less between the statements of a transaction; and the idle connections of a pool have ended within a quarter of
/// the default `rollout.drain`, so that the pool connects to other replicas.
const TCP_DRAIN_IDLE: Duration = Duration::from_secs(5);
/// How often a TCP connection looks whether its endpoint, which left the table, is back: one unready probe ends no connection.
pub(super) const TCP_DRAIN_CHECK: Duration = Duration::from_secs(1);
/// After how long without a byte a TCP connection may be closed for others, while no descriptor is free: NAT gateways and cloud load
/// balancers forget silent connections after about as long, so pools expect it.
pub(super) const TCP_IDLE_UNDER_PRESSURE: Duration = Duration::from_secs(300);
/// How long a TCP connection waits for a table that has its listener: a listener is opened when the table is published, and a
/// new balancer may be passed its sockets before its table.
pub(super) const TCP_TABLE_WAIT: Duration = Duration::from_secs(5);
/// Bytes that are read at a time from a TCP connection, and the most that one direction holds for a slow receiver. A thread has one such
/// buffer; a connection has one only while its receiver is slow.
pub(super) const TCP_BUFFER_BYTES: usize = 64 << 10;
/// Reads and writes of one direction in a row, 1 MiB, before other connections have their turn.
pub(super) const TCP_TURNS_MAX: usize = 16;
/// Without a byte for this long, the kernel asks a peer of a TCP connection whether it is still there: NAT gateways forget silent
/// connections after five minutes or more.
pub(super) const TCP_KEEPALIVE_TIME: Duration = Duration::from_secs(60);
/// Time between two such questions; with [`TCP_KEEPALIVE_PROBES`] a peer that has vanished is found after two minutes.
pub(super) const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
pub(super) const TCP_KEEPALIVE_PROBES: u32 = 4;
/// In a drain: connections that wait in a socket's queue and are still served. The queue is not longer.
pub(super) const WAITING_CONNECTIONS_MAX: usize = 4096;
/// Longest request target; browsers and other proxies have the same limit.
pub(super) const URI_MAX_BYTES: usize = 8 << 10;
/// Request line and headers together, and response headers together.
pub(super) const HEADERS_MAX_BYTES: usize = 64 << 10;
/// Headers of a message. The length is bounded too; this bounds what is allocated for them.
pub(super) const HEADERS_MAX_COUNT: usize = 1_000;
/// Requests of one connection in HTTP/2 that are served at a time: as many as nginx and browsers expect.
pub(super) const HTTP2_STREAMS_MAX: u32 = 128;
/// What either side may send of a body before it is read: 1.3 MiB/s at 50 ms from a client to the balancer.
pub(super) const HTTP2_STREAM_WINDOW: u32 = 64 << 10;
/// The same for all requests of a client's connection together: those whose service does not read hold up no other.
pub(super) const HTTP2_CONNECTION_WINDOW: u32 = HTTP2_STREAMS_MAX * HTTP2_STREAM_WINDOW;
/// Unread frames of a connection under 256 bytes, by what each lacks to that: a window full of the smallest messages of gRPC, 5 bytes,
/// is 13,107 frames, or 3.3 MB.
pub(super) const HTTP2_FRAME_BUDGET: usize = 4 << 20;
/// Requests that share a connection to an endpoint: as many as most servers take, and few enough for the window below.
pub(super) const HTTP2_UPSTREAM_REQUESTS_MAX: u32 = 100;
/// What an endpoint may send on a connection that clients have not read: enough for all its requests, so that clients that do not read
/// hold up no other.
pub(super) const HTTP2_UPSTREAM_WINDOW: u32 = HTTP2_UPSTREAM_REQUESTS_MAX * HTTP2_STREAM_WINDOW;
/// [`HTTP2_FRAME_BUDGET`] of a connection to an endpoint: 20 clients that do not read such messages end no connection of others.
pub(super) const HTTP2_UPSTREAM_FRAME_BUDGET: usize = 64 << 20;
/// Requests given up by their clients of which an endpoint may still send: a client with a full connection leaves a hundred.
pub(super) const HTTP2_UPSTREAM_RESETS_MAX: usize = 1_000;
/// What is kept of a request's body until its endpoint has begun to answer, so that it can be sent again where an endpoint says that it
/// has not looked at the request: a call of gRPC, most of the time.
pub(super) const HTTP2_REPLAY_MAX: usize = 64 << 10;
/// What is kept of a response that its client is slow to read.
pub(super) const HTTP2_SEND_BUFFER: usize = 64 << 10;
/// Requests that a client may give up before their response, more than it lets be answered: a page that is left gives up dozens.
pub(super) const CANCELLED_STREAMS_MAX: usize = 200;
/// Interim responses to one request in HTTP/2, which are kept until the client reads them. Services send one or two.
pub(super) const INTERIM_RESPONSES_MAX: usize = 16;
/// The longest method of the registry has 17 bytes.
pub(super) const METHOD_MAX_BYTES: usize = 64;
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
/// A request that cannot be sent again, because it has a body or its method is not idempotent (RFC 9110, section 9.2.2), reuses
/// only a connection that was in use this recently: services close theirs after two seconds (gunicorn) or five (Node) at the
/// earliest.
pub(super) const UPSTREAM_FRESH: Duration = Duration::from_secs(1);
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
/// Requests of a service that wait for an endpoint at a time, over all threads: 500 a second for the two seconds in which a
/// replica replaces one that had to stop first. A held request costs what an idle connection does.
pub(super) const HELD_OF_SERVICE_MAX: usize = 1_000;
/// Held requests of all services.
pub(super) const HELD_MAX: usize = 4_000;
/// A service without an endpoint for this long is taken to stay without: its requests are answered at once.
pub(super) const HOLD_GIVE_UP: Duration = Duration::from_secs(120);
/// How often a held request tries endpoints that could not be connected to, and looks whether its client is still there.
pub(super) const HOLD_RETRY: Duration = Duration::from_millis(500);
/// How long a departed endpoint stays in the reports once it is idle: a reader that looks once a second sees how many
/// requests it drained.
pub(super) const DEPARTED_REPORTED: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_leave_descriptors_for_the_rest_of_the_process() {
        for (descriptors, threads, expected) in [
            (256, 2, 256 - 32 - 2 * 24),
            (1024, 8, 1024 - 32 - 8 * 24),
            (0, 2, 16),
            (usize::MAX, 2, 40_000),
            (1 << 20, 64, (1 << 20) - 32 - 64 * 24),
        ] {
            let limits = BalancerLimits { descriptors, ..BalancerLimits::default() };
            assert_eq!(limits.sockets(threads), expected, "{descriptors} for {threads} threads");
        }
    }
}
