//! One running child process: how it is watched and stopped.
//!
//! Invariants: [`Child::watch`] returns only after the child was reaped; a child that is dropped is killed.
//! Deliberately absent: what it is started with (`spawner`), whether and when it is restarted (`supervisor`, `restart_backoff`).

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Role;
use super::liveness::ALIVE;
use super::service_manager::RoleState;

impl Role {
    /// A child without a heartbeat for this long hangs. The balancer's clients wait meanwhile; the controller may be opening
    /// a large store.
    pub(super) fn heartbeat_timeout(self) -> Duration {
        match self {
            Self::Controller => Duration::from_secs(15),
            Self::Balancer => Duration::from_secs(5),
        }
    }

    /// From SIGTERM to SIGKILL: the balancer itself cuts requests in flight after 30 s, the controller only finishes its
    /// writes.
    pub(super) fn stop_timeout(self) -> Duration {
        match self {
            Self::Controller => Duration::from_secs(10),
            Self::Balancer => Duration::from_secs(35),
        }
    }
}

/// Cancelled by the supervisor to end the child of a role, and its successors.
#[derive(Debug, Clone, Default)]
pub(super) struct ChildSignals {
    /// Asks the child to end.
    pub(super) stop: CancellationToken,
    pub(super) kill: CancellationToken,
}

/// This many heartbeats, a second apart, and a child has served.
const SERVED_HEARTBEATS: u32 = 2;
/// The watcher notices a missing heartbeat in steps of this length: time in which it did not run itself, because all
/// processes were stopped or the machine was suspended, counts as one step.
pub(super) const WATCH_STEP: Duration = Duration::from_millis(500);

/// The heartbeats of the children of one role.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    state: Cell<RoleState>,
    /// Woken when the state changes.
    pub(super) changed: Notify,
    /// Whether a child of this role has started successfully.
    has_started: Cell<bool>,
    /// Those of the current child since it serves.
    of_this_child: Cell<u32>,
}

impl Heartbeats {
    pub(super) fn have_started(&self) -> bool {
        self.has_started.get()
    }

    /// Whether the last child had served for a while.
    pub(super) fn had_served(&self) -> bool {
        self.of_this_child.get() >= SERVED_HEARTBEATS
    }

    /// Another child begins.
    fn begin(&self) {
        self.of_this_child.set(0);
    }

    /// What the role's process does.
    pub(super) fn state(&self) -> RoleState {
        self.state.get()
    }

    /// The current child has ended.
    pub(super) fn end(&self) {
        self.enter(RoleState::Restarting);
    }

    fn enter(&self, state: RoleState) {
        if self.state.replace(state) != state {
            self.changed.notify_one();
        }
    }

    /// A heartbeat of a child that serves; returns whether it is the first of its role.
    fn beat(&self) -> bool {
        self.enter(RoleState::Serving);
        self.of_this_child.set(self.of_this_child.get().saturating_add(1));
        !self.has_started.replace(true)
    }
}

/// A running child.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) role: Role,
    pub(super) process: tokio::process::Child,
    pub(super) pid: u32,
    /// The supervisor's end of the liveness pipe.
    pub(super) liveness: UnixStream,
}

/// How a child ended.
#[derive(Debug)]
pub(super) enum ChildExit {
    /// Without being asked.
    Exited(ExitStatus),
    /// It hung and was killed.
    Hung,
    Stopped,
}

impl Child {
    /// Starts the process. One that can no longer be watched is killed: its successor must not find it running.
    ///
    /// # Errors
    /// When the process cannot be created. Must run inside a tokio runtime.
    pub(super) fn spawn(role: Role, command: Command, liveness: UnixStream) -> anyhow::Result<Self> {
        let process = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
        let pid = process.id().context("the child ended at once")?;
        Ok(Self { role, process, pid, liveness })
    }

    /// Watches the child until it has ended and is reaped. `heartbeats` records them.
    /// `channel` serves the child's channel, and resolves only if the child must be replaced.
    ///
    /// # Errors
    /// When the child can no longer be watched or killed.
    pub(super) async fn watch(
        mut self,
        signals: &ChildSignals,
        heartbeats: &Heartbeats,
        mut channel: Pin<&mut impl Future<Output = io::Error>>,
    ) -> anyhow::Result<ChildExit> {
        heartbeats.begin();
        loop {
            tokio::select! {
                status = self.process.wait() => return Ok(ChildExit::Exited(status?)),
                heartbeat = within_steps(self.role.heartbeat_timeout(), heartbeat(&self.liveness)) => match heartbeat {
                    Some(Heartbeat::Starting) => {}
                    Some(Heartbeat::Alive) if !heartbeats.beat() => {}
                    Some(Heartbeat::Alive) => tracing::info!(role = %self.role, pid = self.pid, "has started"),
                    Some(Heartbeat::Closed) => {
                        let limit = self.role.heartbeat_timeout();
                        return self.reap(limit, signals).await;
                    }
                    None => return self.kill_hung().await,
                },
                error = &mut channel => {
                    tracing::warn!(role = %self.role, pid = self.pid, %error, "cannot pass it sockets");
                    let limit = self.time_to_end(&error);
                    return self.reap(limit, signals).await;
                }
                () = signals.stop.cancelled() => return self.stop(&signals.kill).await,
                () = signals.kill.cancelled() => return self.stop(&signals.kill).await,
            }
        }
    }

    /// For how long a child may run on whose channel failed: one that closed its end may finish its requests, one that does
    /// not read hangs.
    fn time_to_end(&self, error: &io::Error) -> Duration {
        match error.kind() {
            ErrorKind::TimedOut => self.role.heartbeat_timeout(),
            _ => self.role.stop_timeout(),
        }
    }

    /// A child that has closed its pipe or channel is about to end; one that does not end within the limit hangs.
    async fn reap(mut self, limit: Duration, signals: &ChildSignals) -> anyhow::Result<ChildExit> {
        tokio::select! {
            status = self.process.wait() => Ok(ChildExit::Exited(status?)),
            () = tokio::time::sleep(limit) => self.kill_hung().await,
            () = signals.stop.cancelled() => self.stop(&signals.kill).await,
            () = signals.kill.cancelled() => self.stop(&signals.kill).await,
        }
    }

    async fn kill_hung(mut self) -> anyhow::Result<ChildExit> {
        self.process.kill().await?;
        Ok(ChildExit::Hung)
    }

    /// Sends SIGTERM, then SIGKILL after a timeout or at `kill_now`.
    async fn stop(mut self, kill_now: &CancellationToken) -> anyhow::Result<ChildExit> {
        // the child is not reaped yet, so the id is still its own
        kill(Pid::from_raw(i32::try_from(self.pid)?), Signal::SIGTERM)?;
        let timeout = self.role.stop_timeout();
        tokio::select! {
            status = self.process.wait() => {
                status?;
                return Ok(ChildExit::Stopped);
            }
            () = tokio::time::sleep(timeout) => {
                tracing::warn!(role = %self.role, pid = self.pid, "did not end within {timeout:?}; killing it");
            }
            () = kill_now.cancelled() => tracing::warn!(role = %self.role, pid = self.pid, "killing it"),
        }
        self.process.kill().await?;
        Ok(ChildExit::Stopped)
    }
}

/// The output of the future; `None` if it has none after this much time in which this process ran.
async fn within_steps<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
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

enum Heartbeat {
    Starting,
    Alive,
    Closed,
}

async fn heartbeat(pipe: &UnixStream) -> Heartbeat {
    let mut bytes = [0; 64];
    loop {
        if pipe.readable().await.is_err() {
            return Heartbeat::Closed;
        }
        match pipe.try_read(&mut bytes) {
            Ok(0) => return Heartbeat::Closed,
            Ok(count) if bytes[..count].contains(&ALIVE) => return Heartbeat::Alive,
            Ok(_) => return Heartbeat::Starting,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Heartbeat::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// A process that ends only by a signal.
    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("1000");
        command
    }

    /// How a child ended, and how long it was watched.
    #[derive(Debug)]
    struct Watched {
        exit: ChildExit,
        lasted: Duration,
    }

    /// Watches a child that ends only by a signal and whose channel failed with this error.
    async fn watch(error: ErrorKind, signals: &ChildSignals) -> Watched {
        let (liveness, _pipe) = UnixStream::pair().unwrap();
        let child = Child::spawn(Role::Balancer, sleeper(), liveness).unwrap();
        let started = Instant::now();
        let heartbeats = Heartbeats::default();
        let exit = child.watch(signals, &heartbeats, pin!(std::future::ready(error.into()))).await.unwrap();
        Watched { exit, lasted: started.elapsed() }
    }

    #[tokio::test]
    async fn child_that_is_dropped_is_killed() {
        let (liveness, _pipe) = UnixStream::pair().unwrap();
        let child = Child::spawn(Role::Controller, sleeper(), liveness).unwrap();
        let pid = Pid::from_raw(i32::try_from(child.pid).unwrap());
        drop(child);
        // tokio reaps it when it hears of its end; until then it is a zombie
        let ended = async {
            while kill(pid, None).is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), ended).await.expect("it has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn balancer_that_closed_its_channel_has_the_drain_time_to_end() {
        let watched = watch(ErrorKind::BrokenPipe, &ChildSignals::default()).await;
        assert!(matches!(watched.exit, ChildExit::Hung), "{:?}", watched.exit);
        assert_eq!(watched.lasted, Role::Balancer.stop_timeout());
    }

    #[tokio::test(start_paused = true)]
    async fn balancer_that_does_not_read_its_channel_is_killed_as_one_without_heartbeats() {
        let watched = watch(ErrorKind::TimedOut, &ChildSignals::default()).await;
        assert!(matches!(watched.exit, ChildExit::Hung), "{:?}", watched.exit);
        assert_eq!(watched.lasted, Role::Balancer.heartbeat_timeout());
    }

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

    #[tokio::test(start_paused = true)]
    async fn signals_are_obeyed_while_a_balancer_drains() {
        let stops = ChildSignals::default();
        let kills = ChildSignals::default();
        for (signals, token) in [(&stops, &stops.stop), (&kills, &kills.kill)] {
            let signalled = async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                token.cancel();
            };
            let (watched, ()) = tokio::join!(watch(ErrorKind::BrokenPipe, signals), signalled);
            assert!(matches!(watched.exit, ChildExit::Stopped), "{:?}", watched.exit);
        }
    }
}
