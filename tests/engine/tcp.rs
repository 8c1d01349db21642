//! A TCP service on the real Engine: a release under open and new connections, the ends of the daemon's processes, ports in use.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::daemon::{Daemon, PATIENCE, free_port, wait_for};

fn manifest(image: &str, listen: u16) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: lines, app: office}}\nspec:\n  image: {image}\n  replicas: 2\n  \
         ports: [{{name: lines, port: 7000, protocol: tcp, listen: {listen}}}]\n  \
         env: {{LINES_PORT: \"7000\", REPLICA: {{field: replica.name}}, DATABASE: {{field: balancer.host}}}}\n  \
         rollout: {{healthyFor: 300ms, deadline: 60s, drain: 30s}}\n"
    )
}

/// A client of the line protocol.
struct LineClient(BufReader<TcpStream>);

impl LineClient {
    fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn send(&mut self, line: &str) -> std::io::Result<()> {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes())
    }

    /// The answer, which ends with what was asked.
    fn answer(&mut self, asked: &str) -> std::io::Result<String> {
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        let is_whole = answer.ends_with(&format!(" {asked}\n"));
        if is_whole { Ok(answer) } else { Err(std::io::Error::other(format!("`{answer}` to {asked}"))) }
    }

    fn ask(&mut self, line: &str) -> std::io::Result<String> {
        self.send(line)?;
        self.answer(line)
    }
}

fn ask_once(address: SocketAddr) -> std::io::Result<String> {
    LineClient::connect(address)?.ask("ping")
}

/// Connects again and again until it is stopped; what went wrong, and how often it went well.
fn keep_connecting(address: SocketAddr, stop: &Arc<AtomicBool>) -> JoinHandle<(Vec<String>, usize)> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let mut failures = Vec::new();
        let mut successes = 0;
        while !stop.load(Ordering::Relaxed) {
            match ask_once(address) {
                Ok(_) => successes += 1,
                Err(error) => failures.push(error.to_string()),
            }
            // each leaves a local port in TIME_WAIT for a minute
            std::thread::sleep(Duration::from_millis(5));
        }
        (failures, successes)
    })
}

#[test]
fn tcp_service_is_rolled_under_connections_without_a_failed_one() {
    let daemon = Daemon::start();
    let address = free_port();
    let file = daemon.file("app.yaml", &manifest(&daemon.image("v1"), address.port()));
    let second = daemon.image("v2");
    daemon.expect(0, &["apply", "-f", &file]);
    wait_for("the port is open", || ask_once(address).is_ok());
    let (listed, _) = daemon.expect(0, &["get", "routes"]);
    assert!(listed.contains(&format!("tcp:{}", address.port())), "{listed}");

    let mut pooled: Vec<LineClient> = (0..8).map(|_| LineClient::connect(address).unwrap()).collect();
    for client in &mut pooled {
        assert!(client.ask("hello").unwrap().starts_with("v1 lines-1-"));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let connecting = keep_connecting(address, &stop);
    let mut slow: Vec<LineClient> = (0..4).map(|_| LineClient::connect(address).unwrap()).collect();
    slow.iter_mut().for_each(|client| client.send("slow 12000").unwrap());
    let tag = second.rsplit(':').next().unwrap();
    let (rolled, notes) = daemon.expect(0, &["rollout", "lines", "--image", tag]);
    assert!(!format!("{rolled}{notes}").contains("were cut"), "{rolled}{notes}");
    for client in &mut slow {
        client.answer("slow 12000").expect("the whole answer, however long it takes");
    }
    for client in &mut pooled {
        let mut rest = Vec::new();
        assert_eq!(client.0.read_to_end(&mut rest).expect("an end, not a reset"), 0);
    }
    stop.store(true, Ordering::Relaxed);
    let (failures, successes) = connecting.join().unwrap();
    assert!(failures.is_empty() && successes > 0, "{failures:?} of {successes}");
    assert!(ask_once(address).unwrap().starts_with("v2 "));
    daemon.expect(0, &["delete", "lines", "--yes"]);
    wait_for("the port is closed", || TcpStream::connect(address).is_err());
}

#[test]
fn tcp_connections_that_outlast_the_drain_time_count_as_cut() {
    let daemon = Daemon::start();
    let address = free_port();
    let manifest = manifest(&daemon.image("v1"), address.port());
    let manifest = manifest.replace("drain: 30s}", "drain: 1s}\n  stop: {grace: 1s}");
    let file = daemon.file("app.yaml", &manifest.replace("replicas: 2", "replicas: 1"));
    let second = daemon.image("v2");
    daemon.expect(0, &["apply", "-f", &file]);
    wait_for("the port is open", || ask_once(address).is_ok());
    let mut busy = LineClient::connect(address).unwrap();
    busy.send("slow 600000").unwrap();
    let tag = second.rsplit(':').next().unwrap();
    let (rolled, notes) = daemon.expect(0, &["rollout", "lines", "--image", tag]);
    assert!(format!("{rolled}{notes}").contains("1 request was cut"), "{rolled}{notes}");
    busy.answer("slow 600000").expect_err("its container is gone");
    assert!(ask_once(address).unwrap().starts_with("v2 "));
}

#[test]
fn tcp_port_stays_open_while_controller_and_balancer_are_replaced() {
    let daemon = Daemon::start();
    let address = free_port();
    let file = daemon.file("app.yaml", &manifest(&daemon.image("v1"), address.port()));
    daemon.expect(0, &["apply", "-f", &file]);
    wait_for("the port is open", || ask_once(address).is_ok());
    let mut kept = LineClient::connect(address).unwrap();
    kept.ask("hello").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let connecting = keep_connecting(address, &stop);
    daemon.kill("controller");
    wait_for("another controller", || daemon.ctl(&["wait", "lines", "--for", "ready"]).status.success());
    kept.ask("again").expect("the balancer has nothing to do with it");
    daemon.expect(0, &["reload"]);
    stop.store(true, Ordering::Relaxed);
    let (failures, successes) = connecting.join().unwrap();
    assert!(failures.is_empty() && successes > 0, "{failures:?} of {successes}");
    daemon.kill("balancer");
    ask_once(address).expect("it waits in the socket's queue for the next balancer");
}

#[test]
fn tcp_port_in_use_is_shown_and_opened_once_it_is_free() {
    let daemon = Daemon::start();
    let address = free_port();
    let other = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], address.port()))).unwrap();
    let file = daemon.file("app.yaml", &manifest(&daemon.image("v1"), address.port()));
    daemon.expect(0, &["apply", "-f", &file]);
    let shown = || String::from_utf8_lossy(&daemon.ctl(&["why", "lines"]).stdout).into_owned();
    wait_for("the reason", || shown().contains("PortUnavailable") && shown().contains("already in use"));
    drop(other);
    wait_for("the port is open", || ask_once(address).is_ok());
    wait_for("nothing is wrong any more", || !shown().contains("PortUnavailable"));
    let (events, _) = daemon.expect(0, &["events", "lines"]);
    assert!(events.contains("PortUnavailable") && events.contains("PortOpened"), "{events}");
}
