//! How a balancer ends: in which steps, and when. Requests in flight finish; what differs is who accepts meanwhile.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::limits::BalancerLimits;

/// Why a balancer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainReason {
    /// The daemon stops. No balancer accepts after this one, so it accepts until the requests that were in flight have finished.
    Stopped,
    /// Another balancer accepts on the same sockets: this one accepts no more, and has time.
    Succeeded,
    /// The supervisor has ended, and its successor needs the addresses: this one accepts no more.
    Orphaned,
}

/// The next step of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DrainStep {
    /// Close listeners and idle connections.
    Close,
    /// Cut what is still in flight.
    Cut,
}

/// A drain that is under way; or none.
#[derive(Debug, Default)]
pub(super) struct Drain {
    pub(super) reason: Option<DrainReason>,
    /// Answered by each thread once the requests that were in flight at the beginning have finished.
    finished: Vec<oneshot::Receiver<()>>,
    /// When listeners and idle connections are closed at the latest, until they are.
    closes: Option<Pin<Box<Sleep>>>,
    cuts: Option<Pin<Box<Sleep>>>,
}

impl Drain {
    /// Begins it, or begins another one of which there is less time. The threads were sent what announces it, with these answers.
    pub(super) fn begin(
        &mut self,
        reason: DrainReason,
        limits: &BalancerLimits,
        finished: Vec<oneshot::Receiver<()>>,
    ) {
        let accepts_for = match (self.reason, reason) {
            (None, DrainReason::Stopped) => limits.accept_after_stop.min(limits.drain),
            (None, DrainReason::Succeeded) => limits.retire,
            (None, DrainReason::Orphaned) | (Some(_), _) => Duration::ZERO,
        };
        let lasts = match reason {
            DrainReason::Succeeded => limits.retire + limits.drain,
            DrainReason::Stopped | DrainReason::Orphaned => limits.drain,
        };
        self.reason = Some(reason);
        self.finished = finished;
        self.closes = Some(Box::pin(sleep(accepts_for)));
        let cuts = Box::pin(sleep(lasts));
        let earlier = self.cuts.take().filter(|earlier| earlier.deadline() <= cuts.deadline());
        self.cuts = Some(earlier.unwrap_or(cuts));
    }

    /// Resolves when the next step is due; never without a drain. May be cancelled and called again.
    pub(super) async fn next(&mut self) -> DrainStep {
        let Self { reason, finished, closes, cuts } = self;
        let Some(cuts) = cuts else { return std::future::pending().await };
        let Some(timer) = closes else {
            cuts.await;
            return DrainStep::Cut;
        };
        let all_finished = async {
            if *reason != Some(DrainReason::Stopped) {
                return std::future::pending().await;
            }
            while let Some(answer) = finished.last_mut() {
                // a thread that has ended has none in flight
                let _ = answer.await;
                finished.pop();
            }
        };
        tokio::select! {
            () = timer => {}
            () = all_finished => {}
        }
        *closes = None;
        DrainStep::Close
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> BalancerLimits {
        let (accept_after_stop, drain, retire) = (20 * SECOND, 30 * SECOND, 600 * SECOND);
        BalancerLimits { accept_after_stop, drain, retire, ..BalancerLimits::default() }
    }

    /// The steps that follow, with the seconds at which they are due.
    async fn steps(drain: &mut Drain, start: Instant) -> Vec<(DrainStep, u64)> {
        let mut steps = Vec::new();
        while steps.last().is_none_or(|(step, _)| *step != DrainStep::Cut) {
            steps.push((drain.next().await, start.elapsed().as_secs()));
        }
        steps
    }

    #[tokio::test(start_paused = true)]
    async fn each_reason_has_its_own_time() {
        use DrainReason::{Orphaned, Stopped, Succeeded};
        for (reasons, closes, cuts) in [
            (&[Stopped][..], 20, 30),
            (&[Succeeded][..], 600, 630),
            (&[Orphaned][..], 0, 30),
            (&[Succeeded, Stopped][..], 0, 30),
            (&[Stopped, Orphaned][..], 0, 30),
        ] {
            let start = Instant::now();
            let mut drain = Drain::default();
            let mut unfinished = Vec::new();
            for reason in reasons {
                let (sender, answer) = oneshot::channel();
                unfinished.push(sender);
                drain.begin(*reason, &limits(), vec![answer]);
            }
            let expected = vec![(DrainStep::Close, closes), (DrainStep::Cut, cuts)];
            assert_eq!(steps(&mut drain, start).await, expected, "{reasons:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stopped_balancer_closes_once_all_threads_have_finished() {
        let start = Instant::now();
        let mut drain = Drain::default();
        let (one, first) = oneshot::channel();
        let (two, second) = oneshot::channel();
        drain.begin(DrainReason::Stopped, &limits(), vec![first, second]);
        tokio::spawn(async move {
            tokio::time::sleep(5 * SECOND).await;
            let _ = one.send(());
            tokio::time::sleep(2 * SECOND).await;
            drop(two);
        });
        assert_eq!(steps(&mut drain, start).await, [(DrainStep::Close, 7), (DrainStep::Cut, 30)]);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_no_step_without_a_drain() {
        let mut drain = Drain::default();
        assert!(tokio::time::timeout(9_999 * SECOND, drain.next()).await.is_err());
    }
}
