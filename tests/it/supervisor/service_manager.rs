//! What the supervisor tells systemd, on a scripted notify socket: READY, STATUS, STOPPING and the watchdog.

use std::os::unix::net::UnixDatagram;

use super::*;

/// A service manager that started the daemon.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// A daemon that reports to it, with this watchdog period.
    fn start(watchdog: Duration) -> (Self, Daemon) {
        let (directory, http) = (tempfile::tempdir().unwrap(), free_address());
        let path = directory.path().join("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut command = serve(&directory, http);
        command.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        (Self { socket }, Daemon::run(command, directory, http))
    }

    /// The next message within this time.
    fn receive(&self, within: Duration) -> Option<String> {
        let mut bytes = [0; 4096];
        self.socket.set_read_timeout(Some(within)).unwrap();
        let count = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..count].to_vec()).unwrap())
    }

    /// All messages up to one with this text.
    fn receive_until(&self, text: &str) -> Vec<String> {
        let mut messages = Vec::new();
        while !messages.last().is_some_and(|last: &String| last.contains(text)) {
            messages.push(self.receive(BOUND).unwrap_or_else(|| panic!("no {text} in {messages:?}")));
        }
        messages
    }
}

#[test]
fn service_manager_gets_ready_once_then_each_change_and_the_stop() {
    let (manager, mut daemon) = Manager::start(Duration::from_secs(3600));
    let starting = manager.receive_until("READY=1");
    assert!(daemon.answers(), "ready, and nothing answers: {}", daemon.log());
    assert!(starting.iter().any(|message| message == "STATUS=starting"), "{starting:?}");

    send(daemon.child("controller"), Signal::SIGKILL);
    manager.receive_until("STATUS=the balancer serves requests; the controller is being restarted");
    let restarted = manager.receive_until("STATUS=controller and balancer are running");
    assert!(!restarted.concat().contains("READY"), "{restarted:?}");

    send(daemon.pid(), Signal::SIGTERM);
    manager.receive_until("STOPPING=1");
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
}

/// The service manager counts the reload as ended with READY, whatever came of it.
#[test]
fn service_manager_gets_reloading_and_then_ready_for_each_reload() {
    let (manager, daemon) = Manager::start(Duration::from_secs(3600));
    manager.receive_until("READY=1");
    daemon.logs("has started role=controller");
    for round in 1..=2 {
        let old = daemon.children();
        send(daemon.pid(), Signal::SIGHUP);
        let begun = manager.receive_until("RELOADING=1");
        let reloading = begun.last().unwrap();
        assert!(reloading.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading}");
        let ended = manager.receive_until("READY=1");
        assert!(!ended[..ended.len() - 1].concat().contains("READY"), "{ended:?}");
        let said = format!("reload: all processes run version {}", env!("CARGO_PKG_VERSION"));
        daemon.until(&said, || (daemon.log().matches(&said).count() == round).then_some(()));
        let controller = daemon.child("controller");
        assert!(!old.contains(&("controller".to_owned(), controller)), "{}", daemon.log());
    }
}

#[test]
fn watchdog_is_fed_until_the_supervisor_hangs() {
    let (manager, daemon) = Manager::start(Duration::from_millis(300));
    for _ in 0..5 {
        manager.receive_until("WATCHDOG=1");
    }
    send(daemon.pid(), Signal::SIGSTOP);
    // at most what was sent before the signal
    let late = std::iter::from_fn(|| manager.receive(Duration::from_secs(1))).take(100).count();
    assert!(late < 20, "it does not hang");
    send(daemon.pid(), Signal::SIGCONT);
    manager.receive_until("WATCHDOG=1");
}

#[test]
fn children_cannot_report_for_the_supervisor() {
    let (_manager, daemon) = Manager::start(Duration::from_secs(3600));
    for role in ["controller", "balancer"] {
        let environment = fs::read(format!("/proc/{}/environ", daemon.child(role))).unwrap();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        assert!(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"), "{role}");
    }
}

#[test]
fn notify_socket_that_is_gone_is_logged_and_the_daemon_runs() {
    let (directory, http) = (tempfile::tempdir().unwrap(), free_address());
    let mut command = serve(&directory, http);
    command.env("NOTIFY_SOCKET", directory.path().join("none"));
    let daemon = Daemon::run(command, directory, http);
    daemon.until("an answer", || daemon.answers().then_some(()));
    assert!(daemon.log().contains("cannot reach the service manager"), "{}", daemon.log());
}
