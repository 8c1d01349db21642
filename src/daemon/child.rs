//! One running child process: how it is watched and stopped.
//!
//! Invariants: [`Child::run`] returns only after the child was reaped, or killed because it hangs; a child that is dropped is killed.
//! Deliberately absent: what it is started with (`spawner`), whether and when it is restarted or replaced (`role_keeper`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::pin;
use std::process::{Command, ExitStatus};

use nix::sys::signal::Signal;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::child_process::ChildProcess;
use super::child_timeouts::time_to_end;
use super::command_server::{Supervised, serve_commands};
use super::datagram_channel::DatagramChannel;
use super::hand_over::HandedChild;
use super::heartbeats::{Heartbeat, WATCH_STEP, heartbeat, within_steps};
use super::listeners::Listeners;
use super::liveness::ChildHealth;
use super::role_health::RoleHealth;
use super::socket_delivery::{SocketDelivery, retire};
use super::{Role, VERSION};
use crate::plane::PROTOCOL;

/// Cancelled by the supervisor to end the child of a role, and its successors.
#[derive(Debug, Clone, Default)]
pub(super) struct ChildSignals {
    /// Asks the child to end.
    pub(super) stop: CancellationToken,
    pub(super) kill: CancellationToken,
}

/// This many heartbeats, a second apart, and a child has served.
const SERVED_HEARTBEATS: u32 = 2;
/// What a child is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChildDuty {
    /// A balancer that gets no sockets before it can take over from another one.
    Prepare,
    Serve,
    /// A balancer that finishes its requests while its successor serves.
    Drain,
}

/// A running child.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) role: Role,
    pub(super) pid: i32,
    /// Of its program.
    pub(super) version: String,
    /// Protocol between controller and balancers that it speaks.
    pub(super) plane: u32,
    pub(super) duty: ChildDuty,
    /// Whether this program started it, and not an earlier one of this process.
    pub(super) is_own: bool,
    process: ChildProcess,
    /// The supervisor's end of the liveness pipe.
    liveness: UnixStream,
    channel: DatagramChannel,
    /// What a balancer was passed.
    delivery: SocketDelivery,
    health: watch::Sender<ChildHealth>,
    /// How many have come.
    heartbeats: watch::Sender<u32>,
}

/// How a child ended.
#[derive(Debug)]
pub(super) enum ChildExit {
    /// Without being asked.
    Exited(ExitStatus),
    /// It hung and was killed.
    Hung,
}

impl Child {
    /// Starts the process. One that can no longer be watched is killed: its successor must not find it running.
    ///
    /// # Errors
    /// When the process cannot be created. Must run inside a tokio runtime.
    pub(super) fn spawn(
        role: Role,
        command: Command,
        liveness: UnixStream,
        channel: DatagramChannel,
    ) -> io::Result<Self> {
        let process = ChildProcess::spawn(command)?;
        Ok(Self {
            role,
            pid: process.id(),
            version: VERSION.to_owned(),
            plane: PROTOCOL,
            duty: ChildDuty::Serve,
            is_own: true,
            process,
            liveness,
            channel,
            delivery: SocketDelivery::default(),
            health: watch::Sender::default(),
            heartbeats: watch::Sender::default(),
        })
    }

    /// Continues with a child of an earlier program of this process.
    ///
    /// # Errors
    /// When its descriptors are none. Must run inside a tokio runtime.
    pub(super) fn adopt(handed: HandedChild, liveness: OwnedFd, channel: OwnedFd) -> io::Result<Self> {
        let HandedChild { role, pid, version, plane, is_draining, delivery, health } = handed;
        let liveness = StdUnixStream::from(liveness);
        liveness.set_nonblocking(true)?;
        Ok(Self {
            role,
            pid,
            version,
            plane,
            duty: if is_draining { ChildDuty::Drain } else { ChildDuty::Serve },
            is_own: false,
            process: ChildProcess::adopt(pid)?,
            liveness: UnixStream::from_std(liveness)?,
            channel: DatagramChannel::new(channel)?,
            delivery,
            heartbeats: watch::Sender::new(if health > ChildHealth::Starting {
                SERVED_HEARTBEATS
            } else {
                0
            }),
            health: watch::Sender::new(health),
        })
    }

    /// What the next program of this process needs to know about it; [`Self::descriptors`] come with it.
    pub(super) fn handed_over(&self) -> HandedChild {
        HandedChild {
            role: self.role,
            pid: self.pid,
            version: self.version.clone(),
            plane: self.plane,
            is_draining: self.duty == ChildDuty::Drain,
            delivery: self.delivery.clone(),
            health: *self.health.borrow(),
        }
    }

    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.liveness.as_fd(), self.channel.as_fd()]
    }

    pub(super) fn health(&self) -> watch::Receiver<ChildHealth> {
        self.health.subscribe()
    }

    /// Whether it has served for a while.
    pub(super) fn had_served(&self) -> bool {
        *self.heartbeats.borrow() >= SERVED_HEARTBEATS
    }

    /// Its heartbeats, counted.
    pub(super) fn heartbeats(&self) -> watch::Receiver<u32> {
        self.heartbeats.subscribe()
    }

    /// Passes a balancer all sockets; from now on it accepts.
    ///
    /// # Errors
    /// When it does not take them in the time in which it must send a heartbeat.
    pub(super) async fn pass_sockets(&mut self, listeners: &Listeners) -> io::Result<()> {
        self.duty = ChildDuty::Serve;
        let open = listeners.subscribe().borrow().clone();
        timeout(self.role.heartbeat_timeout(), self.delivery.deliver(&self.channel, &open)).await?
    }

    /// Watches the child until it has ended and is reaped; a balancer gets its sockets, a controller its answers. May be cancelled
    /// and called again.
    ///
    /// # Errors
    /// When the child can no longer be watched or killed.
    pub(super) async fn run(
        &mut self,
        supervised: Supervised<'_>,
        of_role: &RoleHealth,
    ) -> anyhow::Result<ChildExit> {
        let Self { role, pid, duty, process, liveness, channel, delivery, health, heartbeats, .. } = self;
        let role = *role;
        let silence = role.heartbeat_timeout();
        let serve_channel = async {
            match (role, duty) {
                (Role::Controller, _) => match serve_commands(channel, *pid, supervised).await {},
                // one that does not read hangs, as one that sends no heartbeat
                (Role::Balancer, ChildDuty::Serve) => {
                    delivery.run(channel, supervised.listeners, silence).await
                }
                (Role::Balancer, _) => std::future::pending().await,
            }
        };
        let mut serve_channel = pin!(serve_channel);
        let ends_within = loop {
            tokio::select! {
                status = process.wait() => return Ok(ChildExit::Exited(status?)),
                heartbeat = within_steps(silence, heartbeat(liveness)) => match heartbeat {
                    Some(Heartbeat::Of(ChildHealth::Starting)) => {}
                    Some(Heartbeat::Of(found)) => {
                        heartbeats.send_modify(|count| *count = count.saturating_add(1));
                        health.send_if_modified(|last| std::mem::replace(last, found) != found);
                        supervised.children.serves(*pid);
                        if of_role.beat() {
                            tracing::info!(%role, pid, "has started");
                        }
                    }
                    Some(Heartbeat::Closed) => break silence,
                    None => return kill_hung(process),
                },
                error = &mut serve_channel => {
                    tracing::warn!(%role, pid, %error, "cannot pass it sockets");
                    break time_to_end(role, &error);
                }
            }
        };
        // it is about to end, or hangs
        tokio::select! {
            status = process.wait() => Ok(ChildExit::Exited(status?)),
            () = tokio::time::sleep(ends_within) => kill_hung(process),
        }
    }

    /// Sends SIGTERM, then SIGKILL after a timeout or at `kill_now`.
    ///
    /// # Errors
    /// When this process may not, or when the child does not end even so.
    pub(super) async fn stop(&mut self, kill_now: &CancellationToken) -> io::Result<()> {
        let Self { role, pid, process, .. } = self;
        process.signal(Signal::SIGTERM)?;
        let timeout = role.stop_timeout();
        tokio::select! {
            status = process.wait() => return status.map(drop),
            () = tokio::time::sleep(timeout) => {
                tracing::warn!(%role, pid, "did not end within {timeout:?}; killing it");
            }
            () = kill_now.cancelled() => tracing::warn!(%role, pid, "killing it"),
        }
        process.kill().await
    }

    /// Kills it; its end is still to be waited for.
    ///
    /// # Errors
    /// When this process may not.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.process.signal(Signal::SIGKILL)
    }

    /// Asks it to end.
    ///
    /// # Errors
    /// When this process may not.
    pub(super) fn terminate(&mut self) -> io::Result<()> {
        self.duty = ChildDuty::Drain;
        self.process.signal(Signal::SIGTERM)
    }

    /// Lets a balancer finish its requests: its successor serves. One that cannot be asked gets SIGTERM, which leaves it less
    /// time.
    ///
    /// # Errors
    /// When this process may not.
    pub(super) async fn retire(&mut self) -> io::Result<()> {
        self.duty = ChildDuty::Drain;
        match timeout(WATCH_STEP, retire(&self.channel)).await {
            Ok(Ok(())) => Ok(()),
            _ => self.process.signal(Signal::SIGTERM),
        }
    }
}

/// Its end is not waited for: it may hang in the kernel, and its successor is to start. It is reaped when it is dropped.
fn kill_hung(process: &ChildProcess) -> anyhow::Result<ChildExit> {
    process.signal(Signal::SIGKILL)?;
    Ok(ChildExit::Hung)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::super::child_records::ChildRecords;
    use super::super::datagram_channel::datagram_pair;
    use super::super::incidents::Incidents;
    use super::super::reloads::Reloads;
    use super::*;
    use crate::clock::RealClock;

    /// A balancer that ends only by a signal; and its end of the liveness pipe.
    fn child() -> (Child, UnixStream, OwnedFd) {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let (liveness, pipe) = UnixStream::pair().unwrap();
        let (channel, childs) = datagram_pair().unwrap();
        (Child::spawn(Role::Balancer, command, liveness, channel).unwrap(), pipe, childs)
    }

    /// How a child ended, and how long it was watched.
    #[derive(Debug)]
    struct Watched {
        exit: ChildExit,
        lasted: Duration,
    }

    async fn watch(child: &mut Child) -> Watched {
        let listeners = Listeners::bind(&["127.0.0.1:0".parse().unwrap()], &[], None).unwrap();
        let (children, incidents) = (ChildRecords::default(), Incidents::default());
        let (clock, reloads) = (RealClock::new(), Reloads::default());
        let about = Supervised {
            listeners: &listeners,
            children: &children,
            incidents: &incidents,
            clock: &clock,
            reloads: &reloads,
        };
        let started = Instant::now();
        let exit = child.run(about, &RoleHealth::default()).await.unwrap();
        Watched { exit, lasted: started.elapsed() }
    }

    #[tokio::test(start_paused = true)]
    async fn child_without_heartbeats_is_killed() {
        let (mut child, _pipe, _channel) = child();
        let watched = watch(&mut child).await;
        assert!(matches!(watched.exit, ChildExit::Hung), "{:?}", watched.exit);
        assert_eq!(watched.lasted, Role::Balancer.heartbeat_timeout());
    }
}
