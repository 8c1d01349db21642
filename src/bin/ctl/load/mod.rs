//! Requests from outside, at a steady and modest rate, counted step by step.
//!
//! Purpose: the judge of `ctl verify`. It shares no code with the balancer but the HTTP library.
//! Invariants: number of clients, rate, memory and the time of each request are bounded; every request that was begun
//! is counted unless the user interrupts it, in the step in which it was begun; a thread and runtime of its own, so that nothing else that `ctl` does
//! makes a request late.
//! Deliberately absent: trying again (a failure is what is looked for), bodies of requests (safe methods have none).

mod request;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use request::Target;
pub(crate) use tally::Tally;

/// Between two requests of a client: ten clients make some 900 requests in a second of a fast service, which meets every
/// moment of a release and is no benchmark.
const PAUSE: Duration = Duration::from_millis(10);

struct Shared {
    /// A tally for each step so far; requests that begin now count in the last.
    tallies: Mutex<Vec<Tally>>,
    /// Requests that have ended.
    ended: watch::Sender<u64>,
    /// No request is begun any more.
    stop: CancellationToken,
    /// No answer is waited for any more.
    abandon: CancellationToken,
}

/// Clients that send until they are stopped.
pub(crate) struct Load {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Load {
    /// Starts this many clients, of which every second makes a new connection for each request; the first step begins.
    ///
    /// # Errors
    /// When the system has no descriptors or threads left.
    pub(crate) fn start(target: Target, clients: u16) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared {
            tallies: Mutex::new(vec![Tally::default()]),
            ended: watch::Sender::new(0),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
        });
        let (of_thread, target) = (Arc::clone(&shared), Arc::new(target));
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut running = JoinSet::new();
                for number in 0..clients {
                    running.spawn(client(Arc::clone(&target), Arc::clone(&of_thread), number % 2 == 0));
                }
                while running.join_next().await.is_some() {}
            });
        })?;
        Ok(Self { shared, thread })
    }

    /// Another step begins.
    pub(crate) fn next_step(&self) {
        self.shared.tallies().push(Tally::default());
    }

    /// Until this many further requests have ended.
    pub(crate) async fn further(&self, requests: u64) {
        let mut ended = self.shared.ended.subscribe();
        let wanted = *ended.borrow() + requests;
        // The sender is ours, so the wait ends with the requests alone.
        let _ = ended.wait_for(|ended| *ended >= wanted).await;
    }

    /// What became of the requests of the last step, so far.
    pub(crate) fn so_far(&self) -> Tally {
        self.shared.tallies().last().cloned().unwrap_or_default()
    }

    /// Waits for no answer any more; requests without one are not counted.
    pub(crate) fn abandon(&self) {
        self.shared.abandon.cancel();
    }

    /// Ends it once what was sent is answered; a tally for each step.
    pub(crate) fn stop(self) -> Vec<Tally> {
        self.shared.stop.cancel();
        if let Err(bug) = self.thread.join() {
            std::panic::resume_unwind(bug);
        }
        std::mem::take(&mut self.shared.tallies())
    }
}

impl Shared {
    fn tallies(&self) -> std::sync::MutexGuard<'_, Vec<Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn client(target: Arc<Target>, shared: Arc<Shared>, keep: bool) {
    let mut kept = None;
    while !shared.stop.is_cancelled() {
        let step = shared.tallies().len().saturating_sub(1);
        let began = Instant::now();
        let answer = tokio::select! {
            () = shared.abandon.cancelled() => return,
            answer = timeout(target.deadline, request::exchange(&target, kept.take(), keep)) => answer,
        };
        let answer =
            answer.unwrap_or_else(|_| Err(format!("no whole answer within {}s", target.deadline.as_secs())));
        if let Some(tally) = shared.tallies().get_mut(step) {
            match answer {
                Ok(connection) => {
                    tally.answered(began.elapsed(), target.late_after);
                    kept = keep.then_some(connection);
                }
                Err(kind) => tally.failed(kind),
            }
        }
        shared.ended.send_modify(|ended| *ended += 1);
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = sleep(PAUSE) => {}
        }
    }
}
