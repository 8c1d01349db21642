//! What happens to containers, images, addresses and descriptors on a real machine, each by itself and without load.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use crate::daemon::{Daemon, PATIENCE, docker, wait_for};

const HOST: &str = "hello.localhost";
/// A container that was taken off its network serves again within this time.
const OFF_NETWORK_BOUND: Duration = Duration::from_secs(5);

fn manifest(image: &str, replicas: u32, more: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: hello}}\nspec:\n  image: {image}\n  replicas: {replicas}\n  \
         port: 8080\n  route: [{{host: {HOST}, hold: 0s}}]\n  health: {{http: /healthz, interval: 500ms}}\n  \
         rollout: {{healthyFor: 500ms, deadline: 120s}}\n{more}"
    )
}

/// A daemon with that service running.
fn running(replicas: u32, more: &str) -> (Daemon, String) {
    let daemon = Daemon::start();
    let image = daemon.image("v1");
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&image, replicas, more))]);
    (daemon, image)
}

fn network(daemon: &Daemon) -> String {
    format!("coxswain-default-{}", &daemon.store()[..8])
}

fn tags(daemon: &Daemon) -> Vec<String> {
    let all = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
    let end = format!("-{}", &daemon.store()[..8]);
    all.lines().filter(|tag| tag.starts_with("coxswain/") && tag.ends_with(&end)).map(str::to_owned).collect()
}

/// Reasons of the events so far.
fn events_about(daemon: &Daemon, reason: &str) -> usize {
    daemon.expect(0, &["events", "hello"]).0.lines().filter(|line| line.contains(reason)).count()
}

#[test]
fn twenty_deleted_replicas_leave_nothing_and_can_be_recreated_at_once() {
    let (daemon, image) = running(20, "");
    let file = daemon.file("app.yaml", &manifest(&image, 20, ""));
    wait_for("its image is protected", || tags(&daemon).len() == 1);
    for round in 0..2 {
        daemon.expect(0, &["delete", "hello", "--yes"]);
        assert_eq!(tags(&daemon), [] as [&str; 0], "the tag goes before the service does");
        if round == 0 {
            // The network may be on its way out at this moment.
            daemon.expect(0, &["apply", "-f", &file]);
            assert_eq!(daemon.get(HOST, "/").map(|(status, _)| status), Some(200));
            assert!(!daemon.log().contains("no such network"), "{}", daemon.log());
        }
    }
    daemon.lets_networks_go();
}

#[test]
fn allocator_skips_address_taken_by_foreign_container() {
    let (daemon, image) = running(1, "");
    let network = network(&daemon);
    let first = daemon.json(&["get", "replicas", "-o", "json"])["items"][0]["status"]["address"].clone();
    let first: std::net::Ipv4Addr = first.as_str().unwrap().parse().unwrap();
    let next = |n: u8| {
        let [a, b, c, d] = first.octets();
        std::net::Ipv4Addr::new(a, b, c, d + n).to_string()
    };
    let taken: Vec<String> = (1..=2)
        .map(|n| {
            docker(&["run", "--detach", "--network", &network, "--ip", &next(n), &image]).trim().to_owned()
        })
        .collect();
    let scaled = daemon.ctl(&["scale", "hello=2", "--timeout", "120s"]);
    let log = daemon.log();
    let left_alone = docker(&["ps", "--quiet", "--no-trunc"]);
    let left_alone = taken.iter().all(|id| !id.is_empty() && left_alone.contains(id.as_str()));
    docker(&[&["rm", "--force"][..], &taken.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    assert!(scaled.status.success(), "{}\n{log}", String::from_utf8_lossy(&scaled.stderr));
    assert!(left_alone, "foreign containers keep running");
    assert_eq!(daemon.containers("hello", true).len(), 2);
}

#[test]
fn flapping_replica_leaves_rotation_and_is_not_replaced() {
    let (daemon, _) = running(1, "");
    let before = daemon.containers("hello", false);
    for round in 1..=2 {
        assert_eq!(daemon.get(HOST, "/sick?ms=3000").map(|(status, _)| status), Some(200));
        wait_for("it is out of rotation", || daemon.get(HOST, "/").map(|(status, _)| status) == Some(503));
        wait_for("it is back", || daemon.get(HOST, "/").map(|(status, _)| status) == Some(200));
        wait_for("both are reported", || events_about(&daemon, "ReplicaReady") == round + 1);
    }
    assert_eq!(daemon.containers("hello", false), before, "readiness restarts nothing");
}

#[test]
fn oom_killed_container_is_reported_and_replaced() {
    let (daemon, _) = running(1, "  resources: {memory: 32Mi}\n");
    let before = daemon.containers("hello", true);
    // It is killed over it, so there is no answer of its own.
    let answer = daemon.get(HOST, "/eat?bytes=200000000").map(|(status, _)| status);
    assert!(answer.is_none_or(|status| status == 502), "{answer:?}");
    wait_for("another runs", || {
        let now = daemon.containers("hello", true);
        now.len() == 1 && now != before
    });
    wait_for("it serves", || daemon.get(HOST, "/").map(|(status, _)| status) == Some(200));
    assert_eq!(events_about(&daemon, "OOM-killed"), 1, "{}", daemon.expect(0, &["events", "hello"]).0);
}

#[test]
fn image_removed_by_hand_is_kept_by_protection_tag() {
    let (daemon, image) = running(1, "");
    wait_for("its image is protected", || tags(&daemon).len() == 1);
    docker(&["image", "rm", "--force", &image]);
    assert!(docker(&["image", "ls", "--quiet", &image]).is_empty());
    let before = daemon.containers("hello", true);
    docker(&["kill", &before[0]]);
    wait_for("another runs from the same image", || {
        let now = daemon.containers("hello", true);
        now.len() == 1 && now != before
    });
    wait_for("it serves", || daemon.get(HOST, "/").map(|(status, _)| status) == Some(200));
    daemon.expect(0, &["scale", "hello=3"]);
}

/// So many requests at once on a connection that stays; their statuses.
fn ask(stream: &mut TcpStream, host: &str, count: usize) -> Vec<u16> {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.repeat(count).as_bytes()).unwrap();
    (0..count).map(|_| read_status(stream)).collect()
}

fn read_status(stream: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).unwrap().to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
    stream.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// As the process's own user: even root may not do this to another's process everywhere.
fn limit_descriptors(pid: i32, limit: &str) {
    let of = std::fs::metadata(format!("/proc/{pid}")).unwrap();
    let mut prlimit = Command::new("prlimit");
    if of.uid() != nix::unistd::geteuid().as_raw() {
        prlimit.uid(of.uid()).gid(of.gid());
    }
    let set = prlimit.args([&format!("--pid={pid}"), &format!("--nofile={limit}:")]).status();
    assert!(set.expect("prlimit of util-linux").success());
}

#[test]
fn balancer_out_of_descriptors_ejects_no_endpoint() {
    let (daemon, _) = running(1, "");
    let mut stream = TcpStream::connect(daemon.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Accepted, and no connection to the endpoint is open yet that could be used again.
    assert_eq!(ask(&mut stream, "other.localhost", 1), [404]);
    let balancer = daemon.pids("balancer")[0];
    let open: Vec<u32> = std::fs::read_dir(format!("/proc/{balancer}/fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    let lowest_free = (0..).find(|n| !open.contains(n)).unwrap();
    limit_descriptors(balancer, &lowest_free.to_string());
    // at once: a connection that is idle for a moment is closed to make room
    let short = ask(&mut stream, HOST, 5);
    limit_descriptors(balancer, "4096");
    assert_eq!(short, [503; 5]);
    let after = daemon.get(HOST, "/").map(|(status, _)| status);
    assert_eq!(after, Some(200), "the endpoint was not to blame and is not skipped");
    assert_eq!(daemon.log().matches("out of connections").count(), 1, "{}", daemon.log());
}

/// Nothing that a container does off its network ends, so it is not drained either.
#[test]
fn containers_off_their_network_are_back_within_seconds() {
    let (daemon, _) = running(2, "");
    let before: BTreeSet<String> = daemon.containers("hello", true).into_iter().collect();
    let network = network(&daemon);
    let ready = || {
        let endpoints = daemon.json(&["get", "endpoints", "-o", "json"]);
        let items = endpoints["items"].as_array().expect("a list").clone();
        items.iter().filter(|endpoint| endpoint["status"]["state"] == serde_json::json!("ready")).count()
    };
    for round in 0..3 {
        let began = tokio::time::Instant::now();
        before.iter().for_each(|id| drop(docker(&["network", "disconnect", "--force", &network, id])));
        if round == 2 {
            docker(&["network", "rm", &network]);
        }
        wait_for("an endpoint is out of rotation", || {
            ready() < 2 || events_about(&daemon, "OffNetwork") > 2 * round
        });
        wait_for("both are back", || ready() == 2);
        assert!(
            began.elapsed() < OFF_NETWORK_BOUND,
            "round {round}: {:?}\n{}",
            began.elapsed(),
            daemon.log()
        );
        assert_eq!(daemon.get(HOST, "/").map(|(status, _)| status), Some(200));
    }
    assert_eq!(daemon.containers("hello", true).into_iter().collect::<BTreeSet<_>>(), before);
}
