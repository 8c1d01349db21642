//! How long a child may be silent, and how long it may take to end.

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::Role;

impl Role {
    /// A child without a heartbeat for this long hangs. The balancer's clients wait meanwhile; the controller may be opening
    /// a large store.
    pub(super) fn heartbeat_timeout(self) -> Duration {
        match self {
            Self::Controller => Duration::from_secs(15),
            Self::Balancer => Duration::from_secs(5),
        }
    }

    /// From SIGTERM to SIGKILL: the balancer itself cuts requests in flight after 30 s, the controller only finishes its
    /// writes.
    pub(super) fn stop_timeout(self) -> Duration {
        match self {
            Self::Controller => Duration::from_secs(10),
            Self::Balancer => Duration::from_secs(35),
        }
    }
}

/// For how long a child may run on whose channel failed: one that closed its end may finish its requests, one that does
/// not read hangs.
pub(super) fn time_to_end(role: Role, error: &io::Error) -> Duration {
    match error.kind() {
        ErrorKind::TimedOut => role.heartbeat_timeout(),
        _ => role.stop_timeout(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balancer_that_does_not_read_its_channel_hangs_and_one_that_closed_it_may_drain() {
        let limit = |kind: ErrorKind| time_to_end(Role::Balancer, &kind.into());
        assert_eq!(limit(ErrorKind::TimedOut), Role::Balancer.heartbeat_timeout());
        assert_eq!(limit(ErrorKind::BrokenPipe), Role::Balancer.stop_timeout());
    }
}
