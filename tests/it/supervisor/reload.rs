//! Reloads under load, on the built binary, with an outside judge: no request is lost.

use super::backend::{Clients, fetch, hold, leave_table, start, start_holding, start_server};
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
    let old = daemon.children();
    send(daemon.pid(), Signal::SIGHUP);
    daemon.logs("reload: all processes run version");
    daemon.until("only new processes", || {
        let now = daemon.children();
        (now.len() == 2 && now.iter().all(|process| !old.contains(process))).then_some(())
    });
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

/// The program that is checked waits until a file is there, so that the reload is under way for as long as the test wants.
#[test]
fn second_reload_is_refused_while_one_is_under_way() {
    let (daemon, program) = start_copy();
    let installed = daemon.directory.path().join("installed");
    fs::rename(&program, &installed).unwrap();
    let go = daemon.directory.path().join("go");
    let waiting = format!(
        "#!/bin/sh\nwhile [ ! -e {} ]; do sleep 0.02; done\nexec {} \"$@\"\n",
        go.display(),
        installed.display()
    );
    replace(&program, &waiting);
    send(daemon.pid(), Signal::SIGHUP);
    daemon.logs("reloading signal=\"SIGHUP\"");
    send(daemon.pid(), Signal::SIGHUP);
    daemon.logs("ignored: a reload is under way");
    fs::write(&go, "").unwrap();
    daemon.logs("reload: all processes run version");
    fs::rename(&installed, &program).unwrap();
    assert!(daemon.ctl(&["reload"]).contains("a new controller"));
}

/// Which processes there are depends on the instant: the old balancer has requests, and a new one may serve by then. All that were
/// accepted are answered, and the next daemon serves with one process of each role.
#[test]
fn supervisor_that_is_killed_during_a_reload_cuts_no_request_and_the_next_one_serves() {
    for wait in [0, 20, 60, 150, 400, 1_000] {
        let (mut daemon, held) = start_holding();
        daemon.served();
        let requests = hold(&daemon, &held, 3);
        send(daemon.pid(), Signal::SIGHUP);
        std::thread::sleep(Duration::from_millis(wait));
        daemon.kill_and_start();
        daemon.until("the service", || fetch(daemon.http, 0).ok());
        held.release();
        for request in requests {
            let answer = request.join().unwrap();
            assert!(answer.is_ok(), "after {wait} ms: {answer:?}\n{}", daemon.log());
        }
        daemon.until("one of each", || {
            (daemon.all("controller").len() == 1 && daemon.all("balancer").len() == 1).then_some(())
        });
        daemon.until("the service", || fetch(daemon.http, 0).ok());
    }
}

/// The sockets that systemd has passed stay the daemon's, also over several reloads, and no other is bound.
#[test]
fn reload_keeps_the_socket_of_systemd_and_loses_no_request() {
    let (directory, unused) = (tempfile::tempdir().unwrap(), free_address());
    leave_table(&directory, start_server());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let http = socket.local_addr().unwrap();
    let daemon = Daemon::run(activated(&directory, unused, &socket), directory, http);
    daemon.until("the service", || fetch(daemon.http, 0).ok());
    daemon.served();
    let clients = Clients::start(daemon.http);
    for _ in 0..2 {
        // as the unit does: the socket is not the usual one
        let mut reload = Command::new(assert_cmd::cargo::cargo_bin!("ctl"));
        reload.args(["reload", "--pid", &daemon.pid().to_string()]).env_remove("CTL_SOCKET");
        let output = reload.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains("a new controller"), "{said}\n{}", daemon.log());
        assert!(TcpStream::connect(unused).is_err(), "the address was bound in addition to the socket");
    }
    none_lost(&daemon, clients);
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
