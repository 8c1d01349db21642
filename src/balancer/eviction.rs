//! Closes connections that have been idle for the longest, to make room for others.

use super::eviction_round::EvictionRound;
use super::listener::ClientConnections;
use super::picker::Picker;
use super::pool::EndpointConnections;
use crate::model::Mono;

/// Closes this many idle connections of a thread, if it has them; returns how many it has closed.
pub(super) fn evict<P: EndpointConnections>(
    count: usize,
    clients: &ClientConnections,
    picker: &Picker<P>,
    now: Mono,
) -> usize {
    let mut since = clients.idle_since(now);
    picker.idle_since(&mut since);
    let Some(mut round) = EvictionRound::of_oldest(count, since) else { return 0 };
    let all = round.left();
    clients.evict(&mut round, now);
    picker.evict(&mut round);
    all - round.left()
}
