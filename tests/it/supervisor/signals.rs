//! What signals do to the daemon, on the built binary.

use super::*;

/// Without a meaning for the daemon or its children; each would end a process that does not handle it.
const MEANINGLESS: [Signal; 5] =
    [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGALRM, Signal::SIGVTALRM, Signal::SIGPROF];

#[test]
fn meaningless_signals_are_logged_and_end_nothing() {
    let mut daemon = Daemon::start();
    let children = [daemon.child("controller"), daemon.child("balancer")];
    daemon.logs("has started role=controller");
    daemon.logs("has started role=balancer");
    for signal in MEANINGLESS {
        send(daemon.pid(), signal);
        daemon.logs(&format!("ignored: it has no meaning here signal=\"{signal}\""));
    }
    for (pid, role) in children.into_iter().zip(["controller", "balancer"]) {
        send(pid, Signal::SIGHUP);
        send(pid, Signal::SIGUSR1);
        for signal in ["SIGHUP", "SIGUSR1"] {
            let line = format!("ignored signal=\"{signal}\"");
            let has = |log: &str| log.lines().any(|found| found.contains(role) && found.ends_with(&line));
            daemon.until(&line, || has(&daemon.log()).then_some(()));
        }
    }
    assert_eq!([daemon.child("controller"), daemon.child("balancer")], children);
    assert_eq!(daemon.process.try_wait().unwrap(), None);
}

#[test]
fn every_signal_to_stop_stops_in_order_and_says_so() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let mut daemon = Daemon::start();
        daemon.until("an answer", || daemon.answers().then_some(()));
        send(daemon.pid(), signal);
        assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
        daemon.logs(&format!("stopping signal=\"{signal}\""));
        daemon.logs("stopped; containers keep running");
        assert_eq!(daemon.children(), []);
    }
}
