//! How many sockets a balancer may have open, over all its threads: of clients, to endpoints, and listening ones.
//!
//! Invariants: a permit is held for as long as its socket is open; some descriptors are kept back (`limits`), so that a
//! connection without a permit can still be accepted and answered. When the last permit is taken, every thread closes
//! connections that have been idle for the longest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::limits::{ENDPOINT_SHARE, ROOM_RETRY, ROOM_WAIT};

pub(super) struct SocketBudget {
    permits: Arc<Semaphore>,
    /// Of clients, which leave a part of all permits to endpoints.
    clients: Arc<Semaphore>,
    threads: usize,
    /// How many wait for a permit.
    waiting: AtomicUsize,
    /// Notified while some wait.
    pressed: Notify,
}

/// The right to have one socket open. Drop it after the socket.
pub(super) struct SocketPermit {
    _permit: OwnedSemaphorePermit,
    _client: Option<OwnedSemaphorePermit>,
}

impl SocketBudget {
    pub(super) fn new(sockets: usize, threads: usize) -> Self {
        let sockets = sockets.min(Semaphore::MAX_PERMITS);
        let permits = Arc::new(Semaphore::new(sockets));
        let clients = Arc::new(Semaphore::new(sockets - sockets / ENDPOINT_SHARE));
        Self { permits, clients, threads, waiting: AtomicUsize::new(0), pressed: Notify::new() }
    }

    /// A permit for a socket to an endpoint, or one that listens, if one is free.
    pub(super) fn try_take(&self) -> Option<SocketPermit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(SocketPermit { _permit: permit, _client: None })
    }

    /// A permit for a client's socket, if one is free.
    pub(super) fn try_take_for_client(&self) -> Option<SocketPermit> {
        let client = Arc::clone(&self.clients).try_acquire_owned().ok()?;
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(SocketPermit { _permit: permit, _client: Some(client) })
    }

    /// A permit for a socket to an endpoint, once one is free; `None` if none becomes so for a while.
    pub(super) async fn take(&self) -> Option<SocketPermit> {
        match self.try_take() {
            Some(permit) => Some(permit),
            None => self.wait(async { self.acquire(None).await }).await,
        }
    }

    /// A permit for a client's socket, once one is free; `None` if none becomes so for a while.
    pub(super) async fn take_for_client(&self) -> Option<SocketPermit> {
        self.wait(async {
            let client = Arc::clone(&self.clients).acquire_owned().await.ok()?;
            self.acquire(Some(client)).await
        })
        .await
    }

    async fn acquire(&self, client: Option<OwnedSemaphorePermit>) -> Option<SocketPermit> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        Some(SocketPermit { _permit: permit, _client: client })
    }

    async fn wait(&self, acquiring: impl Future<Output = Option<SocketPermit>>) -> Option<SocketPermit> {
        let _waiting = WaitingGuard::new(&self.waiting);
        let mut acquiring = std::pin::pin!(acquiring);
        let mut waited = Duration::ZERO;
        while waited < ROOM_WAIT {
            self.press();
            if let Ok(permit) = tokio::time::timeout(ROOM_RETRY, &mut acquiring).await {
                return permit;
            }
            waited += ROOM_RETRY;
        }
        None
    }

    /// Makes every thread close idle connections.
    pub(super) fn press(&self) {
        self.pressed.notify_waiters();
    }

    /// Resolves when idle connections are to be closed.
    pub(super) async fn pressed(&self) {
        self.pressed.notified().await;
    }

    /// How many connections each thread is to close: together all threads make room for those that wait.
    pub(super) fn share(&self) -> usize {
        self.waiting.load(Ordering::Relaxed).div_ceil(self.threads.max(1)).max(1)
    }
}

struct WaitingGuard<'a>(&'a AtomicUsize);

impl<'a> WaitingGuard<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn permit_that_is_given_back_under_pressure_goes_to_the_one_that_waits() {
        let budget = SocketBudget::new(1, 1);
        let first = budget.try_take().unwrap();
        assert!(budget.try_take().is_none());
        let evicting = async {
            budget.pressed().await;
            assert_eq!(budget.share(), 1);
            drop(first);
        };
        let (taken, ()) = tokio::join!(budget.take(), evicting);
        assert!(taken.is_some() && budget.try_take().is_none());
        drop(taken);
        assert!(budget.try_take().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn clients_leave_a_share_to_endpoints() {
        let budget = SocketBudget::new(8, 1);
        let clients: Vec<SocketPermit> = std::iter::from_fn(|| budget.try_take_for_client()).collect();
        assert_eq!(clients.len(), 8 - 8 / ENDPOINT_SHARE);
        assert!(budget.take_for_client().await.is_none());
        let endpoints: Vec<SocketPermit> = std::iter::from_fn(|| budget.try_take()).collect();
        assert_eq!(endpoints.len(), 8 / ENDPOINT_SHARE);
        drop(clients);
        assert!(budget.take_for_client().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn wait_for_a_permit_ends_and_presses_until_then() {
        let budget = SocketBudget::new(0, 2);
        let start = tokio::time::Instant::now();
        let mut presses = 0;
        let counting = async {
            loop {
                budget.pressed().await;
                presses += 1;
            }
        };
        tokio::select! {
            none = budget.take() => assert!(none.is_none()),
            () = counting => {}
        }
        assert_eq!(start.elapsed(), ROOM_WAIT);
        assert!(presses > 1, "one may be missed while connections are being closed");
        assert_eq!(budget.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn threads_share_the_closing_for_all_that_wait() {
        let budget = SocketBudget::new(0, 4);
        let waiters = async { futures::future::join_all((0..9).map(|_| budget.take())).await };
        let share = async {
            budget.pressed().await;
            budget.share()
        };
        tokio::select! {
            _ = waiters => panic!("there is no permit"),
            share = share => assert_eq!(share, 3),
        }
    }
}
