//! Who watches the balancer's counters. While nobody does the balancer measures nothing and sends no figures.

use tokio::sync::watch;

use crate::controller::Controller;

/// One who watches, until it is dropped.
#[derive(Debug)]
pub struct MetricsSubscription(watch::Sender<usize>);

impl Controller {
    /// How many watch.
    pub fn watchers(&self) -> watch::Receiver<usize> {
        self.watchers.subscribe()
    }

    /// Has the balancer count and measure until the answer is dropped.
    pub fn watch_counters(&self) -> MetricsSubscription {
        self.watchers.send_modify(|count| *count += 1);
        MetricsSubscription(self.watchers.clone())
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
    fn a_watcher_counts_until_it_leaves() {
        let watchers = watch::Sender::new(2);
        let receiver = watchers.subscribe();
        let pair = [MetricsSubscription(watchers.clone()), MetricsSubscription(watchers)];
        let [one, _other] = pair;
        drop(one);
        assert_eq!(*receiver.borrow(), 1);
    }
}
