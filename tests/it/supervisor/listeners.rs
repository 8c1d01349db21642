//! Listeners that the controller asks the supervisor to open, on the built binary.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use coxswain::daemon::{ENV_RELAY, ListedListener, OpenListener, RelayedAnswer, SupervisorCommand};
use coxswain::model::{ListenerId, ProtocolKind};
use nix::sys::signal::Signal;

use super::{Daemon, as_unprivileged_user, free_address, request, send, serve};

impl Daemon {
    fn with_relay() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let http = free_address();
        let mut command = serve(&directory, http);
        command.env(ENV_RELAY, directory.path().join("relay"));
        Self::run(command, directory, http)
    }

    fn relay(&self) -> PathBuf {
        self.directory.path().join("relay")
    }

    /// Lets the controller send a command.
    fn ask(&self, command: &SupervisorCommand) -> RelayedAnswer {
        let line = serde_json::to_string(command).unwrap() + "\n";
        self.until("an answer of the supervisor", || {
            // a controller that was just replaced may not listen yet, or have ended
            let mut relay = UnixStream::connect(self.relay()).ok()?;
            relay.write_all(line.as_bytes()).ok()?;
            let mut answer = String::new();
            BufReader::new(relay).read_line(&mut answer).ok()?;
            serde_json::from_str(&answer).ok()
        })
    }

    fn open(&self, id: &str, address: SocketAddr) -> SocketAddr {
        let answer = self.ask(&open(id, address));
        answer.address.unwrap_or_else(|| panic!("{answer:?}"))
    }

    fn is_served(&self, address: SocketAddr) {
        self.until(&format!("a response of {address}"), || {
            request(address).filter(|response| response.starts_with("HTTP/1.1 "))
        });
    }
}

fn open(id: &str, address: SocketAddr) -> SupervisorCommand {
    let protocol = ProtocolKind::Http;
    SupervisorCommand::OpenListener(OpenListener { id: id.into(), address, protocol })
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[test]
fn opened_listener_is_served_by_the_running_balancer_and_by_its_successor() {
    let daemon = Daemon::with_relay();
    let balancer = daemon.child("balancer");
    let web = daemon.open("web", loopback());
    daemon.is_served(web);
    assert_eq!(daemon.child("balancer"), balancer, "it was not restarted for this");
    send(balancer, Signal::SIGKILL);
    let other = daemon.open("other", loopback());
    daemon.successor("balancer", balancer);
    for address in [web, other, daemon.http] {
        daemon.is_served(address);
    }
}

#[test]
fn opened_listener_outlives_the_controller_and_its_successor_lists_it() {
    let daemon = Daemon::with_relay();
    let controller = daemon.child("controller");
    let web = daemon.open("web", loopback());
    send(controller, Signal::SIGKILL);
    daemon.is_served(web);
    daemon.successor("controller", controller);
    let listed = |id, address, is_fixed| ListedListener {
        id,
        addresses: vec![address],
        protocol: ProtocolKind::Http,
        is_fixed,
    };
    let all = vec![listed(ListenerId::public_http(), daemon.http, true), listed("web".into(), web, false)];
    assert_eq!(daemon.ask(&SupervisorCommand::ListListeners).listeners, Some(all));
    assert_eq!(daemon.open("web", web), web);
    daemon.is_served(web);
}

#[test]
fn closed_listener_refuses_connections_and_its_address_can_be_opened_again() {
    let daemon = Daemon::with_relay();
    let web = daemon.open("web", loopback());
    daemon.is_served(web);
    let closed = daemon.ask(&SupervisorCommand::CloseListener("web".into()));
    assert_eq!(closed, RelayedAnswer::default());
    daemon.until("a refused connect", || TcpStream::connect(web).err());
    assert_eq!(daemon.open("other", web), web);
    daemon.is_served(web);
}

#[test]
fn refusal_names_listener_address_and_reason() {
    let daemon = Daemon::with_relay();
    let web = daemon.open("web", loopback());
    let other_program = TcpListener::bind(loopback()).unwrap();
    let taken = other_program.local_addr().unwrap();
    let foreign = "192.0.2.1:80".parse().unwrap();
    let me = format!("the address is already in use by process {}", std::process::id());
    for (id, address, reason) in [
        ("web", taken, format!("the listener is already open on {web} for http")),
        ("http", taken, format!("the listener is already open on {} for http", daemon.http)),
        ("b", web, format!("listener \"web\" uses {web}")),
        ("b", daemon.http, format!("listener \"http\" uses {}", daemon.http)),
        ("b", taken, me),
        ("b", foreign, "the address does not belong to this node".to_owned()),
        ("B", taken, "invalid name `B`".to_owned()),
    ] {
        let error = daemon.ask(&open(id, address)).error.unwrap();
        let wanted = format!("cannot open listener \"{id}\" on {address}: {reason}");
        assert!(error.starts_with(&wanted), "{error}\n{wanted}");
    }
    let error = daemon.ask(&SupervisorCommand::CloseListener("http".into())).error.unwrap();
    assert!(error.starts_with("cannot close listener \"http\""), "{error}");
    daemon.is_served(daemon.http);
    daemon.is_served(web);
}

#[test]
fn port_below_1024_is_refused_without_the_right_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let http = free_address();
    let (mut command, _) = as_unprivileged_user(&directory, http);
    command.env(ENV_RELAY, directory.path().join("relay"));
    let daemon = Daemon::run(command, directory, http);
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if first.trim() == "0" {
        // this machine restricts no port
        return;
    }
    let error = daemon.ask(&open("low", "127.0.0.1:1".parse().unwrap())).error.unwrap();
    assert!(error.starts_with("cannot open listener \"low\" on 127.0.0.1:1: permission denied"), "{error}");
}
