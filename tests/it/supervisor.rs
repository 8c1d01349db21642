//! The supervisor, on the built binary: which processes start, are replaced, are refused, and that none is left behind.

#![allow(clippy::disallowed_methods)] // other processes live by the real clock

mod backend;
mod handover;
mod listeners;
mod open_files;
mod open_loop;
mod reload;
mod service_manager;
mod signals;
mod stopping;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// For what should take milliseconds, on a machine that is busy with other tests.
const BOUND: Duration = Duration::from_secs(60);

/// A running `ctl serve` in a directory of its own.
struct Daemon {
    process: Child,
    directory: TempDir,
    http: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Daemon {
    fn start() -> Self {
        let (directory, http) = (tempfile::tempdir().unwrap(), free_address());
        let command = serve(&directory, http);
        Self::run(command, directory, http)
    }

    fn run(command: Command, directory: TempDir, http: SocketAddr) -> Self {
        let log = Arc::default();
        let process = logged(command, &log);
        let daemon = Self { process, directory, http, log };
        daemon.child("controller");
        daemon.child("balancer");
        daemon
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).unwrap()
    }

    /// The id of the child in this role, as `ps` would find it.
    fn child(&self, role: &str) -> i32 {
        self.until(&format!("a {role}"), || self.children().into_iter().find(|(r, _)| r == role)).1
    }

    /// Role and id of each child that is no zombie.
    fn children(&self) -> Vec<(String, i32)> {
        let state = format!("--state-dir\0{}\0", self.state().display());
        let found = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            let rest = line.strip_prefix("ctl\0serve\0--role\0")?;
            line.contains(&state).then(|| (rest.split('\0').next().unwrap_or_default().to_owned(), pid))
        });
        found.collect()
    }

    fn successor(&self, role: &str, of: i32) -> i32 {
        let found = || self.children().into_iter().find(|(r, pid)| r == role && *pid != of);
        self.until(&format!("a new {role}"), found).1
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log holds these words.
    fn logs(&self, words: &str) {
        self.until(words, || self.log().contains(words).then_some(()));
    }

    fn until<T>(&self, what: &str, found: impl FnMut() -> Option<T>) -> T {
        until(found).unwrap_or_else(|| panic!("{what} did not come; the log says\n{}", self.log()))
    }

    /// `kill -9`; the next one starts at once.
    fn kill_and_start(&mut self) {
        send(self.pid(), Signal::SIGKILL);
        self.process.wait().unwrap();
        self.process = logged(serve(&self.directory, self.http), &self.log);
    }

    /// Its exit status, if it has ended.
    fn process_ended(&self) -> Option<String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.contains(") Z ").then_some(stat)
    }

    fn ended(&mut self) -> ExitStatus {
        let process = &mut self.process;
        let status = until(|| process.try_wait().unwrap());
        status.unwrap_or_else(|| panic!("it did not end; the log says\n{}", self.log()))
    }

    /// The output of a command; what it says on standard error comes last.
    fn ctl(&self, args: &[&str]) -> String {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("ctl"));
        command.args(args).env("CTL_SOCKET", self.directory.path().join("ctl.sock")).stdin(Stdio::null());
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// One request; whatever the answer, there is one.
    fn answers(&self) -> bool {
        request(self.http).is_some_and(|answer| answer.starts_with("HTTP/1.1 "))
    }
}

/// Starts a command whose standard error is added to this log.
fn logged(mut command: Command, log: &Arc<Mutex<String>>) -> Child {
    let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap());
    let sink = Arc::clone(log);
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            let mut log = sink.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
    process
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let left: Vec<i32> = self.children().into_iter().map(|(_, pid)| pid).collect();
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        for pid in left {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn serve(directory: &TempDir, http: SocketAddr) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("ctl"));
    command
        .arg("serve")
        .arg("--state-dir")
        .arg(directory.path().join("state"))
        .arg("--socket")
        .arg(directory.path().join("ctl.sock"))
        .arg("--docker")
        .arg(directory.path().join("no-docker.sock"))
        .args(["--network-pool", "10.251.0.0/16", "--http", &http.to_string()])
        .env("COXSWAIN_LOG", "info")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// The same with a socket, as systemd passes it.
fn activated(directory: &TempDir, http: SocketAddr, socket: &TcpListener) -> Command {
    let plain = serve(directory, http);
    // The id is known only in the process itself, so a shell sets it and becomes the daemon.
    let mut command = Command::new("sh");
    command.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\""]).arg(plain.get_program());
    command.args(plain.get_args()).env("COXSWAIN_LOG", "info").stdin(Stdio::null()).stdout(Stdio::null());
    // as `Backlog=` of a unit: what waits in between must have room
    nix::sys::socket::listen(socket, nix::sys::socket::Backlog::new(4096).unwrap()).unwrap();
    let passed = FdMapping { parent_fd: socket.try_clone().unwrap().into(), child_fd: 3 };
    command.fd_mappings(vec![passed]).unwrap();
    command
}

/// Nothing listened there a moment ago. Not port 0: the second daemon must be given the first one's port.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < BOUND {
        if let Some(value) = found() {
            return Some(value);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

fn request(address: SocketAddr) -> Option<String> {
    use std::io::Write;
    let mut stream = TcpStream::connect_timeout(&address, BOUND).ok()?;
    stream.set_read_timeout(Some(BOUND)).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: unrouted.test\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

fn alive(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
}

/// A field of /proc/<pid>/status.
fn status(pid: i32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn sigterm_ends_daemon_and_children() {
    let mut daemon = Daemon::start();
    let children = [daemon.child("controller"), daemon.child("balancer")];
    daemon.until("an answer", || daemon.answers().then_some(()));
    send(daemon.pid(), Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
    assert!(children.iter().all(|&pid| !alive(pid)), "a child is left");
}

#[test]
fn sigterm_during_startup_leaves_no_child() {
    for wait in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55] {
        let (directory, http) = (tempfile::tempdir().unwrap(), free_address());
        let process = serve(&directory, http).stderr(Stdio::null()).spawn().unwrap();
        let mut daemon = Daemon { process, directory, http, log: Arc::default() };
        // What comes when is the point: from before there are children to after they have begun to serve.
        std::thread::sleep(Duration::from_millis(wait));
        send(daemon.pid(), Signal::SIGTERM);
        let status = daemon.ended();
        // The signal may come before the process has said what it does with it; there is no child yet then.
        let by_signal = status.signal() == Some(Signal::SIGTERM as i32);
        assert!(status.success() || by_signal, "after {wait} ms: {status}");
        assert_eq!(daemon.children(), [], "after {wait} ms");
    }
}

#[test]
fn second_signal_kills_hanging_child() {
    let mut daemon = Daemon::start();
    let children = [daemon.child("controller"), daemon.child("balancer")];
    daemon.until("an answer", || daemon.answers().then_some(()));
    send(children[0], Signal::SIGSTOP);
    send(daemon.pid(), Signal::SIGINT);
    daemon.logs("stopping");
    send(daemon.pid(), Signal::SIGINT);
    daemon.ended();
    assert!(!daemon.log().contains("did not end within"), "it waited for the deadline: {}", daemon.log());
    assert!(children.iter().all(|&pid| !alive(pid)), "a child is left");
}

#[test]
fn systemd_socket_replaces_http_address() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (http, unused) = (listener.local_addr().unwrap(), free_address());
    let command = activated(&directory, unused, &listener);
    let daemon = Daemon::run(command, directory, http);
    for _ in 0..8 {
        assert!(daemon.answers(), "{}", daemon.log());
    }
    assert!(TcpStream::connect(unused).is_err(), "the address was bound in addition to the socket");
}

#[test]
fn killed_balancer_is_restarted_without_refused_connections() {
    let daemon = Daemon::start();
    daemon.until("an answer", || daemon.answers().then_some(()));
    let stop = Arc::new(AtomicBool::new(false));
    let (seen, address) = (Arc::clone(&stop), daemon.http);
    let client = std::thread::spawn(move || {
        let (mut connects, mut refused) = (0, Vec::new());
        while !seen.load(Ordering::Relaxed) {
            connects += 1;
            refused.extend(TcpStream::connect(address).err().map(|error| error.to_string()));
            std::thread::sleep(Duration::from_millis(1));
        }
        (connects, refused)
    });
    let mut balancer = daemon.child("balancer");
    for _ in 0..2 {
        send(balancer, Signal::SIGKILL);
        balancer = daemon.successor("balancer", balancer);
        daemon.until("an answer from the successor", || daemon.answers().then_some(()));
    }
    stop.store(true, Ordering::Relaxed);
    let (connects, refused) = client.join().unwrap();
    assert!(connects > 0);
    assert!(refused.is_empty(), "of {connects} connects: {refused:?}");
}

#[test]
fn killed_controller_is_restarted_and_balancer_kept() {
    let daemon = Daemon::start();
    let (controller, balancer) = (daemon.child("controller"), daemon.child("balancer"));
    send(controller, Signal::SIGKILL);
    daemon.successor("controller", controller);
    assert_eq!(daemon.child("balancer"), balancer);
}

#[test]
fn children_survive_unwritable_log() {
    let (directory, http) = (tempfile::tempdir().unwrap(), free_address());
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let process = serve(&directory, http).stderr(full).spawn().unwrap();
    let mut daemon = Daemon { process, directory, http, log: Arc::default() };
    let controller = daemon.child("controller");
    send(controller, Signal::SIGKILL);
    daemon.successor("controller", controller);
    daemon.until("an answer", || daemon.answers().then_some(()));
    assert_eq!(daemon.process.try_wait().unwrap(), None);
}

/// Starts on a directory whose store is not one; the balancer has a table of another boot.
fn start_with_damaged_store(flags: &[&str]) -> Daemon {
    let (directory, http) = (tempfile::tempdir().unwrap(), free_address());
    let state = directory.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("store-id"), "11111111-2222-4333-8444-555555555555\n").unwrap();
    fs::write(state.join("store.redb"), "not a store").unwrap();
    let mut command = serve(&directory, http);
    command.args(flags);
    Daemon::run(command, directory, http)
}

#[test]
fn damaged_store_is_said_while_the_balancer_serves_and_a_new_one_ends_it() {
    let daemon = start_with_damaged_store(&[]);
    daemon.until("an answer of the balancer", || daemon.answers().then_some(()));
    let status = || daemon.ctl(&["status"]);
    daemon.until("the reason", || status().contains("StoreUnavailable").then_some(()));
    assert!(status().contains("damaged") && status().contains("ctl store"), "{}", status());
    let refused = daemon.ctl(&["get"]);
    assert!(refused.contains("CTL-0105") && refused.contains("damaged"), "{refused}");
    let checked = daemon.ctl(&["store", "check"]);
    assert!(checked.contains("CTL-0105") && checked.contains("store.redb"), "{checked}");
    let unasked = daemon.ctl(&["store", "new"]);
    assert!(unasked.contains("pass -y"), "{unasked}");

    let replaced = daemon.ctl(&["store", "new", "--yes"]);
    assert!(replaced.contains("starts over"), "{replaced}");
    daemon.until("a sound store", || daemon.ctl(&["store", "check"]).contains("✓ store").then_some(()));
    let aside = fs::read_to_string(daemon.state().join("store.redb.aside-1")).unwrap();
    assert_eq!(aside, "not a store", "the old one is kept");
    assert_eq!(daemon.ctl(&["get"]).matches("error").count(), 0);
}

#[test]
fn new_store_flag_sets_a_damaged_store_aside_and_keeps_a_sound_one() {
    let mut daemon = start_with_damaged_store(&["--new-store"]);
    let checked = || daemon.ctl(&["store", "check"]);
    daemon.until("a sound store", || checked().contains("✓ store").then_some(()));
    let first = checked();
    send(daemon.pid(), Signal::SIGTERM);
    daemon.ended();
    let mut command = serve(&daemon.directory, daemon.http);
    command.arg("--new-store");
    daemon.process = command.stderr(Stdio::null()).spawn().unwrap();
    let id = |text: &str| text.split(' ').nth(2).map(str::to_owned);
    let second = daemon.until("a sound store", || {
        let checked = daemon.ctl(&["store", "check"]);
        checked.contains("✓ store").then_some(checked)
    });
    assert_eq!(id(&second), id(&first), "the flag is no harm in a unit file");
}

#[test]
fn removed_sockets_are_bound_again_and_it_is_said() {
    let daemon = Daemon::start();
    let answers = || !daemon.ctl(&["status"]).contains("error");
    daemon.until("an answer", || answers().then_some(()));
    let balancer = daemon.child("balancer");
    for file in [daemon.directory.path().join("ctl.sock"), daemon.state().join("balancer/plane.sock")] {
        let connected = || daemon.log().matches("balancer connected").count();
        let before = connected();
        fs::remove_file(&file).unwrap();
        daemon.until("the socket is back", || file.exists().then_some(()));
        daemon.until("an answer", || answers().then_some(()));
        daemon.until("the balancer is connected", || (connected() > before).then_some(()));
    }
    daemon.logs("the socket was removed or replaced; it is bound again");
    daemon.until("an event for each", || {
        let events = daemon.ctl(&["events"]);
        let said =
            |file: &str| events.contains(&format!("{file} was removed or replaced; it is bound again"));
        (said("/ctl.sock") && said("/balancer/plane.sock")).then_some(())
    });
    assert_eq!(daemon.child("balancer"), balancer);
}

#[test]
fn daemon_starts_at_once_after_all_its_processes_were_killed() {
    let mut daemon = Daemon::start();
    daemon.until("an answer", || daemon.answers().then_some(()));
    for _ in 0..5 {
        let pids = [daemon.pid(), daemon.child("controller"), daemon.child("balancer")];
        for pid in pids {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let mut next = serve(&daemon.directory, daemon.http).stderr(Stdio::null()).spawn().unwrap();
        daemon.process.wait().unwrap();
        std::mem::swap(&mut daemon.process, &mut next);
        daemon.until("an answer of the next", || {
            assert_eq!(daemon.process_ended(), None, "it was refused");
            daemon.answers().then_some(())
        });
        daemon.child("controller");
        daemon.child("balancer");
    }
}

#[test]
fn copied_state_directory_is_refused_naming_both() {
    let daemon = Daemon::start();
    daemon.until("an answer", || daemon.answers().then_some(()));
    let elsewhere = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-a").arg(daemon.state()).arg(elsewhere.path()).status().unwrap();
    assert!(copied.success());
    let refused = serve(&elsewhere, free_address()).output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("CTL-0507") && text.contains("is a copy of"), "{text}");
    for path in [daemon.state(), elsewhere.path().join("state")] {
        assert!(text.contains(path.to_str().unwrap()), "{text}");
    }
}

#[test]
fn daemon_that_was_stopped_for_a_while_keeps_its_balancer() {
    let daemon = Daemon::start();
    let children = [daemon.child("controller"), daemon.child("balancer")];
    daemon.until("an answer", || daemon.answers().then_some(()));
    let all = [daemon.pid(), children[0], children[1]];
    all.iter().for_each(|pid| send(*pid, Signal::SIGSTOP));
    // Longer than a balancer may be silent.
    std::thread::sleep(Duration::from_secs(7));
    all.iter().for_each(|pid| send(*pid, Signal::SIGCONT));
    daemon.until("an answer", || daemon.answers().then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!([daemon.child("controller"), daemon.child("balancer")], children, "{}", daemon.log());
}

/// As many idle clients as would use up the descriptors of a small limit.
#[test]
fn idle_clients_take_neither_the_api_nor_the_descriptors() {
    let (directory, http) = (tempfile::tempdir().unwrap(), free_address());
    let plain = serve(&directory, http);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 512; exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    command.env("COXSWAIN_LOG", "info").stdin(Stdio::null()).stdout(Stdio::null());
    let daemon = Daemon::run(command, directory, http);
    daemon.until("an answer", || daemon.answers().then_some(()));
    let socket = daemon.directory.path().join("ctl.sock");
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        let stream = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        stream.set_nonblocking(true).unwrap();
        // The queue of the socket may be full for a moment, and is for good behind those that are served.
        match stream.connect(&socket2::SockAddr::unix(&socket).unwrap()) {
            Ok(()) => idle.push(stream),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    assert!(idle.len() > 256, "{} clients", idle.len());
    let controller = daemon.child("controller");
    let open = fs::read_dir(format!("/proc/{controller}/fd")).unwrap().count();
    assert!(open < 400, "{open} descriptors of 512 are in use");
    daemon.until("the API", || (!daemon.ctl(&["status"]).contains("error")).then_some(()));
    assert_eq!(daemon.child("controller"), controller);
}

#[test]
fn store_goes_back_to_a_snapshot_and_forward_again() {
    let daemon = Daemon::start();
    let file = |name: &str| daemon.directory.path().join(name).display().to_string();
    let id = || {
        daemon.until("a sound store", || {
            let checked = daemon.ctl(&["store", "check"]);
            checked.strip_prefix("✓ store ").and_then(|rest| rest.split(' ').next().map(str::to_owned))
        })
    };
    let first = id();
    let saved = daemon.ctl(&["store", "snapshot", &file("a")]);
    assert!(saved.contains("bytes"), "{saved}");
    assert!(daemon.ctl(&["store", "snapshot", &file("a")]).contains("exists"), "it is never overwritten");

    daemon.ctl(&["store", "new", "--yes"]);
    let second = daemon.until("another store", || Some(id()).filter(|id| *id != first));
    daemon.ctl(&["store", "snapshot", &file("b")]);
    for (name, expected) in [("a", &first), ("b", &second), ("a", &first)] {
        let restored = daemon.ctl(&["store", "restore", &file(name), "--yes"]);
        assert!(restored.contains(expected.as_str()), "{restored}");
        daemon.until("the restored store", || (id() == *expected).then_some(()));
    }
    fs::write(file("c"), "not a snapshot\n").unwrap();
    let refused = daemon.ctl(&["store", "restore", &file("c"), "--yes"]);
    assert!(refused.contains("CTL-0506") && refused.contains("nothing was changed"), "{refused}");
    assert_eq!(id(), first);
    daemon.until("an answer", || daemon.answers().then_some(()));
}

#[test]
fn store_damaged_at_runtime_leaves_the_balancer_and_mended_files_are_noticed() {
    let daemon = Daemon::start();
    daemon.logs("has started role=controller");
    let (controller, balancer) = (daemon.child("controller"), daemon.child("balancer"));
    daemon.until("an answer", || daemon.answers().then_some(()));
    let path = daemon.state().join("store.redb");
    send(daemon.pid(), Signal::SIGSTOP);
    send(controller, Signal::SIGKILL);
    daemon.until("its end", || gone(controller).then_some(()));
    let good = fs::read(&path).unwrap();
    fs::write(&path, "not a store").unwrap();
    send(daemon.pid(), Signal::SIGCONT);
    daemon.until("the reason", || daemon.ctl(&["status"]).contains("StoreUnavailable").then_some(()));
    assert!(daemon.answers() && alive(balancer), "{}", daemon.log());
    fs::write(&path, good).unwrap();
    daemon.until("a sound store", || daemon.ctl(&["store", "check"]).contains("✓ store").then_some(()));
    assert!(alive(balancer));
}

/// A daemon without root, from an executable that another user can read wherever this was built; and the user's id.
fn as_unprivileged_user(directory: &TempDir, http: SocketAddr) -> (Command, u32) {
    let plain = serve(directory, http);
    let program = directory.path().join("ctl");
    fs::copy(plain.get_program(), &program).unwrap();
    let mut command = Command::new(program);
    command.args(plain.get_args()).env("COXSWAIN_LOG", "info").stdin(Stdio::null()).stdout(Stdio::null());
    let me = nix::unistd::geteuid();
    if !me.is_root() {
        return (command, me.as_raw());
    }
    std::os::unix::fs::chown(directory.path(), Some(65_534), Some(65_534)).unwrap();
    command.uid(65_534).gid(65_534);
    (command, 65_534)
}

/// What a daemon without root may do is all that it needs here, for Docker is not asked.
#[test]
fn unprivileged_daemon_runs_as_one_user_and_logs_it() {
    let directory = tempfile::tempdir().unwrap();
    let http = free_address();
    let (command, user) = as_unprivileged_user(&directory, http);
    let mut daemon = Daemon::run(command, directory, http);
    daemon.logs("not started as root: the balancer runs as the same user as the controller");
    daemon.until("an answer", || daemon.answers().then_some(()));
    for role in ["controller", "balancer"] {
        let ids = status(daemon.child(role), "Uid");
        assert!(ids.split_whitespace().all(|id| id == user.to_string()), "{role}: {ids}");
    }
    send(daemon.pid(), Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
}

#[test]
fn hanging_balancer_is_restarted() {
    let daemon = Daemon::start();
    let balancer = daemon.child("balancer");
    send(balancer, Signal::SIGSTOP);
    daemon.successor("balancer", balancer);
    assert!(!alive(balancer), "the hanging one was not reaped first");
    daemon.logs("no heartbeat");
    daemon.until("an answer", || daemon.answers().then_some(()));
}

#[test]
fn children_exit_when_supervisor_is_killed() {
    let mut daemon = Daemon::start();
    let children = [daemon.child("controller"), daemon.child("balancer")];
    send(daemon.pid(), Signal::SIGKILL);
    daemon.ended();
    daemon.until("the children's end", || daemon.children().is_empty().then_some(()));
    daemon.until("their reaping", || children.iter().all(|&pid| gone(pid)).then_some(()));
}

/// Ended, even if its new parent has not reaped it.
fn gone(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).map_or(true, |text| text.contains("State:\tZ"))
}

#[test]
fn second_daemon_on_same_state_dir_is_rejected() {
    let daemon = Daemon::start();
    let second = serve(&daemon.directory, free_address()).output().unwrap();
    let text = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(2), "{text}");
    assert!(text.contains("CTL-0501"), "{text}");
    assert!(text.contains(&format!("process {}", daemon.pid())), "{text}");
    assert!(text.contains(daemon.state().to_str().unwrap()), "{text}");
}

#[test]
fn port_in_use_is_rejected_naming_port_and_owner() {
    let daemon = Daemon::start();
    let directory = tempfile::tempdir().unwrap();
    let second = serve(&directory, daemon.http).output().unwrap();
    let text = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(2), "{text}");
    assert!(text.contains("CTL-0503"), "{text}");
    assert!(text.contains(&daemon.http.to_string()), "{text}");
    let mut owners = daemon.children();
    owners.push((String::new(), daemon.pid()));
    assert!(owners.iter().any(|(_, pid)| text.contains(&format!("process {pid}"))), "{owners:?}: {text}");
}

#[test]
fn stale_api_socket_is_replaced() {
    let mut daemon = Daemon::start();
    send(daemon.pid(), Signal::SIGKILL);
    daemon.ended();
    daemon.until("the children's end", || daemon.children().is_empty().then_some(()));
    assert!(daemon.directory.path().join("ctl.sock").exists(), "nothing to replace");
    daemon.process = serve(&daemon.directory, free_address()).stderr(Stdio::null()).spawn().unwrap();
    daemon.child("controller");
}

/// The longest pause between two balancers that are killed as soon as they serve.
const RESTART_BOUND: Duration = Duration::from_secs(3);

#[test]
fn balancer_killed_again_and_again_is_back_soon_and_its_crash_loop_is_shown() {
    let daemon = Daemon::start();
    let mut balancer = daemon.child("balancer");
    daemon.until("an answer", || daemon.answers().then_some(()));
    for round in 0..12 {
        send(balancer, Signal::SIGKILL);
        let began = Instant::now();
        balancer = daemon.successor("balancer", balancer);
        daemon.until("an answer from the successor", || daemon.answers().then_some(()));
        assert!(began.elapsed() < RESTART_BOUND, "round {round}: {:?}", began.elapsed());
    }
    daemon.logs("is crash-looping");
    daemon.until("a condition", || {
        let status = daemon.ctl(&["status"]);
        (status.contains("DaemonCrashLooping") && status.contains("the balancer exited")).then_some(())
    });
    daemon.until("an event", || daemon.ctl(&["events"]).contains("daemon/balancer").then_some(()));
}

#[test]
fn balancer_has_no_new_privs_and_children_do_not_inherit_lock() {
    let daemon = Daemon::start();
    let (controller, balancer) = (daemon.child("controller"), daemon.child("balancer"));
    daemon.until("an answer", || daemon.answers().then_some(()));
    assert_eq!(status(balancer, "NoNewPrivs"), "1");
    let lock = daemon.state().join("supervisor.lock");
    for pid in [controller, balancer] {
        let open: Vec<PathBuf> = fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .collect();
        assert!(!open.contains(&lock), "{pid} holds the lock: {open:?}");
    }
}

/// Only root may raise a priority, and one that was set is kept.
#[test]
fn daemon_runs_at_niceness_minus_10_except_request_threads() {
    let daemon = Daemon::start();
    daemon.until("an answer", || daemon.answers().then_some(()));
    let own = niceness("self/task", std::process::id().try_into().unwrap());
    let ahead = if own == 0 && nix::unistd::geteuid().is_root() { -10 } else { own };
    let mut serving = 0;
    for role in ["controller", "balancer"] {
        let tasks = format!("{}/task", daemon.child(role));
        for task in fs::read_dir(format!("/proc/{tasks}")).unwrap() {
            let task = task.unwrap();
            let name = fs::read_to_string(task.path().join("comm")).unwrap();
            let thread = task.file_name().to_str().unwrap().parse().unwrap();
            // the name of the threads that serve
            let serves = role == "balancer" && name.trim() == "balancer";
            serving += usize::from(serves);
            assert_eq!(niceness(&tasks, thread), if serves { own } else { ahead }, "{role}: {name}");
        }
    }
    assert!(serving > 0, "no thread serves");
}

/// Field 19 of a thread's stat.
fn niceness(tasks: &str, thread: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{tasks}/{thread}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(16).unwrap().parse().unwrap()
}

/// Only root can give the balancer a user of its own; elsewhere the daemon must say that it cannot.
#[test]
fn balancer_cannot_write_docker_socket() {
    let daemon = Daemon::start();
    let balancer = daemon.child("balancer");
    daemon.until("an answer", || daemon.answers().then_some(()));
    if !nix::unistd::geteuid().is_root() {
        daemon.logs("not started as root");
        return;
    }
    for ids in ["Uid", "Gid"] {
        let id = status(balancer, ids);
        assert!(id.split(' ').all(|id| id == "65530"), "{ids}: {id}");
    }
    assert_eq!(status(balancer, "Groups"), "");
    assert_eq!(status(balancer, "CapEff"), "0000000000000000");
    let docker = PathBuf::from("/run/docker.sock");
    let stand_in = tempfile::tempdir().unwrap();
    let docker = if docker.exists() { docker } else { like_docker(&stand_in) };
    // To connect is to write. The same call, with the balancer's ids and with ours, and only ours may.
    let mut ask = Command::new("test");
    ask.arg("-w").arg(docker);
    assert!(ask.status().unwrap().success(), "root can write to it");
    assert_eq!(
        ask.uid(65530).gid(65530).status().unwrap().code(),
        Some(1),
        "the balancer's user can write to it"
    );
}

/// A socket with the owner and mode that Docker gives its own.
fn like_docker(directory: &TempDir) -> PathBuf {
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = directory.path().join("docker.sock");
    std::os::unix::net::UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    path
}
