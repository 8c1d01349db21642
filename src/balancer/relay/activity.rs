//! When a TCP connection is idle, and when the balancer ends it. Pure.
//!
//! The balancer does not know what the bytes say, but in nearly every protocol a client that has sent something awaits an answer.
//! So a connection is idle while the endpoint sent the last byte, or neither has sent any. A client that spoke last may be waiting for
//! a slow query: its connection is ended by its own idle timeout alone.

use std::time::Duration;

use crate::balancer::limits::TCP_IDLE_UNDER_PRESSURE;
use crate::model::{Millis, Mono};

/// Who sends bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    Client,
    Endpoint,
}

/// Why the balancer ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::balancer) enum IdleEnd {
    /// Neither side has sent a byte for the listener's `idleTimeout`.
    TimedOut,
    /// It was idle for long enough in a drain.
    Drained,
}

/// After how long the balancer ends a connection.
#[derive(Debug, Clone, Copy)]
pub(in crate::balancer) struct IdleLimits {
    pub(in crate::balancer) timeout: Millis,
    pub(in crate::balancer) in_drain: Duration,
}

/// The last byte of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TcpActivity {
    last: Option<Speaker>,
    at: Mono,
    /// Whether bytes are left that their receiver has not taken yet.
    pub(super) is_blocked: bool,
}

impl TcpActivity {
    /// Of a connection on which no byte was sent.
    pub(super) fn new(now: Mono) -> Self {
        Self { last: None, at: now, is_blocked: false }
    }

    /// Bytes were sent on or taken.
    pub(super) fn note(&mut self, speaker: Speaker, now: Mono) {
        self.last = Some(speaker);
        self.at = now;
    }

    /// Whether the client awaits nothing, as far as one can see.
    fn is_at_rest(self) -> bool {
        self.last != Some(Speaker::Client) && !self.is_blocked
    }

    /// When the balancer ends the connection unless more bytes come, and why. `draining_since`: of its endpoint, its listener or this
    /// balancer.
    pub(super) fn end(self, limits: IdleLimits, draining_since: Option<Mono>) -> (Mono, IdleEnd) {
        let timed_out = (self.at.after(limits.timeout), IdleEnd::TimedOut);
        let since = draining_since.filter(|_| self.is_at_rest());
        let drained = since.map(|since| (self.at.max(since).after(limits.in_drain.into()), IdleEnd::Drained));
        match drained {
            Some(drained) if drained.0 <= timed_out.0 => drained,
            _ => timed_out,
        }
    }

    /// Since when it is idle, if it has been so for long enough to be closed for others.
    pub(super) fn evictable_since(self, now: Mono) -> Option<Mono> {
        let is_long = now.since(self.at).std() >= TCP_IDLE_UNDER_PRESSURE;
        (self.is_at_rest() && is_long).then_some(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: IdleLimits = IdleLimits { timeout: Millis::secs(100), in_drain: Duration::from_secs(5) };

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1000)
    }

    #[test]
    fn connection_ends_by_the_earlier_of_its_deadlines() {
        use IdleEnd::{Drained, TimedOut};
        use Speaker::{Client, Endpoint};
        for (last, is_blocked, draining_since, expected) in [
            (None, false, None, (100, TimedOut)),
            (None, false, Some(20), (25, Drained)),
            (Some((Endpoint, 10)), false, None, (110, TimedOut)),
            (Some((Endpoint, 10)), false, Some(3), (15, Drained)),
            (Some((Endpoint, 10)), false, Some(20), (25, Drained)),
            (Some((Endpoint, 10)), false, Some(109), (110, TimedOut)),
            (Some((Endpoint, 10)), true, Some(20), (110, TimedOut)),
            (Some((Client, 10)), false, Some(20), (110, TimedOut)),
        ] {
            let mut activity = TcpActivity::new(at(0));
            if let Some((speaker, seconds)) = last {
                activity.note(speaker, at(seconds));
            }
            activity.is_blocked = is_blocked;
            let (when, why) = activity.end(LIMITS, draining_since.map(at));
            assert_eq!((when.0 / 1000, why), expected, "{activity:?} {draining_since:?}");
        }
    }

    #[test]
    fn connection_is_evictable_only_after_minutes_of_rest() {
        let long = at(0).after(TCP_IDLE_UNDER_PRESSURE.into());
        let resting = TcpActivity::new(at(0));
        assert_eq!(resting.evictable_since(long), Some(at(0)));
        assert_eq!(resting.evictable_since(Mono(long.0 - 1)), None);
        assert_eq!(TcpActivity { is_blocked: true, ..resting }.evictable_since(long), None);
        let mut asked = resting;
        asked.note(Speaker::Client, at(0));
        assert_eq!(asked.evictable_since(long), None, "the client awaits an answer");
    }
}
