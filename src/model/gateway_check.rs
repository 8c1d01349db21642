//! The answers of a connection from a container to the balancer, and the exit codes that carry them out of the container that
//! tries. Pure.

use super::quantity::Millis;

/// The hidden command of `ctl` that connects to an address and exits with the code of an answer.
pub const GATEWAY_CHECK_COMMAND: &str = "check-gateway";
/// How long that command waits for a connection: long enough for the kernel to send the request three times.
pub const GATEWAY_CONNECT_MAX: Millis = Millis::secs(4);

/// What came back for a connection to the balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GatewayAnswer {
    /// The connection was accepted.
    Accepted,
    /// It was rejected: nothing listens there, or a firewall says so.
    Rejected,
    /// Nothing came back, as from a firewall that drops packets.
    Silence,
}

impl GatewayAnswer {
    const ALL: [(Self, u8); 3] = [(Self::Accepted, 40), (Self::Rejected, 41), (Self::Silence, 42)];
    /// The exit code of a check that found out nothing.
    pub const NOT_FOUND_OUT: u8 = 43;

    /// The exit code: none that another program, a shell or Docker commonly uses.
    pub fn exit_code(self) -> u8 {
        Self::ALL.iter().find(|(answer, _)| *answer == self).map_or(Self::NOT_FOUND_OUT, |(_, code)| *code)
    }

    /// The answer with this exit code; `None` for any other code, as of another program at that path.
    pub fn of_exit_code(code: i64) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| i64::from(*known) == code).map(|(answer, _)| *answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_code_is_read_back_and_no_other_code_is_an_answer() {
        for (answer, code) in GatewayAnswer::ALL {
            assert_eq!(answer.exit_code(), code);
            assert_eq!(GatewayAnswer::of_exit_code(code.into()), Some(answer));
        }
        for code in [0, 1, 2, GatewayAnswer::NOT_FOUND_OUT.into(), 70, 125, 126, 127, 137, -1] {
            assert_eq!(GatewayAnswer::of_exit_code(code), None, "{code}");
        }
    }
}
