//! Notices that a client is overdue.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::activity::ClientActivity;
use super::upload_watch::ClientOverdue;
use crate::balancer::limits::BalancerLimits;
use crate::model::{Millis, Mono};

/// Resolves whenever the client is overdue. Its timer is reset only if a deadline comes closer than the
/// timer, so that a fast request costs none.
pub(super) struct DeadlineWatch<'a> {
    activity: &'a ClientActivity,
    limits: BalancerLimits,
    timer: Pin<Box<tokio::time::Sleep>>,
    set_to: Mono,
}

impl<'a> DeadlineWatch<'a> {
    pub(super) fn new(activity: &'a ClientActivity, limits: BalancerLimits) -> Self {
        let first = limits.stall.min(limits.idle);
        let set_to = activity.clock.mono().after(Millis::from(first));
        Self { activity, limits, timer: Box::pin(tokio::time::sleep(first)), set_to }
    }
}

impl Future for DeadlineWatch<'_> {
    type Output = ClientOverdue;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ClientOverdue> {
        let this = self.get_mut();
        let deadline = this.activity.deadline(&this.limits);
        if deadline.is_some_and(|deadline| deadline < this.set_to) {
            this.set(deadline, this.activity.clock.mono());
        }
        loop {
            ready!(this.timer.as_mut().poll(cx));
            let now = this.activity.clock.mono();
            let overdue = this.activity.overdue(&this.limits, now);
            this.set(this.activity.deadline(&this.limits), now);
            if let Some(overdue) = overdue {
                return Poll::Ready(overdue);
            }
        }
    }
}

impl DeadlineWatch<'_> {
    /// Another task reads the body, and does not wake this one when it waits for the client.
    fn set(&mut self, deadline: Option<Mono>, now: Mono) {
        let check = now.after(Millis::from(self.limits.stall.min(self.activity.upload_interval())));
        self.set_to = deadline.map_or(check, |deadline| deadline.min(check));
        self.timer.set(tokio::time::sleep(self.set_to.since(now).std()));
    }
}
