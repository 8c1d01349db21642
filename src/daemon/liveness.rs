//! The pipe between the supervisor and one child: heartbeats up, end of file down.
//!
//! Invariants: a child that stops sending heartbeats is killed; a child that reads end of file has lost its supervisor and
//! ends.
//! Deliberately absent: commands. Only single bytes go up, and nothing comes down.

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// A fifth of the shorter heartbeat timeout (the balancer's), so that a few late heartbeats do not end a child.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// A heartbeat of a child that has started.
pub(super) const ALIVE: u8 = 1;
/// A heartbeat of a child that may still refuse to start.
const STARTING: u8 = 0;

/// A child's end of the pipe. Clones share it.
#[derive(Debug, Clone)]
pub struct LivenessPipe {
    pipe: Arc<UnixStream>,
}

impl LivenessPipe {
    /// Takes the child's end and makes it non-blocking.
    pub(super) fn new(pipe: UnixStream) -> io::Result<Self> {
        pipe.set_nonblocking(true)?;
        Ok(Self { pipe: Arc::new(pipe) })
    }

    /// Sends a heartbeat of a child that is still starting: the supervisor waits, and a refusal still ends the daemon.
    pub(super) fn starting(&self) {
        self.send(STARTING);
    }

    /// Sends a heartbeat. Call it every [`HEARTBEAT_INTERVAL`] from the loop whose hang should end the process.
    pub(super) fn beat(&self) {
        self.send(ALIVE);
    }

    /// Never blocks. A full pipe means that the supervisor has not read for minutes, and a broken one that it has ended,
    /// which [`LivenessPipe::ended`] reports; the loop that sends heartbeats handles neither.
    fn send(&self, heartbeat: u8) {
        match (&*self.pipe).write(&[heartbeat]) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::BrokenPipe) => {}
            Err(error) => tracing::warn!(%error, "cannot send a heartbeat"),
        }
    }

    /// Resolves when the supervisor has ended: the controller then exits, the balancer drains and exits.
    ///
    /// Must run inside a tokio runtime with I/O. May be cancelled and called again.
    ///
    /// # Errors
    /// When the pipe cannot be watched; a child that cannot notice its supervisor's end must end too.
    pub(super) async fn ended(&self) -> io::Result<()> {
        let pipe = tokio::net::UnixStream::from_std(self.pipe.try_clone()?)?;
        let mut nothing = [0; 16];
        loop {
            pipe.readable().await?;
            match pipe.try_read(&mut nothing) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn heartbeats_arrive_and_the_supervisors_end_is_noticed() {
        let (mut supervisor, child) = UnixStream::pair().unwrap();
        let pipe = LivenessPipe::new(child).unwrap();
        pipe.beat();
        pipe.clone().beat();
        let mut seen = [0; 2];
        supervisor.read_exact(&mut seen).unwrap();
        assert_eq!(seen, [ALIVE, ALIVE]);
        assert!(tokio::time::timeout(Duration::from_millis(20), pipe.ended()).await.is_err());
        drop(supervisor);
        tokio::time::timeout(Duration::from_secs(60), pipe.ended()).await.unwrap().unwrap();
        pipe.beat();
    }
}
