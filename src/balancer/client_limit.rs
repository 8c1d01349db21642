//! How many connections each client has, over all threads.
//!
//! A lock is taken when a connection is accepted and when it ends, never for a request of it; it is one of several, chosen by
//! the client's address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Two threads seldom want the same one.
const SHARDS: usize = 32;

pub(super) struct ClientLimit {
    limit: usize,
    shards: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
}

/// One of a client's connections, until it is dropped.
pub(super) struct ClientSlot {
    counts: Arc<ClientLimit>,
    client: IpAddr,
}

impl ClientLimit {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, shards: std::array::from_fn(|_| Mutex::default()) }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Counts one more connection of a client; `None` if it has as many as one may have.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<ClientSlot> {
        let client = counted_as(client);
        let mut counts = self.shard(client).lock();
        let count = counts.entry(client).or_default();
        if *count >= self.limit {
            // an entry of 0 would stay
            if *count == 0 {
                counts.remove(&client);
            }
            return None;
        }
        *count += 1;
        Some(ClientSlot { counts: Arc::clone(self), client })
    }

    fn shard(&self, client: IpAddr) -> &Mutex<HashMap<IpAddr, usize>> {
        let last = match client {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[7],
        };
        &self.shards[usize::from(last) % SHARDS]
    }
}

/// An IPv6 client has a whole /64, and could use another of its addresses for each connection.
pub(super) fn counted_as(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        let mut counts = self.counts.shard(self.client).lock();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_client_is_counted_by_its_network() {
        let limit = Arc::new(ClientLimit::new(1));
        let admit = |text: &str| limit.admit(text.parse().unwrap());
        let first = admit("2001:db8:0:1::1");
        assert!(first.is_some() && admit("2001:db8:0:1:ffff::2").is_none());
        assert!(admit("2001:db8:0:2::1").is_some());
    }

    #[test]
    fn client_is_admitted_up_to_the_limit_and_forgotten_with_its_last_connection() {
        let limit = Arc::new(ClientLimit::new(2));
        let [one, other] = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 1, 1])];
        let first = limit.admit(one);
        let second = limit.admit(one);
        assert!(first.is_some() && second.is_some() && limit.admit(one).is_none());
        let of_other = limit.admit(other);
        assert!(of_other.is_some(), "same shard, another client");
        drop(first);
        let third = limit.admit(one);
        assert!(third.is_some());
        drop([second, third, of_other]);
        assert!(limit.shards.iter().all(|shard| shard.lock().is_empty()));
    }
}
