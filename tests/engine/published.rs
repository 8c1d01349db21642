//! Containers that are reached at ports of 127.0.0.1, as with rootless Docker: by configuration, on any Engine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};

use crate::daemon::{Daemon, docker, wait_for};
use crate::load::{Client, Load};

const HOST: &str = "ports.localhost";
const FLAGS: [&str; 2] = ["--exposure", "published"];
const KINDS: [Client; 4] = [Client::KeepAlive, Client::Fresh, Client::Post(20_000), Client::Slow(300)];

fn manifest(image: &str, more: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: ports}}\nspec:\n  image: {image}\n  replicas: 3\n  \
         port: 8080\n  route: {HOST}\n  rollout: {{healthyFor: 500ms, deadline: 120s}}\n{more}"
    )
}

/// Address and port of each endpoint, by its replica.
fn endpoints(daemon: &Daemon) -> BTreeMap<String, (String, u64)> {
    let all = daemon.json(&["get", "endpoints", "-o", "json"]);
    let endpoint = |item: &serde_json::Value| {
        let status = &item["status"];
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let port = status["ports"]["http"].as_u64().unwrap_or_default();
        (text(&status["replica"]), (text(&status["address"]), port))
    };
    all["items"].as_array().expect("a list").iter().map(endpoint).collect()
}

/// What Docker publishes for a container: the host's address and port.
fn bindings(container: &str) -> Vec<String> {
    let format = "{{range .HostConfig.PortBindings}}{{range .}}{{.HostIp}}:{{.HostPort}} {{end}}{{end}}";
    docker(&["inspect", "--format", format, container]).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn service_with_published_ports_is_reached_scaled_and_rolled() {
    let daemon = Daemon::start_with(&FLAGS);
    let (v1, v2) = (daemon.image("v1"), daemon.image("v2"));
    let file = daemon.file("app.yaml", &manifest(&v1, "  health: /healthz\n"));
    daemon.expect(0, &["apply", "-f", &file]);
    let (status, _) = daemon.expect(0, &["status"]);
    assert!(status.contains("reached at ports published on 127.0.0.1"), "{status}");

    let first = endpoints(&daemon);
    assert_eq!(first.len(), 3, "{first:?}");
    for (address, port) in first.values() {
        assert_eq!(address, "127.0.0.1");
        assert!((20_000..30_000).contains(port), "{port}");
    }
    let reported: BTreeSet<String> =
        first.values().map(|(address, port)| format!("{address}:{port}")).collect();
    let asked: BTreeSet<String> =
        daemon.containers("ports", true).iter().flat_map(|container| bindings(container)).collect();
    assert_eq!(asked, reported, "nothing but these, and nothing that another machine reaches");

    let load = Load::start(daemon.http, HOST, &KINDS);
    daemon.expect(0, &["scale", "ports=5"]);
    daemon.expect(0, &["rollout", "ports", "--image", &v2]);
    daemon.expect(0, &["scale", "ports=2"]);
    let tally = load.stop();
    assert!(tally.sent > 50, "too few requests to say anything: {}", tally.sent);
    assert_eq!(tally.failures, Vec::<String>::new(), "of {} requests", tally.sent);

    let left: BTreeSet<u64> = endpoints(&daemon).values().map(|(_, port)| *port).collect();
    let used: BTreeSet<u64> = first.values().map(|(_, port)| *port).collect();
    assert!(left.is_disjoint(&used), "a port comes again as late as possible: {left:?} after {used:?}");
}

#[test]
fn taken_port_costs_one_attempt_and_no_rollout() {
    let daemon = Daemon::start_with(&FLAGS);
    let file = daemon.file("app.yaml", &manifest(&daemon.image("v1"), "  health: /healthz\n"));
    daemon.expect(0, &["apply", "-f", &file]);
    let last = endpoints(&daemon).values().map(|(_, port)| *port).max().expect("endpoints");
    let next = u16::try_from(if last == 29_999 { 20_000 } else { last + 1 }).expect("a port");
    // Another test's daemon may have it, which is as good.
    let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, next));
    daemon.expect(0, &["scale", "ports=4"]);
    assert_eq!(endpoints(&daemon).len(), 4);
    let (events, _) = daemon.expect(0, &["events"]);
    assert!(events.contains("already"), "an event reports it: {events}");
}

#[test]
fn containers_keep_their_exposure_when_daemon_flag_changes() {
    let mut daemon = Daemon::start_with(&FLAGS);
    let file = daemon.file("app.yaml", &manifest(&daemon.image("v1"), "  health: /healthz\n"));
    daemon.expect(0, &["apply", "-f", &file]);
    let (before, containers) = (endpoints(&daemon), daemon.containers("ports", true));

    daemon.stop();
    daemon.flags = vec!["--exposure", "bridge"];
    daemon.serve();
    wait_for("it serves again", || daemon.get(HOST, "/").is_some_and(|(status, _)| status == 200));
    assert_eq!((endpoints(&daemon), daemon.containers("ports", true)), (before, containers));
}

/// Docker's proxy accepts a connection to a port without a listener in the container.
#[test]
fn probe_detects_closed_port_behind_docker_proxy() {
    let daemon = Daemon::start_with(&FLAGS);
    let image = daemon.image("v1");
    for health in ["{tcp: true, startWithin: 2s}", "{http: /healthz, startWithin: 2s}"] {
        let more = format!("  health: {health}\n  env: {{PORT: '9090'}}\n");
        let text = manifest(&image, &more).replace("replicas: 3", "replicas: 1");
        let file = daemon.file("app.yaml", &text);
        let (_, report) = daemon.expect(5, &["apply", "-f", &file]);
        assert!(report.contains("nothing listens on 8080"), "{report}");
        daemon.expect(0, &["delete", "ports", "--yes"]);
    }
}
