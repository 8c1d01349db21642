//! The pipe between the supervisor and one child: heartbeats up, end of file down.
//!
//! Invariants: a child that stops sending heartbeats is killed; a child that reads end of file has lost its supervisor and
//! ends.
//! Deliberately absent: commands. Only single bytes go up, and nothing comes down.

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::balancer::BalancerHealth;

/// A fifth of the shorter heartbeat timeout (the balancer's), so that a few late heartbeats do not end a child.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// What a heartbeat says about a child; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ChildHealth {
    /// It may still refuse to start.
    #[default]
    Starting,
    Alive,
    /// A balancer that serves from a table.
    HasTable,
    /// A balancer that has acknowledged a table of the controller.
    InSync,
}

impl ChildHealth {
    /// In the order of the bytes that stand for them.
    const ALL: [Self; 4] = [Self::Starting, Self::Alive, Self::HasTable, Self::InSync];

    /// What the newest of these bytes says; a child of a later version may know more.
    pub(super) fn of_heartbeats(bytes: &[u8]) -> Option<Self> {
        let newest = usize::from(*bytes.last()?);
        Some(Self::ALL.get(newest).copied().unwrap_or(Self::InSync))
    }
}

impl From<BalancerHealth> for ChildHealth {
    fn from(health: BalancerHealth) -> Self {
        match health {
            BalancerHealth::NoTable => Self::Alive,
            BalancerHealth::HasTable => Self::HasTable,
            BalancerHealth::InSync => Self::InSync,
        }
    }
}

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

    /// Sends a heartbeat. Call it every [`HEARTBEAT_INTERVAL`] from the loop whose hang should end the process.
    ///
    /// Never blocks. A full pipe means that the supervisor has not read for minutes, and a broken one that it has ended,
    /// which [`LivenessPipe::ended`] reports; the loop that sends heartbeats handles neither.
    pub(super) fn beat(&self, health: ChildHealth) {
        match (&*self.pipe).write(&[health as u8]) {
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
        pipe.beat(ChildHealth::Alive);
        pipe.clone().beat(ChildHealth::InSync);
        let mut seen = [0; 2];
        supervisor.read_exact(&mut seen).unwrap();
        assert_eq!(ChildHealth::of_heartbeats(&seen[..1]), Some(ChildHealth::Alive));
        assert_eq!(ChildHealth::of_heartbeats(&seen), Some(ChildHealth::InSync));
        assert_eq!(ChildHealth::of_heartbeats(&[]), None);
        assert!(tokio::time::timeout(Duration::from_millis(20), pipe.ended()).await.is_err());
        drop(supervisor);
        tokio::time::timeout(Duration::from_secs(60), pipe.ended()).await.unwrap().unwrap();
        pipe.beat(ChildHealth::Alive);
    }
}
