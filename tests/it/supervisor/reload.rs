//! Reloads under load, on the built binary, with an outside judge: no request is lost.

use super::backend::{Clients, leave_table, start, start_server};
use super::*;

impl Daemon {
    /// Ids of all processes in a role.
    fn all(&self, role: &str) -> Vec<i32> {
        self.children().into_iter().filter(|(found, _)| found == role).map(|(_, pid)| pid).collect()
    }

    fn served(&self) {
        self.logs("has started role=controller");
        self.logs("has started role=balancer");
    }
}

/// Lost requests are as good as the log that says what happened meanwhile.
fn none_lost(daemon: &Daemon, clients: Clients) {
    let (sent, failures) = clients.stop();
    assert!(failures.is_empty(), "{} of {sent} lost: {failures:?}\n{}", failures.len(), daemon.log());
    assert!(sent > 20, "{sent} requests");
}

#[test]
fn reload_replaces_all_processes_and_loses_no_request() {
    let daemon = start();
    daemon.served();
    let supervisor = daemon.pid();
    let clients = Clients::start(daemon.http);
    for round in 1..=3 {
        let (controller, balancer) = (daemon.child("controller"), daemon.all("balancer"));
        let said = daemon.ctl(&["reload"]);
        for step in ["is version", "the supervisor (process", "a new balancer", "a new controller"] {
            assert!(said.contains(step), "round {round}: {said}\n{}", daemon.log());
        }
        assert!(said.contains(&format!("process {supervisor}")), "{said}");
        let now = daemon.all("balancer");
        assert!(now.iter().any(|pid| !balancer.contains(pid)), "round {round}: {now:?}");
        assert!(!daemon.all("controller").contains(&controller), "round {round}");
        let status = daemon.ctl(&["status"]);
        assert!(status.contains(&format!("supervisor {supervisor}")), "{status}");
    }
    none_lost(&daemon, clients);
    daemon.until("the old balancers' end", || (daemon.all("balancer").len() == 1).then_some(()));
    let open = || fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap().count();
    let before = open();
    daemon.ctl(&["reload"]);
    daemon.until("the old balancer's end", || (daemon.all("balancer").len() == 1).then_some(()));
    assert!(open() <= before, "descriptors are left: {before}, then {}", open());
}

#[test]
fn sighup_reloads_and_the_daemon_stops_as_before() {
    let mut daemon = start();
    daemon.served();
    let children = [daemon.child("controller"), daemon.child("balancer")];
    send(daemon.pid(), Signal::SIGHUP);
    daemon.logs("reload: all processes run version");
    assert!(children.iter().all(|pid| !daemon.all("controller").contains(pid)), "{}", daemon.log());
    send(daemon.pid(), Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
    assert_eq!(daemon.children(), []);
}

/// A daemon with the service that runs a program of its own.
fn start_copy() -> (Daemon, PathBuf) {
    let (directory, http) = (tempfile::tempdir().unwrap(), free_address());
    leave_table(&directory, start_server());
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let plain = serve(&directory, http);
    let program = directory.path().join("ctl");
    fs::copy(plain.get_program(), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(plain.get_args()).env("COXSWAIN_LOG", "info").stdin(Stdio::null()).stdout(Stdio::null());
    let daemon = Daemon::run(command, directory, http);
    daemon.served();
    (daemon, program)
}

/// As a package manager does: the running program's file is not written to.
fn replace(program: &PathBuf, text: &str) {
    let _ = fs::remove_file(program);
    fs::write(program, text).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn program_that_cannot_continue_is_refused_and_changes_nothing() {
    let (daemon, program) = start_copy();
    let children = daemon.children();
    let clients = Clients::start(daemon.http);
    let refused = |reason: &str| {
        let said = daemon.ctl(&["reload"]);
        let is_said = said.to_lowercase().contains(&reason.to_lowercase());
        assert!(said.contains("CTL-0508") && is_said, "{reason}: {said}");
        assert!(said.contains("nothing was changed"), "{said}");
        assert_eq!(daemon.children(), children);
    };
    replace(&program, "#!/bin/sh\necho a new program >&2\nexit 3\n");
    refused("a new program");
    replace(&program, "#!/bin/sh\nexit 0\n");
    refused("it is not a ctl that supports reload");
    replace(&program, "no program");
    refused("cannot execute");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
    refused("Permission denied");
    fs::remove_file(&program).unwrap();
    refused("cannot execute");
    fs::copy(assert_cmd::cargo::cargo_bin!("ctl"), &program).unwrap();
    let said = daemon.ctl(&["reload"]);
    assert!(said.contains("a new controller"), "{said}\n{}", daemon.log());
    none_lost(&daemon, clients);
}

#[test]
fn second_reload_is_refused_while_one_is_under_way() {
    let daemon = start();
    daemon.served();
    send(daemon.pid(), Signal::SIGHUP);
    daemon.logs("reloading signal=\"SIGHUP\"");
    send(daemon.pid(), Signal::SIGHUP);
    daemon.logs("ignored: a reload is under way");
    daemon.logs("reload: all processes run version");
    assert!(daemon.ctl(&["reload"]).contains("a new controller"));
}

/// At instants from before the check to after the end.
#[test]
fn sigterm_during_a_reload_stops_everything() {
    for wait in [0, 5, 20, 60, 150, 400, 1_200] {
        let mut daemon = start();
        daemon.served();
        send(daemon.pid(), Signal::SIGHUP);
        std::thread::sleep(Duration::from_millis(wait));
        send(daemon.pid(), Signal::SIGTERM);
        let status = daemon.ended();
        assert_eq!(status.code(), Some(0), "after {wait} ms: {status}\n{}", daemon.log());
        assert_eq!(daemon.children(), [], "after {wait} ms");
    }
}

/// Whatever is killed at whatever instant: the daemon serves again, with one process of each role.
#[test]
fn child_that_is_killed_during_a_reload_is_replaced() {
    for wait in [0, 30, 100, 300, 900] {
        for role in ["controller", "balancer"] {
            let daemon = start();
            daemon.served();
            send(daemon.pid(), Signal::SIGHUP);
            std::thread::sleep(Duration::from_millis(wait));
            for pid in daemon.all(role) {
                // it may have ended by itself
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            daemon.until("the end of the reload", || {
                let log = daemon.log();
                ["reload: all processes", "reload failed"].iter().any(|end| log.contains(end)).then_some(())
            });
            daemon.until("the service", || super::backend::fetch(daemon.http, 0).ok());
            daemon.until("one of each", || {
                (daemon.all("controller").len() == 1 && daemon.all("balancer").len() == 1).then_some(())
            });
        }
    }
}

#[test]
fn controller_that_does_not_answer_is_replaced_by_a_reload() {
    let daemon = start();
    daemon.served();
    let controller = daemon.child("controller");
    send(controller, Signal::SIGSTOP);
    let said = daemon.ctl(&["reload"]);
    assert!(said.contains("it was asked with SIGHUP"), "{said}\n{}", daemon.log());
    assert!(said.contains("a new controller"), "{said}\n{}", daemon.log());
    assert!(!daemon.all("controller").contains(&controller));
}
