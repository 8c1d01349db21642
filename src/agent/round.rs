//! Addresses and ports are given out in endless rounds, so that one that was left comes again as late as possible. Pure.
//!
//! The place in a round is reserved in the store in blocks: after a restart the round goes on behind everything that may
//! have been given out before.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use crate::model::{AppName, Millis, StoreId};

/// Places reserved with one write: a whole apply of 20 replicas fits.
pub(super) const BLOCK: u64 = 32;
/// An address or port is used again only so long after the balancers let it go: connections in the kernel's tables are
/// over.
pub(super) const REUSE_AFTER: Millis = Millis::secs(60);
/// Ports of 127.0.0.1 that containers are published at: above what services are usually given by hand, and below those that
/// Linux gives to clients (32768 and up).
pub(super) const PORTS: RangeInclusive<u16> = 20_000..=29_999;

/// What no two containers have at a time, and none soon after another: a stale routing table would send it requests that
/// are another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holding {
    /// An address on an app's network.
    Address(Ipv4Addr),
    /// A port of 127.0.0.1.
    Port(u16),
}

/// What is given out in one round.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Round {
    /// Addresses of an app's network.
    Addresses(AppName),
    /// Ports of 127.0.0.1.
    Ports,
}

/// Where a round stands, in places counted from its first turn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// Where it began in this run of the agent.
    pub origin: u64,
    /// Where it goes on.
    pub next: u64,
}

/// How many ports a round of them has.
pub(super) fn ports() -> u64 {
    u64::from(PORTS.end() - PORTS.start()) + 1
}

/// The port at a place of the round.
pub(super) fn port(place: u64) -> u16 {
    u16::try_from(place % ports()).map_or(*PORTS.start(), |offset| PORTS.start() + offset)
}

/// Where a new store's round of ports begins: daemons on one machine that do not know of each other begin apart.
pub(super) fn first_port(store: &StoreId) -> u64 {
    store.as_str().bytes().fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % ports())
}

/// The first place of a round of this length that is free, from where it stands on. Within `REUSE_AFTER` of the agent's
/// start the round must not come to its origin again: what was left before the start is not remembered.
pub(super) fn choose(
    length: u64,
    stand: Stand,
    since_start: Millis,
    is_free: impl Fn(u64) -> bool,
) -> Option<u64> {
    let fresh = |place: u64| since_start >= REUSE_AFTER || place < stand.origin + length;
    (stand.next..stand.next + length).find(|place| fresh(*place) && is_free(*place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(origin: u64, next: u64) -> Stand {
        Stand { origin, next }
    }

    #[test]
    fn the_round_goes_on_and_skips_what_is_taken() {
        let free = |place: u64| ![5, 6].contains(&(place % 246));
        let later = REUSE_AFTER;
        assert_eq!(choose(246, stand(0, 5), later, free), Some(7));
        assert_eq!(choose(246, stand(0, 246 + 5), later, free), Some(246 + 7));
        assert_eq!(choose(246, stand(0, 0), later, |_| false), None);
    }

    #[test]
    fn shortly_after_a_start_the_round_does_not_close() {
        let all = |_| true;
        assert_eq!(choose(246, stand(32, 32 + 246), Millis(59_999), all), None);
        assert_eq!(choose(246, stand(32, 31 + 246), Millis(59_999), all), Some(31 + 246));
        assert_eq!(choose(246, stand(32, 32 + 246), REUSE_AFTER, all), Some(32 + 246));
    }

    #[test]
    fn ports_stay_within_their_range() {
        assert_eq!((port(0), port(9_999), port(10_000), port(u64::MAX)), (20_000, 29_999, 20_000, 21_615));
        let one = first_port(&"11111111-2222-4333-8444-555555555555".into());
        let other = first_port(&"11111111-2222-4333-8444-555555555556".into());
        assert!(one < ports() && other < ports());
        assert_ne!(one, other);
    }
}
