//! A daemon of a test's or a measurement's own: state, socket and port are its alone, and all that it made goes with it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::faultsock::FaultSock;
use crate::images::{Run, socket};

/// The longest that anything here is waited for; the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A file system in memory, unmounted when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, mebibytes: u32) -> Self {
        std::fs::create_dir(at).expect("a mount point");
        let options = format!("size={mebibytes}m");
        nix::mount::mount(
            Some("tmpfs"),
            at,
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            Some(options.as_str()),
        )
        .expect("these tests run as root");
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

/// A running `ctl serve`.
pub(crate) struct Daemon {
    /// Before the folder that it is in.
    disk: Option<SmallDisk>,
    dir: tempfile::TempDir,
    pub(crate) http: SocketAddr,
    docker: PathBuf,
    /// What it logs, in the syntax of `RUST_LOG`; empty for what it logs by itself.
    logs: &'static str,
    /// Further arguments of `ctl serve`.
    pub(crate) flags: Vec<&'static str>,
    process: Option<Child>,
    run: Run,
}

impl Daemon {
    /// Starts one on a free port and waits until it answers.
    pub(crate) fn start() -> Self {
        Self::start_logging("")
    }

    /// Starts one with further arguments.
    pub(crate) fn start_with(flags: &[&'static str]) -> Self {
        Self::start_in(folder(), Path::new(&socket()), "", flags)
    }

    pub(crate) fn start_with_docker(docker: &Path) -> Self {
        Self::start_in(folder(), docker, "", &[])
    }

    /// Starts one with this log filter.
    pub(crate) fn start_logging(logs: &'static str) -> Self {
        Self::start_in(folder(), Path::new(&socket()), logs, &[])
    }

    /// Starts one behind a socket that forwards to Docker, until a fault is set.
    pub(crate) fn start_behind_faults() -> (Self, FaultSock) {
        let dir = folder();
        let faults = FaultSock::start(&dir.path().join("docker.sock"), &socket());
        let daemon = Self::start_in(dir, faults.path(), "", &[]);
        (daemon, faults)
    }

    /// Starts one whose state is on a disk of its own, of this many MiB.
    pub(crate) fn start_on_small_disk(mebibytes: u32) -> Self {
        let dir = folder();
        let disk = SmallDisk::mount(&dir.path().join("state"), mebibytes);
        let mut daemon = Self::start_in(dir, Path::new(&socket()), "", &[]);
        daemon.disk = Some(disk);
        daemon
    }

    fn start_in(dir: tempfile::TempDir, docker: &Path, logs: &'static str, flags: &[&'static str]) -> Self {
        let mut daemon = Self {
            disk: None,
            dir,
            http: free_port(),
            docker: docker.to_owned(),
            logs,
            flags: flags.to_vec(),
            process: None,
            run: Run::start(),
        };
        daemon.serve();
        daemon.run.sweep_store(&daemon.store());
        daemon
    }

    /// Starts the process (again) and waits until the API answers.
    pub(crate) fn serve(&mut self) {
        self.process = Some(self.spawn());
        wait_for("the daemon answers", || self.ctl(&["status"]).status.success());
    }

    /// `kill -9` of the supervisor; starts the next one at once, and waits until the API answers. By then a balancer listens, because
    /// children start after that.
    pub(crate) fn kill_supervisor(&mut self) {
        let controllers = self.pids("controller");
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it is ours");
        process.wait().expect("it is killed");
        self.process = Some(self.spawn());
        // the old controller ends with its supervisor, and may answer until then
        wait_for("the old controller's end", || {
            self.pids("controller").iter().all(|pid| !controllers.contains(pid))
        });
        wait_for("the daemon answers", || self.ctl(&["status"]).status.success());
    }

    fn spawn(&self) -> Child {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .expect("a log");
        Command::new(assert_cmd::cargo::cargo_bin!("ctl"))
            .arg("serve")
            .args(["--state-dir".as_ref(), self.dir.path().join("state").as_os_str()])
            .args(["--socket".as_ref(), self.socket().as_os_str()])
            .args(["--docker".as_ref(), self.docker.as_os_str()])
            .args(["--http", &self.http.to_string()])
            .args(&self.flags)
            .env("COXSWAIN_LOG", self.logs)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("ctl serve starts")
    }

    /// Builds an image of this test's own that answers with that version.
    pub(crate) fn image(&self, version: &str) -> String {
        self.image_with(version, "")
    }

    /// The same with further instructions in its Dockerfile: `VOLUME /data`.
    pub(crate) fn image_with(&self, version: &str, instructions: &str) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(self.run.hello_with(version, instructions))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("ctl.sock")
    }

    /// A path for a manifest of the test's own.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("a manifest is written");
        path.to_string_lossy().into_owned()
    }

    /// `ctl` as a user types it, without a terminal.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("ctl"));
        command
            .args(args)
            .env_clear()
            .env("CTL_SOCKET", self.socket())
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn ctl(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("ctl runs")
    }

    /// `ctl`, its exit code asserted; returns stdout and stderr.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> (String, String) {
        let output = self.ctl(args);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        assert_eq!(output.status.code(), Some(code), "ctl {args:?}\n{out}{err}\n--- daemon\n{}", self.log());
        (out, err)
    }

    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let (out, _) = self.expect(0, args);
        serde_json::from_str(&out).expect("JSON")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Waits until the daemon has removed its networks. Docker 20.10 counts a network's endpoints wrong now and then when
    /// many go at once: it lists none, and refuses to remove the network until it is restarted itself. All that is left
    /// to do then is to ask again, which the daemon must keep doing.
    pub(crate) fn lets_networks_go(&self) {
        let filter = format!("label=coxswain.store={}", self.store());
        let gone = || docker(&["network", "ls", "--quiet", "--filter", &filter]).is_empty();
        let refused = || self.log().matches("has active endpoints").count();
        let before = refused();
        wait_for("the network is gone, or was asked for three times", || gone() || refused() >= before + 3);
    }

    /// Process ids of a role, by the arguments that `ps` shows.
    pub(crate) fn pids(&self, role: &str) -> Vec<i32> {
        let state = self.dir.path().join("state").to_string_lossy().into_owned();
        let wanted = |arguments: &[String]| {
            arguments.contains(&state)
                && arguments.windows(2).any(|pair| pair == ["--role".to_owned(), role.to_owned()])
        };
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        processes
            .filter_map(|entry| {
                let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
                let line = std::fs::read(entry.path().join("cmdline")).ok()?;
                let arguments: Vec<String> = line
                    .split(|byte| *byte == 0)
                    .map(|part| String::from_utf8_lossy(part).into_owned())
                    .collect();
                wanted(&arguments).then_some(pid)
            })
            .collect()
    }

    /// `kill -9` of a role's process; waits until another has taken its place.
    pub(crate) fn kill(&self, role: &str) {
        let before = self.pids(role);
        for pid in &before {
            let pid = nix::unistd::Pid::from_raw(*pid);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("the process was there");
        }
        wait_for("a successor", || {
            let now = self.pids(role);
            now.len() == 1 && !before.contains(&now[0])
        });
    }

    /// Stops the daemon as an administrator does; containers keep running.
    pub(crate) fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let pid = nix::unistd::Pid::from_raw(i32::try_from(process.id()).expect("a pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = process.wait();
    }

    /// Ids of the containers of a service, running or not.
    pub(crate) fn containers(&self, service: &str, running: bool) -> Vec<String> {
        let store = self.store();
        let filters = [format!("label=coxswain.store={store}"), format!("label=coxswain.service={service}")];
        let mut args = vec!["ps", "--quiet", "--no-trunc"];
        if !running {
            args.push("--all");
        }
        filters.iter().for_each(|filter| args.extend(["--filter", filter]));
        docker(&args).lines().map(str::to_owned).collect()
    }

    pub(crate) fn store(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("state/store-id")).unwrap_or_default().trim().to_owned()
    }

    /// Processor time that a role's process has used, as of now.
    pub(crate) fn used(&self, role: &str) -> Duration {
        let pid = self.pids(role)[0];
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
        let after_name = stat.rsplit(')').next().expect("a name in brackets");
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).map(|t| t.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10) // Linux counts in hundredths of a second
    }

    /// A request to the entry point: status and body.
    pub(crate) fn get(&self, host: &str, path: &str) -> Option<(u16, String)> {
        get(self.http, host, path)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
        let store = self.store();
        let tags = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
        let ours = tags.lines().filter(|tag| tag.starts_with("coxswain/") && tag.ends_with(&store[..8]));
        ours.for_each(|tag| self.run.sweep_image(tag)); // the rest is swept with the run
    }
}

/// A request on a connection of its own: status and body.
pub(crate) fn get(address: SocketAddr, host: &str, path: &str) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("coxswain-test-").tempdir().expect("a temporary folder")
}

/// The docker command line; its output, whatever it was.
pub(crate) fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("the docker command line is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits for a condition, with a bound.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = tokio::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that was free a moment ago. Tests run side by side, so each takes its own from the system.
pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}
