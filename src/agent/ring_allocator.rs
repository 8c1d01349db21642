//! Allocates addresses and ports from rings, so that a released one is reused as late as possible. Pure.
//!
//! Places in a ring are reserved in the store in blocks: after a restart the ring continues behind everything that may
//! have been handed out before.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use crate::model::{AppName, Millis, StoreId};

/// Places reserved with one write: a whole apply of 20 replicas fits.
pub(super) const BLOCK: u64 = 32;
/// How long an address or port stays in quarantine after every balancer has dropped it: connections in the kernel's tables
/// are over then.
pub(super) const REUSE_AFTER: Millis = Millis::secs(60);
/// Ports of 127.0.0.1 that containers are published at: above what services are usually given by hand, and below those that
/// Linux gives to clients (32768 and up).
pub(super) const PORTS: RangeInclusive<u16> = 20_000..=29_999;

/// An address or port owned by one container at a time and quarantined after release, since a stale table could still route
/// to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NetworkLease {
    /// An address on an app's network.
    Address(Ipv4Addr),
    /// A port of 127.0.0.1.
    Port(u16),
}

/// A ring that leases come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeasePool {
    /// Addresses of an app's network.
    Addresses(AppName),
    /// Ports of 127.0.0.1.
    Ports,
}

/// A position in a ring, counted in places over all turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolCursor {
    /// Where this run of the agent began.
    pub origin: u64,
    /// The next place to try.
    pub next: u64,
}

/// The length of the ring of ports.
pub(super) fn ports() -> u64 {
    u64::from(PORTS.end() - PORTS.start()) + 1
}

/// The port at a place of the ring.
pub(super) fn port(place: u64) -> u16 {
    u16::try_from(place % ports()).map_or(*PORTS.start(), |offset| PORTS.start() + offset)
}

/// Where a new store's ring of ports begins: independent daemons on one node begin at different ports.
pub(super) fn first_port(store: &StoreId) -> u64 {
    store.as_str().bytes().fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % ports())
}

/// The first free place of a ring of this length, from the cursor on. Quarantine is not persisted, so the ring must not
/// wrap within `REUSE_AFTER` of a restart.
pub(super) fn choose(
    length: u64,
    cursor: PoolCursor,
    since_start: Millis,
    is_free: impl Fn(u64) -> bool,
) -> Option<u64> {
    let fresh = |place: u64| since_start >= REUSE_AFTER || place < cursor.origin + length;
    (cursor.next..cursor.next + length).find(|place| fresh(*place) && is_free(*place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(origin: u64, next: u64) -> PoolCursor {
        PoolCursor { origin, next }
    }

    #[test]
    fn choose_continues_from_the_cursor_and_skips_taken_places() {
        let free = |place: u64| ![5, 6].contains(&(place % 246));
        let later = REUSE_AFTER;
        assert_eq!(choose(246, cursor(0, 5), later, free), Some(7));
        assert_eq!(choose(246, cursor(0, 246 + 5), later, free), Some(246 + 7));
        assert_eq!(choose(246, cursor(0, 0), later, |_| false), None);
    }

    #[test]
    fn choose_does_not_wrap_shortly_after_a_restart() {
        let all = |_| true;
        assert_eq!(choose(246, cursor(32, 32 + 246), Millis(59_999), all), None);
        assert_eq!(choose(246, cursor(32, 31 + 246), Millis(59_999), all), Some(31 + 246));
        assert_eq!(choose(246, cursor(32, 32 + 246), REUSE_AFTER, all), Some(32 + 246));
    }

    #[test]
    fn port_stays_within_the_range() {
        assert_eq!((port(0), port(9_999), port(10_000), port(u64::MAX)), (20_000, 29_999, 20_000, 21_615));
        let one = first_port(&"11111111-2222-4333-8444-555555555555".into());
        let other = first_port(&"11111111-2222-4333-8444-555555555556".into());
        assert!(one < ports() && other < ports());
        assert_ne!(one, other);
    }
}
