//! `ctl check-gateway`: what the daemon runs in a container, to find out whether containers can connect to the balancer.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};

use coxswain::model::{GATEWAY_CONNECT_MAX, GatewayAnswer};

/// Connect to an address and exit with a code that says what came back
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    address: SocketAddr,
}

/// The exit code.
pub(crate) fn run(Args { address }: &Args) -> u8 {
    match TcpStream::connect_timeout(address, GATEWAY_CONNECT_MAX.std()) {
        Ok(_) => GatewayAnswer::Accepted.exit_code(),
        Err(error) => answer(error.kind()).map_or(GatewayAnswer::NOT_FOUND_OUT, GatewayAnswer::exit_code),
    }
}

/// What an error of the connection says about the way; `None` for one of this process or machine.
fn answer(error: ErrorKind) -> Option<GatewayAnswer> {
    match error {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Some(GatewayAnswer::Silence),
        // Firewalls reject with a reset, or with the message that a port, a host or a network cannot be reached.
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable => Some(GatewayAnswer::Rejected),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn exit_code_says_what_came_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(run(&Args { address }), GatewayAnswer::Accepted.exit_code());
        drop(listener);
        assert_eq!(run(&Args { address }), GatewayAnswer::Rejected.exit_code());
        assert_eq!(answer(ErrorKind::TimedOut), Some(GatewayAnswer::Silence));
        assert_eq!(answer(ErrorKind::PermissionDenied), None);
    }
}
