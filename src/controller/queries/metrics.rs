//! Subscriptions to the balancer's counters. Without one the balancer measures nothing and sends no figures.

use tokio::sync::watch;

use super::handle::Queries;

/// A subscription; it ends when it is dropped.
#[derive(Debug)]
pub struct MetricsSubscription(watch::Sender<usize>);

impl Queries {
    /// The number of subscriptions.
    pub fn metrics_subscribers(&self) -> watch::Receiver<usize> {
        self.metrics_subscribers.subscribe()
    }

    /// Has the balancer count and measure until the subscription is dropped.
    pub fn subscribe_to_metrics(&self) -> MetricsSubscription {
        self.metrics_subscribers.send_modify(|count| *count += 1);
        MetricsSubscription(self.metrics_subscribers.clone())
    }
}

impl Drop for MetricsSubscription {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscription_counts_until_it_is_dropped() {
        let watchers = watch::Sender::new(2);
        let receiver = watchers.subscribe();
        let pair = [MetricsSubscription(watchers.clone()), MetricsSubscription(watchers)];
        let [one, _other] = pair;
        drop(one);
        assert_eq!(*receiver.borrow(), 1);
    }
}
