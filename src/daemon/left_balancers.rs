//! Balancers of an earlier supervisor of this state directory, which ended without stopping them.
//!
//! They close their listening sockets at once, drain, follow this daemon's controller, and end within their drain limit. One that
//! does not end hangs, and every rollout would wait for it; one that still listens hangs, and this daemon could not start. Such a
//! balancer is killed. Only time in which this process runs counts, as for the children.
//! Invariant: only a process is killed whose lock, id and start time are those of a balancer, and which was started as that
//! balancer: never one that has its process id by now.

use std::convert::Infallible;
use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::balancer_locks::{BalancerLocks, LockedBalancer};
use super::heartbeats::WATCH_STEP;
use super::incidents::{Incident, Incidents};
use super::{Role, StartError};

/// The balancers that were left.
#[derive(Debug)]
pub(super) struct LeftBalancers<'a> {
    locks: &'a BalancerLocks,
    left: Vec<LockedBalancer>,
}

impl<'a> LeftBalancers<'a> {
    /// Those that run now, but for these processes, which are this supervisor's. Call it before it starts others.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(super) fn find(locks: &'a BalancerLocks, own: &[i32]) -> std::io::Result<Self> {
        let is_own = |left: &LockedBalancer| left.process.is_some_and(|process| own.contains(&process.pid));
        let left: Vec<_> = locks.running()?.into_iter().filter(|left| !is_own(left)).collect();
        for balancer in &left {
            let pid = balancer.process.map(|process| process.pid);
            tracing::warn!(balancer = %balancer.id, pid, "a balancer of an earlier daemon still runs; rollouts wait for it");
        }
        Ok(Self { locks, left })
    }

    /// If they cannot be listed.
    pub(super) fn none(locks: &'a BalancerLocks) -> Self {
        Self { locks, left: Vec::new() }
    }

    /// Waits until they have ended, and kills those that do not end within the time that a balancer has to stop.
    pub(super) async fn end(mut self, incidents: &Incidents) -> Infallible {
        let limit = Role::Balancer.stop_timeout();
        let mut waited = Duration::ZERO;
        while !self.left.is_empty() && waited < limit {
            tokio::time::sleep(WATCH_STEP).await;
            waited += WATCH_STEP;
            self.look();
        }
        for balancer in &self.left {
            kill_left(balancer, incidents);
        }
        std::future::pending().await
    }

    /// Forgets those that have ended.
    fn look(&mut self) {
        match self.locks.running() {
            Ok(running) => self.left.retain(|left| {
                let runs = running.iter().any(|running| running.id == left.id);
                if !runs {
                    tracing::info!(balancer = %left.id, "the balancer of an earlier daemon has ended");
                }
                runs
            }),
            Err(error) => tracing::warn!(%error, "cannot list the balancers that run"),
        }
    }
}

/// Binds the listening sockets, also if a balancer that hangs still has them. `bind` waits for one that is ending.
///
/// # Errors
/// Of `bind`, if nothing can be done about it.
pub(super) fn bind_despite_hanging<T>(
    locks: &BalancerLocks,
    incidents: &Incidents,
    mut bind: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut killed = None;
    loop {
        let error = match bind() {
            Ok(bound) => return Ok(bound),
            Err(error) => error,
        };
        let Some(StartError::AddressInUse { owner: Some(owner), .. }) = error.downcast_ref() else {
            return Err(error);
        };
        let is_owner = |left: &LockedBalancer| {
            left.process.is_some_and(|process| u32::try_from(process.pid) == Ok(owner.pid))
        };
        let running = locks.running().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot list the balancers that run");
            Vec::new()
        });
        let hanging = running.into_iter().find(is_owner);
        // one that its kill has not ended waits for a disk, perhaps for ever
        let may_end = killed != Some(owner.pid);
        if !may_end || !hanging.is_some_and(|balancer| kill_left(&balancer, incidents)) {
            return Err(error);
        }
        killed = Some(owner.pid);
    }
}

/// Kills a balancer; returns whether it was.
fn kill_left(balancer: &LockedBalancer, incidents: &Incidents) -> bool {
    let id = &balancer.id;
    let Some(process) = balancer.process.filter(|process| process.runs() && is_balancer(process.pid, id))
    else {
        tracing::error!(balancer = %id, "a balancer of an earlier daemon does not end, and its process is not known; rollouts wait until it is ended by hand");
        return false;
    };
    match kill(Pid::from_raw(process.pid), Signal::SIGKILL) {
        Ok(()) => {
            tracing::warn!(balancer = %id, pid = process.pid, "a balancer of an earlier daemon did not end; killed it");
            incidents.record(Incident::BalancerKilled { balancer: id.clone(), pid: process.pid });
            true
        }
        Err(error) => {
            tracing::error!(balancer = %id, pid = process.pid, %error, "cannot kill a balancer of an earlier daemon");
            false
        }
    }
}

/// Whether a process was started as this balancer, by its command line.
fn is_balancer(pid: i32, id: &crate::model::BalancerId) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    words.windows(2).any(|pair| pair == [b"--balancer-id".as_slice(), id.as_str().as_bytes()])
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::process::{Child, Command, Stdio};

    use command_fds::{CommandFdExt, FdMapping};
    use tokio::time::timeout;

    use super::*;
    use crate::daemon::PortOwner;

    /// A process that holds the lock of a balancer, with these arguments.
    fn holder(locks: &BalancerLocks, id: &str, arguments: &[&str]) -> Child {
        let lock = locks.register(id.into()).unwrap();
        // Reads from a pipe that is never written to.
        let mut command = Command::new("sh");
        command.args(["-c", "read line", "sh"]).args(arguments).stdin(Stdio::piped());
        let descriptor = FdMapping { parent_fd: lock.descriptor().unwrap(), child_fd: 3 };
        let child = command.fd_mappings(vec![descriptor]).unwrap().spawn().unwrap();
        lock.record(i32::try_from(child.id()).unwrap()).unwrap();
        child
    }

    #[test]
    fn only_a_balancer_that_has_the_address_is_killed_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let locks = BalancerLocks::of(directory.path());
        locks.prepare().unwrap();
        let mut hanging = holder(&locks, "a", &["--balancer-id", "a"]);
        let mut other = holder(&locks, "b", &["--balancer-id", "b"]);
        let incidents = Incidents::default();
        let address = ([127, 0, 0, 1], 1).into();
        // The second try succeeds, if there is one.
        let bind = |owner: Option<u32>| {
            let mut tries = 0;
            bind_despite_hanging(&locks, &incidents, || {
                tries += 1;
                let owner = owner.map(|pid| PortOwner { pid, command: "ctl".to_owned() });
                if tries == 2 { Ok(()) } else { Err(StartError::AddressInUse { address, owner }.into()) }
            })
        };
        assert!(bind(Some(std::process::id())).is_err(), "a process that is no balancer");
        assert!(bind(None).is_err(), "its owner is not known");
        assert!(bind(Some(hanging.id())).is_ok());
        hanging.wait().unwrap();
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn balancer_that_does_not_end_is_killed_after_its_time_and_no_other_process_is() {
        let directory = tempfile::tempdir().unwrap();
        let locks = BalancerLocks::of(directory.path());
        locks.prepare().unwrap();
        let mut hanging = holder(&locks, "a", &["--balancer-id", "a"]);
        let mut another = holder(&locks, "b", &["--balancer-id", "c"]);
        let incidents = Incidents::default();
        let left = LeftBalancers::find(&locks, &[]).unwrap();
        let mut own = holder(&locks, "d", &["--balancer-id", "d"]);
        let mut ending = pin!(left.end(&incidents));
        let limit = Role::Balancer.stop_timeout();
        assert!(timeout(limit - WATCH_STEP, &mut ending).await.is_err());
        assert!(hanging.try_wait().unwrap().is_none(), "not before its time");
        assert!(timeout(WATCH_STEP * 2, &mut ending).await.is_err(), "it never resolves");
        hanging.wait().unwrap();
        assert!(another.try_wait().unwrap().is_none(), "not the balancer of that lock");
        assert!(own.try_wait().unwrap().is_none());
        let killed =
            Incident::BalancerKilled { balancer: "a".into(), pid: i32::try_from(hanging.id()).unwrap() };
        let recorded = incidents.next(0).unwrap();
        assert_eq!(recorded.incident, killed);
        assert_eq!(incidents.next(recorded.number), None);
        for child in [&mut another, &mut own] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
