//! Requests that wait for an endpoint while their service has none, bounded in number.
//!
//! Deliberately absent: how long each waits (the route says so), and what wakes it (`picker`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::limits::{HELD_MAX, HELD_OF_SERVICE_MAX, HOLD_GIVE_UP};
use crate::model::Mono;

/// The held requests of one service, by all threads.
#[derive(Debug, Default)]
pub(super) struct ServiceHold {
    held: AtomicUsize,
    /// Since when no request has found an endpoint, in milliseconds; 0 if there was one since.
    unavailable_since: AtomicU64,
}

impl ServiceHold {
    /// An endpoint of the service was connected to, or a table has one.
    pub(super) fn note_available(&self) {
        if self.unavailable_since.load(Ordering::Relaxed) != 0 {
            self.unavailable_since.store(0, Ordering::Relaxed);
        }
    }

    /// How many requests wait now.
    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed) as u64
    }

    /// Whether a replica is still to be expected: not if the service has been without one for long.
    fn is_expected(&self, now: Mono) -> bool {
        // a clock that starts at 0 must not look as if it served
        let now = now.0.max(1);
        match self.unavailable_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(since) => Mono(now).since(Mono(since)).std() < HOLD_GIVE_UP,
        }
    }
}

/// All held requests.
#[derive(Debug, Default)]
pub(super) struct HeldRequests {
    held: AtomicUsize,
}

impl HeldRequests {
    /// A place for one more request of the service; `None` if there is none, or if it would wait in vain.
    pub(super) fn hold(self: &Arc<Self>, service: &Arc<ServiceHold>, now: Mono) -> Option<HeldRequest> {
        if !service.is_expected(now) {
            return None;
        }
        // made before the check, so that whatever is counted is given back
        let place = HeldRequest { all: Arc::clone(self), service: Arc::clone(service) };
        let of_all = self.held.fetch_add(1, Ordering::Relaxed);
        let of_service = service.held.fetch_add(1, Ordering::Relaxed);
        (of_all < HELD_MAX && of_service < HELD_OF_SERVICE_MAX).then_some(place)
    }
}

/// A request that is being held, until it is dropped.
#[derive(Debug)]
pub(super) struct HeldRequest {
    all: Arc<HeldRequests>,
    service: Arc<ServiceHold>,
}

impl Drop for HeldRequest {
    fn drop(&mut self) {
        self.all.held.fetch_sub(1, Ordering::Relaxed);
        self.service.held.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Millis;

    #[test]
    fn requests_are_held_up_to_the_limits_of_service_and_balancer() {
        let all = Arc::new(HeldRequests::default());
        let services: Vec<Arc<ServiceHold>> = (0..5).map(|_| Arc::default()).collect();
        let hold = |service: usize| all.hold(&services[service], Mono(1));
        let first: Vec<HeldRequest> = (0..HELD_OF_SERVICE_MAX).map(|_| hold(0).unwrap()).collect();
        assert!(hold(0).is_none());
        let others: Vec<HeldRequest> =
            (HELD_OF_SERVICE_MAX..HELD_MAX).map(|n| hold(n / HELD_OF_SERVICE_MAX).unwrap()).collect();
        assert!(hold(4).is_none());
        drop(first);
        assert!(hold(0).is_some() && hold(4).is_some());
        drop(others);
        assert_eq!(all.held.load(Ordering::Relaxed), 0);
        assert!(services.iter().all(|service| service.held.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn service_that_has_long_been_without_endpoints_is_given_up_until_it_serves() {
        let all = Arc::new(HeldRequests::default());
        let service = Arc::new(ServiceHold::default());
        let at = |millis: u64| Mono(0).after(Millis(millis));
        let limit = Millis::from(HOLD_GIVE_UP).0;
        for (now, is_held) in [(0, true), (limit / 2, true), (limit, true), (limit + 1, false)] {
            assert_eq!(all.hold(&service, at(now)).is_some(), is_held, "{now}");
        }
        service.note_available();
        assert!(all.hold(&service, at(limit + 2)).is_some());
    }
}
