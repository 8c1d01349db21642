//! The descriptors that a child inherits from the supervisor: `LISTEN_FDS` and `LISTEN_FDNAMES`.
//!
//! Invariants: descriptors follow one another from 3 in the order of their names; each is taken at most once. There is no
//! `LISTEN_PID`: a child's id is not known before it runs.
//! Deliberately absent: binding, which `listeners` does.

use std::net::TcpListener;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use anyhow::{Context, bail};
use listenfd::ListenFd;

use super::LivenessPipe;

/// First inherited descriptor; 0 to 2 are the standard streams.
pub(super) const FIRST_FD: RawFd = 3;
/// Number of inherited descriptors.
pub(super) const ENV_COUNT: &str = "LISTEN_FDS";
/// Their names, separated by colons.
pub(super) const ENV_NAMES: &str = "LISTEN_FDNAMES";

/// The API's listener.
pub(super) const API: &str = "api";
/// The listener that balancers connect to.
pub(super) const PLANE: &str = "plane";
/// The child's end of its liveness pipe.
pub(super) const LIVENESS: &str = "liveness";
/// The balancer's directory: its user cannot reach it by path.
pub(super) const STATE: &str = "state";

/// Name of the listener of one balancer thread on one address.
pub(super) fn http_name(thread: usize, index: usize) -> String {
    format!("http.{thread}.{index}")
}

/// The controller's descriptors.
#[derive(Debug)]
pub struct ChildSockets {
    /// Clients of the API queue here, also while no controller runs. Blocking; make it non-blocking before use in tokio.
    pub api: UnixListener,
    /// The balancers of this node connect here. Blocking, as above.
    pub plane: UnixListener,
    pub liveness: LivenessPipe,
}

/// The balancer's descriptors.
#[derive(Debug)]
pub(super) struct BalancerSockets {
    /// For each thread its listeners, one for each address. Blocking.
    pub(super) threads: Vec<Vec<TcpListener>>,
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
        let names = std::env::var(ENV_NAMES).context(
            "`--role` is for the children of `ctl serve`, which inherit their sockets; there are none",
        )?;
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
        })
    }

    pub(super) fn balancer(&mut self) -> anyhow::Result<BalancerSockets> {
        let mut threads: Vec<Vec<TcpListener>> = Vec::new();
        for position in 0..self.names.len() {
            let Some((thread, index)) = parse_http_name(&self.names[position]) else { continue };
            let listener =
                self.fds.take_tcp_listener(position)?.context("a listener was handed over twice")?;
            if threads.len() <= thread {
                threads.resize_with(thread + 1, Vec::new);
            }
            if threads[thread].len() != index {
                bail!("listener {} is out of order", self.names[position]);
            }
            threads[thread].push(listener);
        }
        let state = self.position(STATE)?;
        let state = FIRST_FD + RawFd::try_from(state)?;
        Ok(BalancerSockets {
            threads,
            directory: PathBuf::from(format!("/proc/self/fd/{state}")),
            liveness: self.liveness()?,
        })
    }

    fn position(&self, name: &str) -> anyhow::Result<usize> {
        self.names
            .iter()
            .position(|known| known == name)
            .with_context(|| format!("the supervisor handed over no descriptor named {name:?}"))
    }

    fn unix_listener(&mut self, name: &str) -> anyhow::Result<UnixListener> {
        let position = self.position(name)?;
        self.fds.take_unix_listener(position)?.with_context(|| format!("{name} was taken already"))
    }

    fn liveness(&mut self) -> anyhow::Result<LivenessPipe> {
        let position = self.position(LIVENESS)?;
        let unix = nix::libc::AF_UNIX;
        let stream = nix::libc::SOCK_STREAM;
        let pipe = self.fds.take_custom::<OwnedFd>(position, unix, stream, "unix stream socket")?;
        let pipe = UnixStream::from(pipe.context("the liveness pipe was taken already")?);
        Ok(LivenessPipe::new(pipe)?)
    }
}

fn parse_http_name(name: &str) -> Option<(usize, usize)> {
    let (thread, index) = name.strip_prefix("http.")?.split_once('.')?;
    Some((thread.parse().ok()?, index.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_listeners_are_read_back() {
        assert_eq!(parse_http_name(&http_name(3, 1)), Some((3, 1)));
        for other in ["api", "http", "http.1", "http.x.1", "http.1.1.1"] {
            assert_eq!(parse_http_name(other), None, "{other}");
        }
    }
}
