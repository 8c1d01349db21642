//! Heartbeats of a child, as its supervisor reads them.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::liveness::ChildHealth;

/// The watcher notices a missing heartbeat in steps of this length: time in which it did not run itself, because all
/// processes were stopped or the machine was suspended, counts as one step.
pub(super) const WATCH_STEP: Duration = Duration::from_millis(500);

/// The output of the future; `None` if it has none after this much time in which this process ran.
pub(super) async fn within_steps<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut passed = Duration::ZERO;
    while passed < limit {
        if let Ok(output) = timeout(WATCH_STEP, &mut future).await {
            return Some(output);
        }
        passed += WATCH_STEP;
    }
    None
}

/// What came through a liveness pipe.
pub(super) enum Heartbeat {
    Of(ChildHealth),
    Closed,
}

/// The next heartbeat.
pub(super) async fn heartbeat(pipe: &UnixStream) -> Heartbeat {
    let mut bytes = [0; 64];
    loop {
        if pipe.readable().await.is_err() {
            return Heartbeat::Closed;
        }
        match pipe.try_read(&mut bytes) {
            Ok(count) => {
                let newest = ChildHealth::of_heartbeats(&bytes[..count]);
                return newest.map_or(Heartbeat::Closed, Heartbeat::Of);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Heartbeat::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// A clock that jumps is what a process sees that was stopped, or whose machine was suspended.
    #[tokio::test(start_paused = true)]
    async fn time_in_which_the_watcher_did_not_run_is_one_step() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let watched = tokio::spawn(within_steps(Duration::from_secs(5), receiver));
        for _ in 0..3 {
            tokio::task::yield_now().await;
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        tokio::task::yield_now().await;
        sender.send("a heartbeat").unwrap();
        assert_eq!(watched.await.unwrap(), Some(Ok("a heartbeat")));
        let started = Instant::now();
        assert_eq!(within_steps(Duration::from_secs(5), std::future::pending::<()>()).await, None);
        assert_eq!(started.elapsed(), Duration::from_secs(5));
    }
}
