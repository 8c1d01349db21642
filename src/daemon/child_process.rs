//! A child process by its id: also one that this process started before it executed a new version of its program.
//!
//! tokio's own type cannot be made from an id.
//! Invariants: a child that is not reaped keeps its id, so no signal reaches another process; one that is dropped is killed, and
//! reaped once it has ended; no wait here is for ever, because a process that waits for a disk that hangs cannot be killed.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::timeout;

/// A killed process ends within milliseconds; one that has not by then waits for the kernel.
const KILLED_ENDS_WITHIN: Duration = Duration::from_secs(5);
/// For the end of one that is dropped, which holds up this thread: a heartbeat comes every second.
const DROPPED_ENDS_WITHIN: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Children that were dropped and have not ended yet.
static UNREAPED: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A child that was not reaped yet.
#[derive(Debug)]
pub(super) struct ChildProcess {
    pid: Pid,
    is_reaped: bool,
    /// Notified when any child has ended.
    child_ended: SignalStream,
}

impl ChildProcess {
    /// Starts the process. Must run inside a tokio runtime with I/O.
    ///
    /// # Errors
    /// When the process cannot be created.
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        let child_ended = signal(SignalKind::child())?;
        let id = i32::try_from(command.spawn()?.id()).map_err(|_| io::ErrorKind::InvalidData)?;
        let pid = pid(id)?;
        Ok(Self { pid, is_reaped: false, child_ended })
    }

    /// Takes over a child of this process. Must run inside a tokio runtime with I/O.
    ///
    /// # Errors
    /// When the system refuses to report the ends of children.
    pub(super) fn adopt(id: i32) -> io::Result<Self> {
        Ok(Self { pid: pid(id)?, is_reaped: false, child_ended: signal(SignalKind::child())? })
    }

    pub(super) fn id(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Waits until it has ended, and reaps it. May be cancelled and called again, but not once it has returned.
    ///
    /// # Errors
    /// When it is no child of this process.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.reap()? {
                return Ok(status);
            }
            self.child_ended.recv().await;
            UNREAPED.lock().retain(|pid| matches!(reap(*pid), Ok(None)));
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When this process may not.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.is_reaped {
            return Ok(());
        }
        Ok(kill(self.pid, signal)?)
    }

    /// Kills it, and waits for its end.
    ///
    /// # Errors
    /// When this process may not, or when it does not end.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        self.signal(Signal::SIGKILL)?;
        let ended = timeout(KILLED_ENDS_WITHIN, self.wait()).await;
        ended.unwrap_or_else(|_| Err(still_runs(self.pid))).map(drop)
    }

    /// How it ended, if it has.
    fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        let reaped = reap(self.pid);
        // after an error its id may be another process's
        self.is_reaped = !matches!(reaped, Ok(None));
        reaped
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // what cannot be killed or is no child has nothing to wait for
        if self.is_reaped || self.signal(Signal::SIGKILL).is_err() {
            return;
        }
        let mut waited = Duration::ZERO;
        while let Ok(None) = self.reap() {
            if waited >= DROPPED_ENDS_WITHIN {
                tracing::warn!("{}", still_runs(self.pid));
                UNREAPED.lock().push(self.pid);
                return;
            }
            std::thread::sleep(LOOK_EVERY);
            waited += LOOK_EVERY;
        }
    }
}

fn still_runs(pid: Pid) -> io::Error {
    let text = format!("process {pid} was killed and has not ended; it may wait for a disk that hangs");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// Reaps a child, if it has ended.
fn reap(pid: Pid) -> io::Result<Option<ExitStatus>> {
    loop {
        return match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Ok(Some(ExitStatus::from_raw(code << 8))),
            Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Some(ExitStatus::from_raw(signal as i32))),
            Ok(_) => Ok(None),
            Err(Errno::EINTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

fn pid(id: i32) -> io::Result<Pid> {
    // 0 and below are groups of processes
    if id > 0 { Ok(Pid::from_raw(id)) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    async fn end(child: &mut ChildProcess) -> ExitStatus {
        tokio::time::timeout(Duration::from_secs(60), child.wait()).await.expect("it ends").unwrap()
    }

    #[tokio::test]
    async fn wait_returns_exit_codes_and_signals_of_several_children() {
        let mut exits = ChildProcess::spawn(command("exit 78")).unwrap();
        let mut waits = ChildProcess::spawn(command("exec sleep 1000")).unwrap();
        assert_eq!(end(&mut exits).await.code(), Some(78));
        waits.signal(Signal::SIGTERM).unwrap();
        assert_eq!(end(&mut waits).await.signal(), Some(Signal::SIGTERM as i32));
        waits.signal(Signal::SIGTERM).expect("nothing is sent to what has ended");
    }

    #[tokio::test]
    async fn child_is_adopted_by_its_id_also_after_its_end() {
        for script in ["exit 3", "sleep 0.1; exit 3"] {
            let id = command(script).spawn().unwrap().id();
            let mut child = ChildProcess::adopt(i32::try_from(id).unwrap()).unwrap();
            assert_eq!(end(&mut child).await.code(), Some(3), "{script}");
        }
        let mut foreign = ChildProcess::adopt(Pid::this().as_raw()).unwrap();
        assert!(foreign.wait().await.is_err());
        drop(foreign); // which kills no one
        assert!(ChildProcess::adopt(0).is_err());
    }

    #[tokio::test]
    async fn child_that_is_dropped_is_killed_and_reaped() {
        let child = ChildProcess::spawn(command("exec sleep 1000")).unwrap();
        let pid = child.pid;
        drop(child);
        assert_eq!(kill(pid, None), Err(Errno::ESRCH));
    }
}
