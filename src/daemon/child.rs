//! One running child process: how it is watched and stopped.
//!
//! Invariants: [`Child::watch`] returns only after the child was reaped.
//! Deliberately absent: how it is started (`spawner`), whether and when it is restarted (`supervisor`, `restart_backoff`).

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Role;
use super::liveness::ALIVE;

impl Role {
    /// A child without a heartbeat for this long hangs. The balancer's clients wait meanwhile; the controller may be opening
    /// a large store.
    fn heartbeat_timeout(self) -> Duration {
        match self {
            Self::Controller => Duration::from_secs(15),
            Self::Balancer => Duration::from_secs(5),
        }
    }

    /// From SIGTERM to SIGKILL: the balancer itself cuts requests in flight after 30 s, the controller only finishes its
    /// writes.
    fn stop_timeout(self) -> Duration {
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
    /// Kills it.
    pub(super) kill: CancellationToken,
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
    /// As asked.
    Stopped,
}

impl Child {
    /// Watches the child until it has ended and is reaped. `has_started` is set at its first heartbeat after its start.
    /// `channel` serves the child's channel, and resolves only if the child must be replaced.
    ///
    /// # Errors
    /// When the child can no longer be watched or killed.
    pub(super) async fn watch(
        mut self,
        signals: &ChildSignals,
        has_started: &Cell<bool>,
        mut channel: Pin<&mut impl Future<Output = io::Error>>,
    ) -> anyhow::Result<ChildExit> {
        loop {
            tokio::select! {
                status = self.process.wait() => return Ok(ChildExit::Exited(status?)),
                heartbeat = timeout(self.role.heartbeat_timeout(), heartbeat(&self.liveness)) => match heartbeat {
                    Ok(Heartbeat::Starting) => {}
                    Ok(Heartbeat::Alive) if has_started.replace(true) => {}
                    Ok(Heartbeat::Alive) => tracing::info!(role = %self.role, pid = self.pid, "has started"),
                    Ok(Heartbeat::Closed) => return self.reap().await,
                    Err(_) => return self.kill_hung().await,
                },
                error = &mut channel => {
                    tracing::warn!(role = %self.role, pid = self.pid, %error, "cannot pass it sockets");
                    return self.reap().await;
                }
                () = signals.stop.cancelled() => return self.stop(&signals.kill).await,
                () = signals.kill.cancelled() => return self.stop(&signals.kill).await,
            }
        }
    }

    /// A child that has closed its pipe or channel is about to end; one that does not end hangs.
    async fn reap(mut self) -> anyhow::Result<ChildExit> {
        match timeout(self.role.heartbeat_timeout(), self.process.wait()).await {
            Ok(status) => Ok(ChildExit::Exited(status?)),
            Err(_) => self.kill_hung().await,
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
