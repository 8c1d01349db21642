//! Reports to the controller: what is acknowledged, what is in flight, what has failed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Sleep;

use super::acknowledgement::Acknowledgement;
use super::counters::CounterRegistry;
use super::shared_connections::SharedConnections;
use crate::clock::Clock;
use crate::model::{BalancerReport, Incarnation};

pub(super) struct Reporter {
    incarnation: Incarnation,
    clock: Arc<dyn Clock>,
    /// Whether the counters are watched; the threads read it before they measure.
    are_watched: Arc<AtomicBool>,
    connections: Arc<SharedConnections>,
    is_draining: bool,
    reports: watch::Sender<BalancerReport>,
}

impl Reporter {
    pub(super) fn new(
        incarnation: Incarnation,
        clock: Arc<dyn Clock>,
        are_watched: Arc<AtomicBool>,
        connections: Arc<SharedConnections>,
    ) -> Self {
        let reports = watch::Sender::new(BalancerReport::new(incarnation.clone()));
        Self { incarnation, clock, are_watched, connections, is_draining: false, reports }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<BalancerReport> {
        self.reports.subscribe()
    }

    pub(super) fn set_watched(&self, are_watched: bool) {
        self.are_watched.store(are_watched, Ordering::Relaxed);
    }

    /// From now on the balancer accepts no connections.
    pub(super) fn set_draining(&mut self) {
        self.is_draining = true;
    }

    /// Publishes a report if it differs from the last one, which it always does while the counters are watched. Forgets
    /// departed endpoints that are done.
    pub(super) fn publish(&self, acknowledgement: &Acknowledgement, counters: &mut CounterRegistry) {
        let now = self.clock.mono();
        let are_watched = self.are_watched.load(Ordering::Relaxed);
        let report = BalancerReport {
            incarnation: self.incarnation.clone(),
            applied: acknowledgement.acknowledged().cloned(),
            refused: acknowledgement.rejected().cloned(),
            draining: self.is_draining,
            counted: are_watched.then_some(now),
            services: counters.service_stats(are_watched),
            connections: self.connections.counters.stats(),
            endpoints: counters.endpoint_stats(are_watched),
        };
        counters.forget_idle(now);
        self.reports.send_if_modified(|last| {
            let differs = *last != report;
            *last = report;
            differs
        });
    }
}

/// Events that are reported at once, with a pause after each report.
pub(super) struct ThrottledEvents {
    events: Arc<Notify>,
    gap: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl ThrottledEvents {
    pub(super) fn new(events: Arc<Notify>, gap: Duration) -> Self {
        Self { events, gap, pause: None }
    }

    /// Resolves when the next report is due. Can be cancelled without losing an event.
    pub(super) async fn due(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.await;
            self.pause = None;
        }
        self.events.notified().await;
        self.pause = Some(Box::pin(tokio::time::sleep(self.gap)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn throttled_events_are_due_at_once_and_then_once_per_gap() {
        let events = Arc::new(Notify::new());
        let mut throttled = ThrottledEvents::new(Arc::clone(&events), Duration::from_secs(1));
        let start = tokio::time::Instant::now();
        events.notify_one();
        throttled.due().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        events.notify_one();
        events.notify_one();
        throttled.due().await;
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        let third = tokio::time::timeout(Duration::from_secs(10), throttled.due());
        assert!(third.await.is_err(), "two events within a gap are one");
    }
}
