//! Closes connections that have been idle for the longest, to make room for others.

use super::eviction_round::EvictionRound;
use super::limits::IDLE_UNDER_PRESSURE;
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
    since.retain(|since| now.since(*since).std() >= IDLE_UNDER_PRESSURE);
    let Some(mut round) = EvictionRound::of_oldest(count, since) else { return 0 };
    let all = round.left();
    clients.evict(&mut round, now);
    picker.evict(&mut round);
    all - round.left()
}
