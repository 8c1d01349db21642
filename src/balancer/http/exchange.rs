//! A request and its response, as their client connection sees them.

use std::rc::Rc;

use super::activity::ClientActivity;
use crate::balancer::client_limit::ClientSlot;
use crate::balancer::last_requests::RequestInFlight;

/// A request that is being served, until it is dropped: once its response has been written.
pub(super) struct Exchange {
    activity: Rc<ClientActivity>,
    /// Of the client that a trusted proxy named.
    pub(super) slot: Option<ClientSlot>,
    _in_flight: RequestInFlight,
}

impl Exchange {
    /// The headers of a request are complete.
    pub(super) fn begin(activity: &Rc<ClientActivity>) -> Self {
        Self { activity: Rc::clone(activity), slot: None, _in_flight: activity.begin_request() }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.activity.end_request();
    }
}
