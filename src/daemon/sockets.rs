//! The descriptors that a child inherits from the supervisor: `LISTEN_FDS` and `LISTEN_FDNAMES`.
//!
//! Invariants: descriptors follow one another from 3 in the order of their names; each is taken at most once. There is no
//! `LISTEN_PID`: a child's id is not known before it runs.
//! Deliberately absent: binding; the sockets that clients of services connect to, which `socket_delivery` passes.

use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use anyhow::{Context, bail};
use listenfd::ListenFd;
use nix::libc::{AF_UNIX, SOCK_DGRAM, SOCK_STREAM};

use super::LivenessPipe;

/// First inherited descriptor; 0 to 2 are the standard streams.
pub(super) const FIRST_FD: RawFd = 3;
/// Number of inherited descriptors.
pub(super) const ENV_COUNT: &str = "LISTEN_FDS";
/// Number of the first one, where it is another.
pub(super) const ENV_FIRST: &str = "LISTEN_FDS_FIRST_FD";
/// Their names, separated by colons.
pub(super) const ENV_NAMES: &str = "LISTEN_FDNAMES";
/// Number of balancer threads: the supervisor has a socket of every address for each.
pub(super) const ENV_THREADS: &str = "COXSWAIN_BALANCER_THREADS";

/// The API's listener.
pub(super) const API: &str = "api";
/// The listener that balancers connect to.
pub(super) const PLANE: &str = "plane";
/// The child's end of its liveness pipe.
pub(super) const LIVENESS: &str = "liveness";
/// The child's end of its datagram channel: commands of the controller, sockets for the balancer.
pub(super) const CHANNEL: &str = "channel";
/// The balancer's directory: its user cannot reach it by path.
pub(super) const STATE: &str = "state";
/// The balancer's lock file: it shows that the process runs.
pub(super) const LOCK: &str = "lock";

/// The controller's descriptors.
#[derive(Debug)]
pub struct ChildSockets {
    /// Clients of the API queue here, also while no controller runs. Blocking; make it non-blocking before use in tokio.
    pub api: UnixListener,
    /// The balancers of this node connect here. Blocking, as above.
    pub plane: UnixListener,
    pub liveness: LivenessPipe,
    /// For a [`SupervisorClient`](super::SupervisorClient).
    pub commands: OwnedFd,
}

/// The balancer's descriptors.
#[derive(Debug)]
pub(super) struct BalancerSockets {
    pub(super) threads: usize,
    /// The supervisor delivers the listening sockets here.
    pub(super) delivery: OwnedFd,
    /// The balancer's directory, by a path that works although its user may not walk there.
    pub(super) directory: PathBuf,
    pub(super) liveness: LivenessPipe,
}

/// Named descriptors, each to be taken once.
pub(super) struct Inherited {
    fds: ListenFd,
    names: Vec<String>,
}

impl Inherited {
    /// Reads the environment; before the first thread, because it also clears `LISTEN_FDS` there.
    pub(super) fn from_env() -> anyhow::Result<Self> {
        let names = std::env::var(ENV_NAMES)
            .context("`--role` is set by the supervisor, and no sockets were inherited")?;
        let names: Vec<String> = names.split(':').map(str::to_owned).collect();
        let fds = ListenFd::from_env();
        if fds.len() != names.len() {
            bail!("{ENV_COUNT} announces {} descriptors, {ENV_NAMES} {}", fds.len(), names.len());
        }
        Ok(Self { fds, names })
    }

    pub(super) fn controller(&mut self) -> anyhow::Result<ChildSockets> {
        Ok(ChildSockets {
            api: self.unix_listener(API)?,
            plane: self.unix_listener(PLANE)?,
            liveness: self.liveness()?,
            commands: self.unix_socket(CHANNEL, SOCK_DGRAM)?,
        })
    }

    pub(super) fn balancer(&mut self) -> anyhow::Result<BalancerSockets> {
        let threads = std::env::var(ENV_THREADS).with_context(|| format!("{ENV_THREADS} is not set"))?;
        let state = FIRST_FD + RawFd::try_from(self.position(STATE)?)?;
        // It stays open, and so locked, until the process has ended.
        self.position(LOCK)?;
        Ok(BalancerSockets {
            threads: threads.parse().with_context(|| format!("{ENV_THREADS}={threads} is not a number"))?,
            delivery: self.unix_socket(CHANNEL, SOCK_DGRAM)?,
            directory: PathBuf::from(format!("/proc/self/fd/{state}")),
            liveness: self.liveness()?,
        })
    }

    fn position(&self, name: &str) -> anyhow::Result<usize> {
        self.names
            .iter()
            .position(|known| known == name)
            .with_context(|| format!("the supervisor passed no descriptor named {name:?}"))
    }

    fn unix_listener(&mut self, name: &str) -> anyhow::Result<UnixListener> {
        let position = self.position(name)?;
        self.fds.take_unix_listener(position)?.with_context(|| format!("{name} was taken already"))
    }

    fn liveness(&mut self) -> anyhow::Result<LivenessPipe> {
        let pipe = self.unix_socket(LIVENESS, SOCK_STREAM)?;
        Ok(LivenessPipe::new(UnixStream::from(pipe))?)
    }

    fn unix_socket(&mut self, name: &str, kind: i32) -> anyhow::Result<OwnedFd> {
        let position = self.position(name)?;
        let socket = self.fds.take_custom::<OwnedFd>(position, AF_UNIX, kind, "unix socket")?;
        socket.with_context(|| format!("{name} was taken already"))
    }
}
