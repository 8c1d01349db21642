//! Requests from outside, at a steady and modest rate, counted step by step.
//!
//! Purpose: the judge of `ctl verify`. It shares no code with the balancer but the HTTP library.
//! Invariants: number of clients, rate, memory and the time of each request are bounded; every request that was begun
//! is counted unless the user interrupts it, in the step in which it was begun; a thread and runtime of its own, so that
//! nothing else that `ctl` does makes a request late.
//! Deliberately absent: trying again (a failure is what is looked for), bodies of requests (safe methods have none).

mod request;
mod tally;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

pub(crate) use request::Target;
pub(crate) use tally::Tally;

/// Between two requests of a client: ten clients make some 900 requests in a second of a fast service, which meets every
/// moment of a release and is no benchmark.
const PAUSE: Duration = Duration::from_millis(10);

struct Shared {
    /// A tally for each step so far; requests that begin now count in the last.
    tallies: Mutex<Vec<Tally>>,
    /// For each client, how many of its requests have ended. It has one at a time.
    ended: watch::Sender<Vec<u64>>,
    /// No request is begun any more.
    stop: CancellationToken,
    /// No answer is waited for any more.
    abandon: CancellationToken,
}

/// Clients that send until they are stopped.
pub(crate) struct Load {
    shared: Arc<Shared>,
    /// The longest that a request can take.
    deadline: Duration,
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
            ended: watch::Sender::new(vec![0; clients.into()]),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
        });
        let deadline = target.deadline;
        let (of_thread, target) = (Arc::clone(&shared), Arc::new(target));
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

    /// Another step begins.
    pub(crate) fn next_step(&self) {
        self.shared.tallies().push(Tally::default());
    }

    /// Until every request that has been begun has ended, and this many more of each client, or as many as end within the
    /// longest time of one.
    pub(crate) async fn further(&self, each: u64) {
        let mut ended = self.shared.ended.subscribe();
        let before = ended.borrow().clone();
        let beyond = |now: &[u64], each: u64| now.iter().zip(&before).all(|(now, then)| *now >= then + each);
        let late = Instant::now() + self.deadline;
        // The sender is ours, so a wait ends with the requests alone. The next that ends of a client is the one that it
        // has begun: even a client that hangs is judged.
        let _ = ended.wait_for(|now| beyond(now, 1)).await;
        let _ = timeout_at(late, ended.wait_for(|now| beyond(now, each))).await;
    }

    /// What became of the requests of the last step, so far.
    pub(crate) fn so_far(&self) -> Tally {
        self.shared.tallies().last().cloned().unwrap_or_default()
    }

    /// Waits for no answer any more; requests without one are not counted.
    pub(crate) fn abandon(&self) {
        self.shared.abandon.cancel();
    }

    /// Ends it once what was sent is answered, or nobody wants to wait for that; a tally for each step, and whether all
    /// answers were waited for.
    pub(crate) async fn stop(self, interrupted: impl Future<Output = ()>) -> (Vec<Tally>, bool) {
        self.shared.stop.cancel();
        let thread = self.thread;
        // Joining blocks, and an interrupt must be heard meanwhile.
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

impl Shared {
    fn tallies(&self) -> parking_lot::MutexGuard<'_, Vec<Tally>> {
        self.tallies.lock()
    }
}

async fn client(target: Arc<Target>, shared: Arc<Shared>, number: u16) {
    let keep = number.is_multiple_of(2);
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

    /// Answers each connection once, but the first, which it keeps for good and tells of.
    fn hanging_once() -> (SocketAddr, oneshot::Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (tell, hangs) = oneshot::channel();
        std::thread::spawn(move || {
            let (mut hung, mut tell) = (None, Some(tell));
            for mut stream in listener.incoming().map_while(Result::ok) {
                if hung.is_none() {
                    hung = Some(stream);
                    let _ = tell.take().map(|tell| tell.send(()));
                    continue;
                }
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 200 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            }
        });
        (address, hangs)
    }

    fn target(address: SocketAddr, deadline: Duration) -> Target {
        let (host, path) = ("localhost".to_owned(), "/".to_owned());
        Target { address, host, path, method: hyper::Method::GET, deadline, late_after: deadline }
    }

    #[tokio::test]
    async fn what_hangs_is_judged_in_its_step() {
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
    async fn an_interrupt_ends_the_wait_for_answers() {
        let (address, hangs) = hanging_once();
        let load = Load::start(target(address, Duration::from_secs(600)), 2).expect("it starts");
        hangs.await.expect("a request hangs");
        let (tallies, all) = load.stop(std::future::ready(())).await;
        assert!(!all && tallies[0].lost() == 0, "{tallies:?}");
    }
}
