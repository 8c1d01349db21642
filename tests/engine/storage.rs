//! Volumes and checks in the container, with the whole daemon on the real Engine.

use std::io::{Read, Write};

use crate::daemon::{Daemon, PATIENCE, docker, wait_for};
use crate::load::{Client, Load};

const HOST: &str = "notes.localhost";

fn manifest(image: &str, more: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: notes, app: office}}\nspec:\n  image: {image}\n  \
         port: 8080\n  route: {HOST}\n  rollout: {{healthyFor: 300ms, deadline: 120s}}\n{more}"
    )
}

/// Writes a file in the service's volume through the balancer.
fn put(daemon: &Daemon, name: &str, text: &str) {
    let mut stream = std::net::TcpStream::connect(daemon.http).expect("the balancer listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let length = text.len();
    write!(
        stream,
        "PUT /data/{name} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn volumes(daemon: &Daemon) -> String {
    docker(&["volume", "ls", "--quiet", "--filter", &format!("label=coxswain.store={}", daemon.store())])
}

#[test]
fn volume_survives_rollout_crash_and_delete_unless_requested() {
    let daemon = Daemon::start();
    let (v1, v2) = (daemon.image("v1"), daemon.image("v2"));
    let volume = "  health: {exec: [/hello, check]}\n  volumes: [{name: notes, path: /data}]\n";
    let file = daemon.file("app.yaml", &manifest(&v1, volume));
    let (said, _) = daemon.expect(0, &["apply", "-f", &file]);
    assert!(said.contains("each old replica is stopped before"), "{said}");
    put(&daemon, "a", "kept");
    let reads = || daemon.get(HOST, "/data/a");

    daemon.expect(0, &["rollout", "notes", "--image", &v2]);
    assert!(daemon.get(HOST, "/").expect("an answer").1.contains("v2"));
    assert_eq!(reads(), Some((200, "kept".to_owned())), "after a rollout");
    let [container] = &daemon.containers("notes", true)[..] else { panic!("one container") };
    docker(&["rm", "--force", "--volumes", container]);
    wait_for("it is replaced", || reads() == Some((200, "kept".to_owned())));

    let (said, _) = daemon.expect(0, &["delete", "notes", "--yes"]);
    assert!(said.contains("its volumes are kept: notes"), "{said}");
    daemon.expect(0, &["apply", "-f", &file]);
    assert_eq!(reads(), Some((200, "kept".to_owned())), "after delete and apply");

    let shown = daemon.json(&["get", "services", "notes", "-o", "json"]);
    let name = volumes(&daemon).trim().to_owned();
    assert_eq!(shown["status"]["volumes"], serde_json::json!([name]), "{shown}");
    daemon.expect(2, &["delete", "notes", "--volumes"]); // no terminal to ask for confirmation
    daemon.expect(0, &["delete", "notes", "--volumes", "--yes"]);
    assert_eq!(volumes(&daemon), "");
}

#[test]
fn volume_of_the_image_survives_crash_rollout_and_delete_unless_requested() {
    let daemon = Daemon::start();
    let (v1, v2) = (daemon.image_with("v1", "VOLUME /data"), daemon.image_with("v2", "VOLUME /data"));
    let file = daemon.file("app.yaml", &manifest(&v1, "  replicas: 2\n  health: /healthz\n"));
    let (said, _) = daemon.expect(0, &["apply", "-f", &file]);
    assert!(said.contains("declares VOLUME /data") && said.contains("{name: data, path: /data}"), "{said}");
    assert_eq!(volumes(&daemon).lines().count(), 2, "one for each slot");

    // Requests go to both replicas: each gets the file until both have it.
    let all_read = |text: &str| (0..8).all(|_| daemon.get(HOST, "/data/a") == Some((200, text.to_owned())));
    wait_for("both slots have it", || {
        put(&daemon, "a", "kept");
        all_read("kept")
    });
    for container in daemon.containers("notes", true) {
        docker(&["rm", "--force", "--volumes", &container]);
    }
    wait_for("both are replaced", || daemon.containers("notes", true).len() == 2 && all_read("kept"));
    let load = Load::start(daemon.http, HOST, &[Client::KeepAlive, Client::Fresh]);
    daemon.expect(0, &["rollout", "notes", "--image", &v2]);
    let tally = load.stop();
    assert_eq!(tally.failures, Vec::<String>::new(), "of {} requests", tally.sent);
    assert!(all_read("kept"), "after a rollout");
    daemon.expect(0, &["scale", "notes=0"]);
    daemon.expect(0, &["scale", "notes=2"]);
    assert!(all_read("kept"), "after it was scaled down and up");
    assert_eq!(volumes(&daemon).lines().count(), 2, "no other was ever made");
    let dangling = docker(&[
        "ps",
        "--all",
        "--no-trunc",
        "--format",
        "{{.Mounts}}",
        "--filter",
        "label=coxswain.service=notes",
    ]);
    assert!(
        dangling.lines().all(|mounts| mounts.starts_with("coxswain-")),
        "no anonymous volume: {dangling}"
    );

    let (said, _) = daemon.expect(0, &["delete", "notes", "--yes"]);
    assert!(said.contains("its volumes are kept: /data"), "{said}");
    daemon.expect(0, &["apply", "-f", &file]);
    assert!(all_read("kept"), "after delete and apply");
    daemon.expect(0, &["delete", "notes", "--volumes", "--yes"]);
    assert_eq!(volumes(&daemon), "");
}

#[test]
fn release_whose_image_adds_a_volume_below_a_mount_says_so() {
    let daemon = Daemon::start();
    let (v1, v2) = (daemon.image("v1"), daemon.image_with("v2", "VOLUME /data/db"));
    let volume = "  health: /healthz\n  volumes: [{name: notes, path: /data}]\n";
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&v1, volume))]);
    let (said, _) = daemon.expect(0, &["rollout", "notes", "--image", &v2]);
    assert!(said.contains("adds VOLUME /data/db below volume notes at /data"), "{said}");
    daemon.expect(0, &["delete", "notes", "--volumes", "--yes"]);
    assert_eq!(volumes(&daemon), "");
}

#[test]
fn replica_keeps_its_own_volume_and_foreign_one_is_rejected() {
    let daemon = Daemon::start();
    let (v1, v2) = (daemon.image("v1"), daemon.image("v2"));
    let own = "  replicas: 2\n  health: /healthz\n  env: {REPLICA: {field: replica.slot}}\n  volumes: [{name: own, \
               path: /data, perReplica: true}]\n";
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&v1, own))]);
    assert_eq!(volumes(&daemon).lines().count(), 2);
    daemon.expect(0, &["rollout", "notes", "--image", &v2]);
    assert_eq!(volumes(&daemon).lines().count(), 2, "no third slot was ever used");

    let short = daemon.store()[..8].to_owned();
    let foreign = format!("coxswain-office.theirs-{short}");
    docker(&["volume", "create", &foreign]);
    let theirs = "  health: /healthz\n  volumes: [{name: theirs, path: /data}]\n";
    let text = manifest(&v1, theirs)
        .replace("name: notes, app", "name: other, app")
        .replace(HOST, "other.localhost");
    daemon.expect(0, &["apply", "-f", &daemon.file("other.yaml", &text), "--detach"]);
    wait_for("it says why", || {
        let (replicas, _) = daemon.expect(0, &["get", "replicas", "-o", "json"]);
        replicas.contains("does not belong to this service")
    });
    daemon.expect(0, &["delete", "-a", "office", "--volumes", "--yes"]);
    assert_eq!(volumes(&daemon), "");
    let left = docker(&["volume", "ls", "--quiet", "--filter", &format!("name={foreign}")]);
    assert_eq!(left.trim(), foreign, "what is not ours is not touched");
    docker(&["volume", "rm", &foreign]);
}

#[test]
fn service_without_port_is_probed_by_exec() {
    let daemon = Daemon::start();
    let (good, bad) = (daemon.image("v1"), daemon.image("v2"));
    let text = |image: &str, env: &str, deadline: &str| {
        format!(
            "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: worker}}\nspec:\n  image: {image}\n  env: \
             {{HEALTH_AFTER: \"0.5\"{env}}}\n  health: {{exec: [/hello, check], interval: 500ms}}\n  rollout: \
             {{healthyFor: 300ms, deadline: {deadline}}}\n"
        )
    };
    daemon.expect(0, &["apply", "-f", &daemon.file("good.yaml", &text(&good, "", "120s"))]);
    let (_, said) =
        daemon.expect(4, &["apply", "-f", &daemon.file("bad.yaml", &text(&bad, ", HEALTH: fail", "8s"))]);
    assert!(said.contains("exec /hello check → exit code 1 \"set to fail\""), "{said}");
    daemon.expect(0, &["delete", "worker", "--yes"]);
}
