//! The line between the supervisor and one child: heartbeats up, end of file down.
//!
//! Invariants: a child that stops beating is killed; a child that reads end of file has lost its supervisor and ends.
//! Deliberately absent: commands. Nothing but single bytes goes up and nothing at all comes down.

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// How often a child beats: a third of the supervisor's patience with a balancer leaves room for two lost beats.
pub const BEAT_EVERY: Duration = Duration::from_secs(1);

/// A heartbeat of a child whose start is over.
pub(super) const ALIVE: u8 = 1;
/// A heartbeat of a child that may yet refuse to start.
const STARTING: u8 = 0;

/// A child's end of the line. Clones share it.
#[derive(Debug, Clone)]
pub struct Life {
    line: Arc<UnixStream>,
}

impl Life {
    /// Takes the child's end; from here on it never blocks.
    pub(super) fn new(line: UnixStream) -> io::Result<Self> {
        line.set_nonblocking(true)?;
        Ok(Self { line: Arc::new(line) })
    }

    /// Says "I am alive, and still starting": keeps the supervisor patient, and a refusal to start is still one.
    pub(super) fn starting(&self) {
        self.say(STARTING);
    }

    /// Says "I am alive"; call it about every [`BEAT_EVERY`] from the loop whose standstill should end the process.
    ///
    /// Never blocks. A full line means that the supervisor has not read for minutes, and a broken one that it is gone,
    /// which [`Life::ended`] reports; neither is for the beating loop to handle.
    pub fn beat(&self) {
        self.say(ALIVE);
    }

    fn say(&self, word: u8) {
        match (&*self.line).write(&[word]) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::BrokenPipe) => {}
            Err(error) => tracing::warn!(%error, "cannot send a heartbeat"),
        }
    }

    /// Returns when the supervisor is gone: the controller then exits, the balancer drains and exits.
    ///
    /// Must run inside a tokio runtime with I/O. May be cancelled and called again.
    ///
    /// # Errors
    /// When the line cannot be watched; a child that cannot see its supervisor's end must not go on.
    pub async fn ended(&self) -> io::Result<()> {
        let line = tokio::net::UnixStream::from_std(self.line.try_clone()?)?;
        let mut nothing = [0; 16];
        loop {
            line.readable().await?;
            match line.try_read(&mut nothing) {
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
    async fn beats_arrive_and_the_end_is_seen() {
        let (mut supervisor, child) = UnixStream::pair().unwrap();
        let life = Life::new(child).unwrap();
        life.beat();
        life.clone().beat();
        let mut seen = [0; 2];
        supervisor.read_exact(&mut seen).unwrap();
        assert_eq!(seen, [1, 1]);
        assert!(tokio::time::timeout(Duration::from_millis(20), life.ended()).await.is_err());
        drop(supervisor);
        tokio::time::timeout(Duration::from_secs(5), life.ended()).await.unwrap().unwrap();
        life.beat();
    }
}
