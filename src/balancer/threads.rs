//! The balancer's threads, as the controlling thread sees them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::sockets::SocketChange;
use super::table::CompiledTable;
use super::thread::{ThreadCommand, ThreadConfig, run};

/// A table waits for its answer, so at most one table, one ping and a drain are queued, and changes of sockets. Many of those
/// can come at once and fill the queue: they wait for room, and a ping without room is sent at a later tick.
const COMMANDS_MAX: usize = 4;

/// A thread ended before it was asked to. Its listening sockets swallow their share of all connections, so the process must
/// end; a new one, started at once on the same sockets, loses only what is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a balancer thread has ended")]
pub(super) struct ThreadEnded;

pub(super) struct ThreadGroup {
    threads: Vec<ThreadHandle>,
    /// The number of the last ping.
    pings: u64,
    /// Cancelled by the first thread that ends.
    ended: CancellationToken,
    /// The threads were asked to end: each does once its requests have.
    are_draining: bool,
}

struct ThreadHandle {
    commands: mpsc::Sender<ThreadCommand>,
    /// The last ping that its queue had room for.
    sent_ping: u64,
    /// The last ping that it confirmed.
    confirmed_ping: Arc<AtomicU64>,
}

pub(super) type ThreadResult = JoinHandle<io::Result<()>>;

impl ThreadGroup {
    pub(super) fn new() -> Self {
        Self { threads: Vec::new(), pings: 0, ended: CancellationToken::new(), are_draining: false }
    }

    /// Starts a thread; `on_thread` runs on it first.
    pub(super) fn spawn(&mut self, config: ThreadConfig, on_thread: fn()) -> io::Result<ThreadResult> {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let confirmed_ping = Arc::clone(&config.confirmed_ping);
        let ended = self.ended.clone();
        let body = move || {
            let _ended = ended.drop_guard();
            let _abort = AbortOnPanic;
            on_thread();
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
            runtime.block_on(run(config, receiver))
        };
        let join = thread::Builder::new().name("balancer".to_owned()).spawn(body)?;
        self.threads.push(ThreadHandle { commands, sent_ping: self.pings, confirmed_ping });
        Ok(join)
    }

    pub(super) fn len(&self) -> usize {
        self.threads.len()
    }

    /// Resolves once a thread has ended that was not asked to.
    pub(super) async fn ended(&self) -> ThreadEnded {
        if self.are_draining {
            return std::future::pending().await;
        }
        self.ended.cancelled().await;
        ThreadEnded
    }

    /// Announces the end of every connection; returns what each thread answers once its requests in flight have finished.
    pub(super) async fn announce(&self) -> Result<Vec<oneshot::Receiver<()>>, ThreadEnded> {
        let mut answers = Vec::with_capacity(self.threads.len());
        for thread in &self.threads {
            let (finished, answer) = oneshot::channel();
            let command = ThreadCommand::Announce { finished };
            thread.commands.send(command).await.or_else(|_| self.end_of_thread())?;
            answers.push(answer);
        }
        Ok(answers)
    }

    /// All threads leave their sockets to another process, and end with their last connection. From now on one that has ended is
    /// no error.
    pub(super) async fn retire(&mut self) -> Result<(), ThreadEnded> {
        self.are_draining = true;
        self.send(|| ThreadCommand::Retire).await
    }

    /// Asks all threads to end. From now on one that has ended is no error.
    pub(super) async fn drain(&mut self) -> Result<(), ThreadEnded> {
        self.are_draining = true;
        self.send(|| ThreadCommand::Drain).await
    }

    /// Sends a command to all threads.
    async fn send(&self, command: impl Fn() -> ThreadCommand) -> Result<(), ThreadEnded> {
        for thread in &self.threads {
            thread.commands.send(command()).await.or_else(|_| self.end_of_thread())?;
        }
        Ok(())
    }

    /// What the end of a thread means.
    fn end_of_thread(&self) -> Result<(), ThreadEnded> {
        if self.are_draining { Ok(()) } else { Err(ThreadEnded) }
    }

    /// Passes a socket to its thread, or the end of a listener to all threads.
    pub(super) async fn change_sockets(&self, change: SocketChange) -> Result<(), ThreadEnded> {
        match change {
            SocketChange::Open { thread, socket } => match self.threads.get(thread) {
                Some(thread) => {
                    thread.commands.send(ThreadCommand::Open(socket)).await.map_err(|_| ThreadEnded)
                }
                None => {
                    tracing::error!(thread, listener = %socket.listener, "a socket for a thread that does not exist");
                    Ok(())
                }
            },
            SocketChange::Close(listener) => self.send(|| ThreadCommand::Close(listener.clone())).await,
        }
    }

    /// Hands a table to all threads at once, and returns when each has taken it, or has drained and ended.
    pub(super) async fn hand_out(&self, table: Arc<CompiledTable>) -> Result<(), ThreadEnded> {
        let mut answers = Vec::with_capacity(self.threads.len());
        for thread in &self.threads {
            let (taken, answer) = oneshot::channel();
            let command = ThreadCommand::Table { table: Arc::clone(&table), taken };
            thread.commands.send(command).await.or_else(|_| self.end_of_thread())?;
            answers.push(answer);
        }
        for answer in answers {
            answer.await.or_else(|_| self.end_of_thread())?;
        }
        Ok(())
    }

    /// Whether every thread has confirmed the last ping; then they are pinged again.
    pub(super) fn ping(&mut self) -> bool {
        if self.are_draining {
            self.threads.retain(|thread| !thread.commands.is_closed());
        }
        let has_confirmed =
            |thread: &ThreadHandle| thread.confirmed_ping.load(Ordering::Relaxed) == self.pings;
        let are_alive = self.threads.iter().all(has_confirmed);
        if are_alive {
            self.pings += 1;
        }
        for thread in self.threads.iter_mut().filter(|thread| thread.sent_ping != self.pings) {
            // a full queue does not show that the thread hangs: it gets this ping at the next tick
            if thread.commands.try_send(ThreadCommand::Ping(self.pings)).is_ok() {
                thread.sent_ping = self.pings;
            }
        }
        are_alive
    }

    /// Resolves once all threads have ended that were asked to; never if they were not.
    pub(super) async fn drained(&self) {
        if !self.are_draining {
            return std::future::pending().await;
        }
        for thread in &self.threads {
            thread.commands.closed().await;
        }
    }
}

/// Aborts the process when the thread that holds it panics. (A panic in the task of one connection ends that connection
/// alone.)
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group of one thread, whose commands the test receives.
    fn group() -> (ThreadGroup, mpsc::Receiver<ThreadCommand>, Arc<AtomicU64>) {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let confirmed_ping = Arc::new(AtomicU64::new(0));
        let mut group = ThreadGroup::new();
        let confirmed = Arc::clone(&confirmed_ping);
        group.threads.push(ThreadHandle { commands, sent_ping: 0, confirmed_ping });
        (group, receiver, confirmed)
    }

    /// The pings in the queue, which is empty afterwards.
    fn pings(receiver: &mut mpsc::Receiver<ThreadCommand>) -> Vec<u64> {
        let commands = std::iter::from_fn(|| receiver.try_recv().ok());
        commands
            .filter_map(|command| if let ThreadCommand::Ping(n) = command { Some(n) } else { None })
            .collect()
    }

    #[tokio::test]
    async fn ping_that_met_a_full_queue_is_sent_again() {
        let (mut group, mut receiver, confirmed) = group();
        for _ in 0..COMMANDS_MAX {
            group.send(|| ThreadCommand::Close("web".into())).await.unwrap();
        }
        assert!(group.ping(), "nothing was to be confirmed yet");
        assert!(pings(&mut receiver).is_empty());
        assert!(!group.ping());
        assert_eq!(pings(&mut receiver), [1]);
        confirmed.store(1, Ordering::Relaxed);
        assert!(group.ping());
        assert_eq!(pings(&mut receiver), [2]);
    }

    #[test]
    fn thread_that_does_not_confirm_is_not_pinged_again() {
        let (mut group, mut receiver, _) = group();
        assert!(group.ping());
        assert_eq!([group.ping(), group.ping()], [false; 2]);
        assert_eq!(pings(&mut receiver), [1]);
    }
}
