//! Requests per second through the balancer as a ratio to nginx: the same containers behind both, keep-alive on both
//! sides, 64 connections, in turns. Client, proxy and service share the machine's cores in both cases.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Shared;
use crate::daemon::{Daemon, docker, free_port, wait_for};
use crate::figure::{Figure, median};
use crate::replicas::{HOST, manifest};

const BACKENDS: usize = 4;
const PAIRS: usize = 3;
const SECONDS: u32 = 5;

pub(crate) fn measure(_: &Shared) -> Vec<Figure> {
    let what = "requests/s through the balancer ÷ nginx, keep-alive, 64 connections, median of 3 pairs";
    let missing: Vec<&str> = ["nginx", "wrk"].into_iter().filter(|tool| !is_installed(tool)).collect();
    if !missing.is_empty() {
        return vec![Figure::note(what, format!("not measured: {} not installed", missing.join(" and ")))];
    }
    let daemon = Daemon::start();
    let file = manifest(&daemon, &daemon.image("v1"), BACKENDS, "  health: {none: true}\n");
    daemon.expect(0, &["apply", "-f", &file]);
    let nginx = Nginx::start(&addresses(&daemon));
    let against = Rates::take(|| rate(nginx.address), || rate(daemon.http));
    drop(nginx);
    let watched = Rates::take(
        || rate(daemon.http),
        || {
            let _watcher = Watcher::start(&daemon);
            rate(daemon.http)
        },
    );
    vec![
        against.at_least(what, 1.0),
        watched.note(
            "requests/s through the balancer with a watcher of its counters ÷ without, median of 3 pairs",
        ),
    ]
}

/// Requests per second through something else and through the balancer, in turns.
struct Rates(Vec<(f64, f64)>);

impl Rates {
    /// So many pairs, after one to warm up.
    fn take(other: impl Fn() -> f64, ours: impl Fn() -> f64) -> Self {
        let pair = || (other(), ours());
        pair();
        Self((0..PAIRS).map(|_| pair()).collect())
    }

    fn ratio(&self) -> f64 {
        median(&self.0.iter().map(|(other, ours)| ours / other).collect::<Vec<_>>())
    }

    fn details(&self) -> String {
        let other = median(&self.0.iter().map(|(other, _)| *other).collect::<Vec<_>>());
        let ours = median(&self.0.iter().map(|(_, ours)| *ours).collect::<Vec<_>>());
        format!("{ours:.0}/s to {other:.0}/s")
    }

    fn at_least(&self, what: &str, limit: f64) -> Figure {
        Figure::at_least(what, self.ratio(), limit, "x", &self.details())
    }

    fn note(&self, what: &str) -> Figure {
        Figure::note(what, format!("{:.2} x ({})", self.ratio(), self.details()))
    }
}

/// Watches the balancer's counters, as a terminal that follows a rollout does.
struct Watcher(Child);

impl Watcher {
    fn start(daemon: &Daemon) -> Self {
        let url = "http://ctl/v1/services/hello/progress?generation=1000000&counters=true";
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--no-buffer", "--unix-socket"]).arg(daemon.socket()).arg(url);
        let mut child = curl.stdout(Stdio::piped()).spawn().expect("curl starts");
        let mut first = [0];
        child.stdout.as_mut().expect("piped").read_exact(&mut first).expect("it watches");
        Self(child)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_installed(tool: &str) -> bool {
    let asked = Command::new(tool).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok()
}

/// Addresses of the replicas' containers.
fn addresses(daemon: &Daemon) -> Vec<String> {
    let ids = daemon.containers("hello", true);
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let mut args = vec!["inspect", "--format", format];
    args.extend(ids.iter().map(String::as_str));
    let addresses: Vec<String> = docker(&args).lines().map(|line| line.trim().to_owned()).collect();
    assert_eq!(addresses.len(), BACKENDS, "{addresses:?}");
    addresses
}

/// One run of wrk; every answer must be a good one.
fn rate(address: SocketAddr) -> f64 {
    let output = Command::new("wrk")
        .args(["--threads", "2", "--connections", "64", "--duration", &format!("{SECONDS}s")])
        .args(["--header", &format!("Host: {HOST}"), &format!("http://{address}/")])
        .output()
        .expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

/// An nginx with its files in a temporary folder.
struct Nginx {
    address: SocketAddr,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn start(backends: &[String]) -> Self {
        let folder = tempfile::Builder::new().prefix("coxswain-bench-").tempdir().expect("a folder");
        let address = free_port();
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, configuration(folder.path(), address, backends)).expect("a file");
        let process = Command::new("nginx")
            .args(["-p".as_ref(), folder.path().as_os_str(), "-c".as_ref(), config.as_os_str()])
            .args(["-e".as_ref(), folder.path().join("error.log").as_os_str()])
            .stdout(Stdio::null())
            .spawn()
            .expect("nginx starts");
        wait_for("nginx listens", || std::net::TcpStream::connect(address).is_ok());
        Self { address, process, _folder: folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // on SIGTERM the master ends its workers; on SIGKILL it would leave them running
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).expect("a pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.process.wait();
    }
}

/// The fastest known setup of nginx as a proxy: a worker per core, no log, idle connections kept to the backends.
fn configuration(folder: &Path, address: SocketAddr, backends: &[String]) -> String {
    let folder = folder.display();
    let servers: Vec<String> = backends.iter().map(|ip| format!("    server {ip}:8080;")).collect();
    let servers = servers.join("\n");
    format!(
        "daemon off;\nworker_processes auto;\npid {folder}/pid;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 100000000;\n\
         client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n\
         fastcgi_temp_path {folder}/fastcgi;\n  uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n\
         upstream hello {{\n    least_conn;\n{servers}\n    keepalive 64;\n    keepalive_requests 100000000;\n  }}\n\
         server {{\n    listen {address} reuseport;\n    location / {{\n      proxy_pass http://hello;\n\
         proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n\
         proxy_set_header Host $host;\n\
         proxy_set_header X-Forwarded-For $remote_addr;\n\
         proxy_set_header X-Forwarded-Proto $scheme;\n\
         proxy_set_header X-Forwarded-Host $host;\n    }}\n  }}\n}}\n"
    )
}
