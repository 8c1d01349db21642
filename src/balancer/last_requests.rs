//! The requests of one thread in flight, and whether each is the last of its connection: once the thread is about to drain, every
//! response says `Connection: close`, so that no client sends a request to a connection that ends.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(super) struct LastRequests {
    are_last: Cell<bool>,
    /// Requests in flight that began before `are_last`.
    earlier: Cell<usize>,
    /// Notified when the last of those has ended.
    finished: Notify,
}

impl LastRequests {
    /// From now on each connection ends with its next response.
    pub(super) fn announce(&self) {
        self.are_last.set(true);
    }

    pub(super) fn are_last(&self) -> bool {
        self.are_last.get()
    }

    /// A request begins, and lasts until this is dropped.
    pub(super) fn begin(self: &Rc<Self>) -> RequestInFlight {
        let is_earlier = !self.are_last.get();
        if is_earlier {
            self.earlier.set(self.earlier.get() + 1);
        }
        RequestInFlight { requests: Rc::clone(self), is_earlier }
    }

    /// Resolves once all requests have ended that were in flight at the announcement.
    pub(super) async fn earlier_finished(&self) {
        while self.earlier.get() > 0 {
            self.finished.notified().await;
        }
    }
}

/// A request that is being served.
#[derive(Debug)]
pub(super) struct RequestInFlight {
    requests: Rc<LastRequests>,
    is_earlier: bool,
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        if self.is_earlier {
            self.requests.earlier.set(self.requests.earlier.get() - 1);
            if self.requests.earlier.get() == 0 && self.requests.are_last() {
                self.requests.finished.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn only_requests_from_before_the_announcement_are_waited_for() {
        let requests = Rc::new(LastRequests::default());
        let (one, two) = (requests.begin(), requests.begin());
        requests.announce();
        let later = requests.begin();
        let mut finished = Box::pin(requests.earlier_finished());
        assert!(finished.as_mut().now_or_never().is_none());
        drop(one);
        assert!(finished.as_mut().now_or_never().is_none());
        drop(two);
        assert!(finished.as_mut().now_or_never().is_some());
        assert!(requests.earlier_finished().now_or_never().is_some(), "{later:?} is not waited for");
    }
}
