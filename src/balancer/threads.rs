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

/// A table waits for its answer and changes of sockets are rare, so at most a table, a ping and a drain are queued.
const COMMANDS_MAX: usize = 4;

/// A thread ended before it was asked to. Its listening sockets swallow their share of all connections, so the process must
/// end; a new one, started at once on the same sockets, loses only what is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a balancer thread has ended")]
pub(super) struct ThreadEnded;

pub(super) struct ThreadGroup {
    threads: Vec<ThreadHandle>,
    pings: u64,
    /// Cancelled by the first thread that ends.
    ended: CancellationToken,
}

struct ThreadHandle {
    commands: mpsc::Sender<ThreadCommand>,
    /// The last ping that it confirmed.
    confirmed_ping: Arc<AtomicU64>,
}

pub(super) type ThreadResult = JoinHandle<io::Result<()>>;

impl ThreadGroup {
    pub(super) fn new() -> Self {
        Self { threads: Vec::new(), pings: 0, ended: CancellationToken::new() }
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
        self.threads.push(ThreadHandle { commands, confirmed_ping });
        Ok(join)
    }

    pub(super) fn len(&self) -> usize {
        self.threads.len()
    }

    /// Resolves once a thread has ended.
    pub(super) async fn ended(&self) -> ThreadEnded {
        self.ended.cancelled().await;
        ThreadEnded
    }

    /// Sends a command to all threads.
    pub(super) async fn send(&self, command: impl Fn() -> ThreadCommand) -> Result<(), ThreadEnded> {
        for thread in &self.threads {
            thread.commands.send(command()).await.map_err(|_| ThreadEnded)?;
        }
        Ok(())
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

    /// Hands a table to all threads at once, and returns when each has taken it.
    pub(super) async fn hand_out(&self, table: Arc<CompiledTable>) -> Result<(), ThreadEnded> {
        let mut answers = Vec::with_capacity(self.threads.len());
        for thread in &self.threads {
            let (taken, answer) = oneshot::channel();
            let command = ThreadCommand::Table { table: Arc::clone(&table), taken };
            thread.commands.send(command).await.map_err(|_| ThreadEnded)?;
            answers.push(answer);
        }
        for answer in answers {
            answer.await.map_err(|_| ThreadEnded)?;
        }
        Ok(())
    }

    /// Whether every thread has confirmed the last ping; then they are pinged again.
    pub(super) fn ping(&mut self) -> bool {
        let has_confirmed =
            |thread: &ThreadHandle| thread.confirmed_ping.load(Ordering::Relaxed) == self.pings;
        if !self.threads.iter().all(has_confirmed) {
            return false;
        }
        self.pings += 1;
        for thread in &self.threads {
            // a full queue belongs to a thread that hangs, which shows at the next tick
            let _ = thread.commands.try_send(ThreadCommand::Ping(self.pings));
        }
        true
    }

    /// Forgets threads that have ended, and says whether any is left. For threads that were asked to end.
    pub(super) fn retain_running(&mut self) -> bool {
        self.threads.retain(|thread| !thread.commands.is_closed());
        !self.threads.is_empty()
    }

    /// Resolves once all threads have ended.
    pub(super) fn all_ended(&self) -> impl Future<Output = ()> + use<> {
        let commands: Vec<_> = self.threads.iter().map(|thread| thread.commands.clone()).collect();
        async move {
            for commands in commands {
                commands.closed().await;
            }
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
