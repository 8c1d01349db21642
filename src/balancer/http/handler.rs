//! What the HTTP/1.1 connections of a thread share.

use std::rc::Rc;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::upstream::HttpPool;
use crate::balancer::limits::BalancerLimits;
use crate::balancer::picker::Picker;
use crate::balancer::shortage::ShortageLog;
use crate::clock::Clock;
use crate::model::ListenerId;

/// Serves the HTTP/1.1 connections of a listener.
pub(in crate::balancer) struct HttpHandler {
    pub(in crate::balancer) listener: ListenerId,
    pub(in crate::balancer) picker: Rc<Picker<HttpPool>>,
    pub(in crate::balancer) shortages: Rc<ShortageLog>,
    pub(in crate::balancer) limits: BalancerLimits,
    pub(in crate::balancer) clock: Arc<dyn Clock>,
    pub(in crate::balancer) draining: CancellationToken,
}
