//! A thread's connections to one endpoint, in any protocol that keeps them.
//!
//! A pool belongs to the endpoint's id (container and start time), never to its address: the next container may get that.
//! Deliberately absent: how a connection is made, and what is sent on it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::eviction_round::EvictionRound;
use super::limits::{UPSTREAM_FRESH, UPSTREAM_IDLE, UPSTREAM_IDLE_CONNECTIONS_MAX};
use crate::clock::Clock;
use crate::model::Mono;

/// What a thread keeps per endpoint besides its counters: created, swept and closed by the picker, used by a protocol handler.
pub(super) trait EndpointConnections: Clone + 'static {
    fn new(clock: &Arc<dyn Clock>) -> Self;
    /// Closes connections that were idle for too long.
    fn sweep(&self);
    /// The endpoint left the table: closes idle connections, and those in use after their exchange.
    fn close(&self);
    /// Adds since when each idle connection has been so.
    fn idle_since(&self, since: &mut Vec<Mono>);
    /// Closes the idle connections that the round takes.
    fn evict(&self, round: &mut EvictionRound);
}

/// For protocols that keep no connections.
impl EndpointConnections for () {
    fn new(_: &Arc<dyn Clock>) -> Self {}
    fn sweep(&self) {}
    fn close(&self) {}
    fn idle_since(&self, _: &mut Vec<Mono>) {}
    fn evict(&self, _: &mut EvictionRound) {}
}

/// A connection that can be used for one exchange after another.
pub(super) trait PooledConnection: 'static {
    fn is_closed(&self) -> bool;
}

pub(super) struct UpstreamPool<C> {
    clock: Arc<dyn Clock>,
    idle: RefCell<Vec<IdleConnection<C>>>,
    /// Whether the endpoint left the thread's table: connections are closed instead of kept.
    is_closed: Cell<bool>,
}

struct IdleConnection<C> {
    connection: C,
    address: SocketAddr,
    since: Mono,
}

/// Which idle connections a request may reuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReusePolicy {
    /// Any: if it turns out closed, the request can be sent again.
    Any,
    /// Only those idle for less than [`UPSTREAM_FRESH`].
    Fresh,
    Never,
}

/// A connection in use by one exchange.
pub(super) struct PoolLease<C> {
    pub(super) connection: C,
    pool: Rc<UpstreamPool<C>>,
    address: SocketAddr,
}

impl<C: PooledConnection> UpstreamPool<C> {
    /// Leases the connection used last, which is the least likely to be closed.
    pub(super) fn reuse(self: &Rc<Self>, address: SocketAddr, policy: ReusePolicy) -> Option<PoolLease<C>> {
        let longest = match policy {
            ReusePolicy::Any => UPSTREAM_IDLE,
            ReusePolicy::Fresh => UPSTREAM_FRESH,
            ReusePolicy::Never => return None,
        };
        let now = self.clock.mono();
        let mut idle = self.idle.borrow_mut();
        for index in (0..idle.len()).rev() {
            let candidate = &idle[index];
            if candidate.connection.is_closed() {
                idle.remove(index);
            } else if candidate.address == address && now.since(candidate.since).std() < longest {
                let connection = idle.remove(index).connection;
                return Some(self.lease(connection, address));
            }
        }
        None
    }

    /// Leases a connection that was made for this exchange.
    pub(super) fn lease(self: &Rc<Self>, connection: C, address: SocketAddr) -> PoolLease<C> {
        PoolLease { connection, pool: Rc::clone(self), address }
    }
}

impl<C: PooledConnection> EndpointConnections for Rc<UpstreamPool<C>> {
    fn new(clock: &Arc<dyn Clock>) -> Self {
        let clock = Arc::clone(clock);
        Self::new(UpstreamPool { clock, idle: RefCell::default(), is_closed: Cell::new(false) })
    }

    fn sweep(&self) {
        let now = self.clock.mono();
        self.idle
            .borrow_mut()
            .retain(|idle| !idle.connection.is_closed() && now.since(idle.since).std() < UPSTREAM_IDLE);
    }

    fn close(&self) {
        self.is_closed.set(true);
        self.idle.borrow_mut().clear();
    }

    fn idle_since(&self, since: &mut Vec<Mono>) {
        since.extend(self.idle.borrow().iter().map(|idle| idle.since));
    }

    fn evict(&self, round: &mut EvictionRound) {
        self.idle.borrow_mut().retain(|idle| !round.takes(idle.since));
    }
}

impl<C: PooledConnection> PoolLease<C> {
    /// Keeps the connection for good.
    pub(super) fn into_connection(self) -> C {
        self.connection
    }

    /// Returns the connection after its request has been sent, and its response read, to the end.
    pub(super) fn give_back(self) {
        let Self { connection, pool, address } = self;
        let mut idle = pool.idle.borrow_mut();
        if !pool.is_closed.get() && idle.len() < UPSTREAM_IDLE_CONNECTIONS_MAX && !connection.is_closed() {
            idle.push(IdleConnection { connection, address, since: pool.clock.mono() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::RealClock;

    /// A connection of a protocol of the test's own.
    #[derive(Debug, Clone, Default)]
    struct TestConnection {
        number: usize,
        is_closed: Rc<Cell<bool>>,
    }

    impl PooledConnection for TestConnection {
        fn is_closed(&self) -> bool {
            self.is_closed.get()
        }
    }

    type TestPool = Rc<UpstreamPool<TestConnection>>;

    fn address() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 80))
    }

    fn pool() -> TestPool {
        let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
        EndpointConnections::new(&clock)
    }

    fn give_back(pool: &TestPool, number: usize) -> TestConnection {
        let connection = TestConnection { number, ..TestConnection::default() };
        pool.lease(connection.clone(), address()).give_back();
        connection
    }

    fn reused(pool: &TestPool, policy: ReusePolicy) -> Option<usize> {
        pool.reuse(address(), policy).map(|lease| lease.connection.number)
    }

    #[test]
    fn pool_reuses_the_last_connection_that_is_open() {
        let pool = pool();
        give_back(&pool, 1);
        let closed = give_back(&pool, 2);
        closed.is_closed.set(true);
        assert_eq!(reused(&pool, ReusePolicy::Never), None);
        assert_eq!(reused(&pool, ReusePolicy::Any), Some(1));
        assert_eq!(reused(&pool, ReusePolicy::Any), None);
    }

    #[test]
    fn connection_used_last_is_reused_first_also_after_others_were_taken_out() {
        let pool = pool();
        let closed = give_back(&pool, 1);
        for number in 2..=4 {
            give_back(&pool, number);
        }
        let other = SocketAddr::from(([10, 0, 0, 2], 80));
        pool.lease(TestConnection::default(), other).give_back();
        closed.is_closed.set(true);
        let order: Vec<_> = (0..4).map(|_| reused(&pool, ReusePolicy::Any)).collect();
        assert_eq!(order, [Some(4), Some(3), Some(2), None]);
    }

    #[test]
    fn pool_reuses_no_connection_to_another_address() {
        let pool = pool();
        give_back(&pool, 1);
        let other = SocketAddr::from(([10, 0, 0, 2], 80));
        assert!(pool.reuse(other, ReusePolicy::Any).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn pool_closes_connections_that_were_idle_for_too_long() {
        let pool = pool();
        give_back(&pool, 1);
        tokio::time::advance(UPSTREAM_FRESH).await;
        assert_eq!(reused(&pool, ReusePolicy::Fresh), None);
        tokio::time::advance(UPSTREAM_IDLE).await;
        assert_eq!(reused(&pool, ReusePolicy::Any), None);
        pool.sweep();
        assert!(pool.idle.borrow().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn pool_closes_its_oldest_connections_under_pressure() {
        let pool = pool();
        for number in 1..=3 {
            give_back(&pool, number);
            tokio::time::advance(UPSTREAM_FRESH / 4).await;
        }
        let mut since = Vec::new();
        pool.idle_since(&mut since);
        pool.evict(&mut EvictionRound::of_oldest(2, since).unwrap());
        assert_eq!(reused(&pool, ReusePolicy::Any), Some(3));
        assert_eq!(reused(&pool, ReusePolicy::Any), None);
    }

    #[test]
    fn closed_pool_keeps_no_connection() {
        let pool = pool();
        give_back(&pool, 1);
        pool.close();
        give_back(&pool, 2);
        assert_eq!(reused(&pool, ReusePolicy::Any), None);
    }
}
