//! The load generator of `ctl verify`: steady, modest request rate, counted per step.
//!
//! It shares no code with the balancer except the HTTP library.
//! Invariants: clients, rate, memory and request time are bounded; each request counts once, unless the user interrupts it:
//! a correct answer in the step in which it was requested, a failure in the step in which it failed, because what a step
//! breaks are the requests that it finds in flight; requests run on a separate thread and runtime, so that `ctl` itself
//! delays none.
//! Deliberately absent: retries (failures are the result), request bodies (safe methods have none).

mod request;
mod tally;
mod tls;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

pub(crate) use request::LoadTarget;
pub(crate) use tally::RequestTally;
pub(crate) use tls::LoadTls;

/// Between two requests of a client: ten clients send about 900 requests per second to a fast service, enough to hit every
/// moment of a release without being a benchmark.
const PAUSE: Duration = Duration::from_millis(10);

struct LoadState {
    /// One per step; requests start and fail in the last.
    tallies: Mutex<Vec<RequestTally>>,
    /// Completed requests per client. A client has one request at a time.
    ended: watch::Sender<Vec<u64>>,
    /// Start no more requests.
    stop: CancellationToken,
    /// Wait for no more answers.
    abandon: CancellationToken,
}

/// Clients that send requests until stopped.
pub(crate) struct Load {
    shared: Arc<LoadState>,
    /// Time limit of a request.
    deadline: Duration,
    thread: JoinHandle<()>,
}

impl Load {
    /// Starts the clients and the first step. Every second client opens a new connection per request.
    ///
    /// # Errors
    /// When the system has no descriptors or threads left.
    pub(crate) fn start(target: LoadTarget, clients: u16) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(LoadState {
            tallies: Mutex::new(vec![RequestTally::default()]),
            ended: watch::Sender::new(vec![0; clients.into()]),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
        });
        let deadline = target.deadline;
        let of_thread = Arc::clone(&shared);
        let target = Arc::new(target);
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut running = JoinSet::new();
                for number in 0..clients {
                    running.spawn(client(Arc::clone(&target), Arc::clone(&of_thread), number));
                }
                while running.join_next().await.is_some() {}
            });
        })?;
        Ok(Self { shared, deadline, thread })
    }

    pub(crate) fn next_step(&self) {
        self.shared.tallies().push(RequestTally::default());
    }

    /// Waits until all requests in flight have ended, and `each` more per client or as many as fit in one time limit.
    pub(crate) async fn further(&self, each: u64) {
        let mut ended = self.shared.ended.subscribe();
        let before = ended.borrow().clone();
        let beyond = |now: &[u64], each: u64| now.iter().zip(&before).all(|(now, then)| *now >= then + each);
        let late = Instant::now() + self.deadline;
        // `self` owns the sender, so the wait cannot fail. The next request to end per client is the one in flight, so a
        // hanging request is counted as well.
        let _ = ended.wait_for(|now| beyond(now, 1)).await;
        let _ = timeout_at(late, ended.wait_for(|now| beyond(now, each))).await;
    }

    /// The results of the current step so far.
    pub(crate) fn so_far(&self) -> RequestTally {
        self.shared.tallies().last().cloned().unwrap_or_default()
    }

    /// Stops waiting for answers; requests without one are not counted.
    pub(crate) fn abandon(&self) {
        self.shared.abandon.cancel();
    }

    /// Stops after all answers have arrived, or on an interrupt. Returns a tally per step and whether all answers arrived.
    pub(crate) async fn stop(self, interrupted: impl Future<Output = ()>) -> (Vec<RequestTally>, bool) {
        self.shared.stop.cancel();
        let thread = self.thread;
        // Joining blocks, and an interrupt must still get through.
        let mut joined = tokio::task::spawn_blocking(move || thread.join());
        let (joined, all) = tokio::select! {
            joined = &mut joined => (joined, true),
            () = interrupted => {
                self.shared.abandon.cancel();
                (joined.await, false)
            }
        };
        if let Ok(Err(bug)) = joined {
            std::panic::resume_unwind(bug);
        }
        (std::mem::take(&mut self.shared.tallies()), all)
    }
}

impl LoadState {
    fn tallies(&self) -> parking_lot::MutexGuard<'_, Vec<RequestTally>> {
        self.tallies.lock()
    }
}

async fn client(target: Arc<LoadTarget>, shared: Arc<LoadState>, number: u16) {
    let keep = number.is_multiple_of(2);
    let mut kept = None;
    while !shared.stop.is_cancelled() {
        let step = shared.tallies().len().saturating_sub(1);
        let began = Instant::now();
        let answer = tokio::select! {
            () = shared.abandon.cancelled() => return,
            answer = timeout(target.deadline, request::exchange(&target, kept.take(), keep)) => answer,
        };
        let answer = answer
            .unwrap_or_else(|_| Err(format!("no complete answer within {}s", target.deadline.as_secs())));
        match answer {
            Ok(connection) => {
                if let Some(tally) = shared.tallies().get_mut(step) {
                    tally.answered(began.elapsed(), target.late_after);
                }
                kept = keep.then_some(connection);
            }
            Err(kind) => {
                if let Some(tally) = shared.tallies().last_mut() {
                    tally.failed(kind);
                }
            }
        }
        shared.ended.send_modify(|ended| {
            if let Some(ended) = ended.get_mut(usize::from(number)) {
                *ended += 1;
            }
        });
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = sleep(PAUSE) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};

    use tokio::sync::oneshot;

    use super::*;

    /// Answers every connection once, except the first, which it holds open and reports.
    fn hanging_once() -> (SocketAddr, oneshot::Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (ready, hangs) = oneshot::channel();
        std::thread::spawn(move || {
            let mut hung = None;
            let mut ready = Some(ready);
            for mut stream in listener.incoming().map_while(Result::ok) {
                if hung.is_none() {
                    hung = Some(stream);
                    let _ = ready.take().map(|ready| ready.send(()));
                    continue;
                }
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 200 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            }
        });
        (address, hangs)
    }

    fn target(address: SocketAddr, deadline: Duration) -> LoadTarget {
        let host = "localhost".to_owned();
        let path = "/".to_owned();
        LoadTarget {
            address,
            tls: None,
            host,
            path,
            method: hyper::Method::GET,
            deadline,
            late_after: deadline,
        }
    }

    #[tokio::test]
    async fn further_waits_for_hanging_requests_of_the_step() {
        let (address, hangs) = hanging_once();
        let load = Load::start(target(address, Duration::from_secs(1)), 4).expect("it starts");
        hangs.await.expect("a request hangs");
        assert_eq!(load.so_far().lost(), 0, "it hangs");
        load.further(2).await;
        assert_eq!(load.so_far().lost(), 1);
        let (tallies, all) = load.stop(std::future::pending()).await;
        assert!(all && tallies.len() == 1 && tallies[0].lost() == 1, "{tallies:?}");
    }

    #[tokio::test]
    async fn failure_counts_in_the_step_in_which_it_happens() {
        let (address, hangs) = hanging_once();
        let load = Load::start(target(address, Duration::from_secs(1)), 1).expect("it starts");
        hangs.await.expect("a request hangs");
        load.next_step();
        load.further(1).await;
        let (tallies, _) = load.stop(std::future::pending()).await;
        let lost: Vec<u64> = tallies.iter().map(RequestTally::lost).collect();
        assert_eq!(lost, [0, 1], "the request began in the first step");
    }

    #[tokio::test]
    async fn stop_returns_on_interrupt() {
        let (address, hangs) = hanging_once();
        let load = Load::start(target(address, Duration::from_secs(600)), 2).expect("it starts");
        hangs.await.expect("a request hangs");
        let (tallies, all) = load.stop(std::future::ready(())).await;
        assert!(!all && tallies[0].lost() == 0, "{tallies:?}");
    }
}
