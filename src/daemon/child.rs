//! One child process: how it is started, watched and ended.
//!
//! Invariants: a child is reaped before this module lets go of it; it gets the descriptors that its role needs and no
//! other; it never has the terminal's signals, because the order of stopping is the supervisor's.
//! Deliberately absent: whether and when a successor is started (`supervisor`, `restart`).

use std::cell::Cell;
use std::ffi::OsString;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use super::life::ALIVE;
use super::listeners::Listeners;
use super::sockets::{API, ENV_COUNT, ENV_NAMES, FIRST_FD, LIFE, PLANE, STATE, http_name};
use super::state_dir::StateDir;
use super::telemetry::ENV_FILTER;
use super::{Role, ServeOptions};

/// A file that always is the executable of the process that opens it: of the supervisor until exec. A package upgrade
/// that replaces the file on disk does not mix versions.
const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// What the balancer keeps of the environment, which may hold anyone's secrets.
const BALANCER_ENVIRONMENT: [&str; 3] = [ENV_FILTER, "NO_COLOR", "RUST_BACKTRACE"];

impl Role {
    /// A child that has not beaten for this long hangs. The balancer's clients wait meanwhile; the controller may be
    /// opening a large store.
    fn patience(self) -> Duration {
        match self {
            Self::Controller => Duration::from_secs(15),
            Self::Balancer => Duration::from_secs(5),
        }
    }

    /// How long a child may take to end when it is asked to: the balancer cuts requests in flight itself after 30 s, the
    /// controller has only its writes to finish.
    fn stop_within(self) -> Duration {
        match self {
            Self::Controller => Duration::from_secs(10),
            Self::Balancer => Duration::from_secs(35),
        }
    }
}

/// All that children are made from.
#[derive(Debug)]
pub(super) struct Nursery {
    pub(super) options: ServeOptions,
    pub(super) listeners: Listeners,
    pub(super) state: StateDir,
    pub(super) balancer_user: Option<u32>,
}

/// A running child.
#[derive(Debug)]
pub(super) struct Child {
    role: Role,
    process: tokio::process::Child,
    pid: u32,
    line: tokio::net::UnixStream,
}

/// How a child ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// By itself.
    Exited(ExitStatus),
    /// It hung and was killed.
    Silent,
    /// As asked.
    Stopped,
}

impl Nursery {
    /// Starts a child. `first` says that no child of this role has ever lived.
    ///
    /// # Errors
    /// When the process cannot be made. Must run inside a tokio runtime.
    pub(super) fn start(&self, role: Role, first: bool) -> anyhow::Result<Child> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let handed = self.descriptors(role, theirs)?;
        let names: Vec<&str> = handed.iter().map(|(name, _)| name.as_str()).collect();
        let mut command = Command::new(OWN_EXECUTABLE);
        command
            .arg0("ctl")
            .args(arguments(role, &self.options, first))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0);
        if role == Role::Balancer {
            self.strip(&mut command);
        }
        command
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDS_FIRST_FD")
            .env(ENV_COUNT, names.len().to_string())
            .env(ENV_NAMES, names.join(":"))
            .fd_mappings(mappings(handed)?)?;
        let process = tokio::process::Command::from(command).spawn()?;
        let pid = process.id().context("it ended before it began")?;
        tracing::info!(%role, pid, "started");
        Ok(Child { role, process, pid, line: tokio::net::UnixStream::from_std(ours)? })
    }

    /// Takes away what the process that faces the network does not need. As root, std also clears the supplementary
    /// groups with the user id, `docker` among them.
    fn strip(&self, command: &mut Command) {
        command.env_clear();
        command.envs(BALANCER_ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        if let Some(id) = self.balancer_user {
            command.uid(id).gid(id);
        }
    }

    fn descriptors(&self, role: Role, life: UnixStream) -> std::io::Result<Vec<(String, OwnedFd)>> {
        let mut handed = vec![(LIFE.to_owned(), OwnedFd::from(life))];
        match role {
            Role::Controller => {
                handed.push((API.to_owned(), self.listeners.api.as_fd().try_clone_to_owned()?));
                handed.push((PLANE.to_owned(), self.listeners.plane.as_fd().try_clone_to_owned()?));
            }
            Role::Balancer => {
                handed.push((STATE.to_owned(), self.state.balancer.as_fd().try_clone_to_owned()?));
                handed.extend(http_descriptors(&self.listeners.http)?);
            }
        }
        Ok(handed)
    }
}

fn http_descriptors(threads: &[Vec<TcpListener>]) -> std::io::Result<Vec<(String, OwnedFd)>> {
    let mut handed = Vec::new();
    for (thread, listeners) in threads.iter().enumerate() {
        for (index, listener) in listeners.iter().enumerate() {
            handed.push((http_name(thread, index), listener.as_fd().try_clone_to_owned()?));
        }
    }
    Ok(handed)
}

fn mappings(handed: Vec<(String, OwnedFd)>) -> anyhow::Result<Vec<FdMapping>> {
    handed
        .into_iter()
        .enumerate()
        .map(|(position, (_, parent_fd))| {
            Ok(FdMapping { parent_fd, child_fd: FIRST_FD + RawFd::try_from(position)? })
        })
        .collect()
}

/// The command line of a child: the daemon's own, with its role, so that `ps` tells them apart. A new store is asked for
/// only until a controller has lived: a store that disappears later must not be replaced by an empty one in silence.
fn arguments(role: Role, options: &ServeOptions, first: bool) -> Vec<OsString> {
    let ServeOptions {
        state_dir,
        socket,
        http,
        docker,
        network_pool,
        exposure,
        balancer_host,
        new_store,
        manifests,
    } = options;
    let mut arguments: Vec<OsString> = vec!["serve".into(), "--role".into(), role.as_str().into()];
    let mut flag = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    flag("--state-dir", state_dir.into());
    flag("--socket", socket.into());
    for address in http {
        flag("--http", address.to_string().into());
    }
    flag("--docker", docker.into());
    flag("--network-pool", network_pool.into());
    if let Some(exposure) = exposure {
        flag("--exposure", exposure.to_string().into());
    }
    if let Some(host) = balancer_host {
        flag("--balancer-host", host.into());
    }
    if let Some(directory) = manifests {
        flag("--manifests", directory.into());
    }
    if *new_store && first {
        arguments.push("--new-store".into());
    }
    arguments
}

impl Child {
    /// Watches the child until it ended and is reaped. `stop` asks it to end, `kill` ends it; `beaten` is set at its
    /// first heartbeat after its start.
    ///
    /// # Errors
    /// When the child can no longer be watched; it is dead then, as far as we can tell.
    pub(super) async fn watch(
        mut self,
        stop: &CancellationToken,
        kill: &CancellationToken,
        beaten: &Cell<bool>,
    ) -> anyhow::Result<Ending> {
        loop {
            tokio::select! {
                status = self.process.wait() => return Ok(Ending::Exited(status?)),
                beat = tokio::time::timeout(self.role.patience(), heard(&self.line)) => match beat {
                    Ok(Beat::Starting) => {}
                    Ok(Beat::Alive) if beaten.replace(true) => {}
                    Ok(Beat::Alive) => tracing::info!(role = %self.role, pid = self.pid, "is through with its start"),
                    // It is ending or has closed its line; the former is about to show, the latter counts as silence.
                    Ok(Beat::Closed) => return self.settle().await,
                    Err(_) => return self.silenced().await,
                },
                () = stop.cancelled() => return self.end(kill).await,
                () = kill.cancelled() => return self.end(kill).await,
            }
        }
    }

    async fn settle(mut self) -> anyhow::Result<Ending> {
        match tokio::time::timeout(self.role.patience(), self.process.wait()).await {
            Ok(status) => Ok(Ending::Exited(status?)),
            Err(_) => self.silenced().await,
        }
    }

    async fn silenced(mut self) -> anyhow::Result<Ending> {
        self.process.kill().await?;
        Ok(Ending::Silent)
    }

    /// SIGTERM, then SIGKILL when it takes too long or the user has no more patience.
    async fn end(mut self, kill_now: &CancellationToken) -> anyhow::Result<Ending> {
        // The child is not reaped yet, so the id is still its own.
        kill(Pid::from_raw(i32::try_from(self.pid)?), Signal::SIGTERM)?;
        let within = self.role.stop_within();
        tokio::select! {
            status = self.process.wait() => {
                status?;
                return Ok(Ending::Stopped);
            }
            () = tokio::time::sleep(within) => {
                tracing::warn!(role = %self.role, pid = self.pid, "did not end within {within:?}; killing it");
            }
            () = kill_now.cancelled() => tracing::warn!(role = %self.role, pid = self.pid, "killing it"),
        }
        self.process.kill().await?;
        Ok(Ending::Stopped)
    }
}

enum Beat {
    Starting,
    Alive,
    Closed,
}

async fn heard(line: &tokio::net::UnixStream) -> Beat {
    let mut beats = [0; 64];
    loop {
        if line.readable().await.is_err() {
            return Beat::Closed;
        }
        match line.try_read(&mut beats) {
            Ok(0) => return Beat::Closed,
            Ok(count) if beats[..count].contains(&ALIVE) => return Beat::Alive,
            Ok(_) => return Beat::Starting,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return Beat::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_given_the_flags_of_the_daemon() {
        let options = ServeOptions {
            state_dir: "/var/lib/x y".into(),
            socket: "/run/s".into(),
            http: vec!["0.0.0.0:80".parse().unwrap(), "[::]:81".parse().unwrap()],
            docker: "/run/docker.sock".into(),
            network_pool: "10.9.0.0/16".into(),
            exposure: Some(crate::model::ExposureMode::Published),
            balancer_host: Some("harbour.lan".into()),
            new_store: true,
            manifests: Some("/etc/m".into()),
        };
        let first = arguments(Role::Controller, &options, true);
        let expected = [
            "serve",
            "--role",
            "controller",
            "--state-dir",
            "/var/lib/x y",
            "--socket",
            "/run/s",
            "--http",
            "0.0.0.0:80",
            "--http",
            "[::]:81",
            "--docker",
            "/run/docker.sock",
            "--network-pool",
            "10.9.0.0/16",
            "--exposure",
            "published",
            "--balancer-host",
            "harbour.lan",
            "--manifests",
            "/etc/m",
            "--new-store",
        ];
        assert_eq!(first, expected);
        assert_eq!(arguments(Role::Controller, &options, false), expected[..expected.len() - 1]);
        assert_eq!(arguments(Role::Balancer, &options, false)[2], "balancer");
    }
}
