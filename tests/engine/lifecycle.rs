//! The main job on the real Engine: declare, reach, scale, roll, undo, delete; and what goes wrong on the way.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::daemon::{Daemon, PATIENCE, docker, wait_for};
use crate::load::{Client, Load, Tally};

const HOST: &str = "hello.localhost";

fn manifest(image: &str, more: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: hello}}\nspec:\n  image: {image}\n  replicas: 2\n  \
         port: 8080\n  route: [{{host: {HOST}, hold: 0s}}]\n  health: /healthz\n{more}"
    )
}

/// A policy that does not make tests wait for `healthyFor`.
const QUICK: &str = "  rollout: {healthyFor: 500ms, deadline: 120s}\n";

#[track_caller]
fn nothing_failed(tally: &Tally) {
    assert!(tally.sent > 50, "too few requests to say anything: {}", tally.sent);
    assert_eq!(tally.failures, Vec::<String>::new(), "of {} requests", tally.sent);
}

const KINDS: [Client; 4] = [Client::KeepAlive, Client::Fresh, Client::Post(20_000), Client::Slow(300)];

#[test]
fn service_is_applied_scaled_rolled_undone_and_deleted() {
    let daemon = Daemon::start();
    let (v1, v2) = (daemon.image("v1"), daemon.image("v2"));
    let file = daemon.file("app.yaml", &manifest(&v1, QUICK));

    daemon.expect(0, &["apply", "-f", &file]);
    let (status, body) = daemon.get(HOST, "/").expect("an answer");
    assert_eq!(status, 200, "ready and routed means the next request is answered");
    assert!(body.contains("v1"), "{body}");
    assert_eq!(daemon.get("other.localhost", "/").map(|(status, _)| status), Some(404));

    let load = Load::start(daemon.http, HOST, &KINDS);
    daemon.expect(0, &["scale", "hello=4"]);
    assert_eq!(daemon.containers("hello", true).len(), 4);
    daemon.expect(0, &["rollout", "hello", "--image", &v2]);
    assert!(daemon.get(HOST, "/").expect("an answer").1.contains("v2"));
    daemon.expect(0, &["rollout", "undo", "hello"]);
    assert!(daemon.get(HOST, "/").expect("an answer").1.contains("v1"));
    daemon.expect(0, &["scale", "hello=1"]);
    nothing_failed(&load.stop());

    let (notes, _) = daemon.expect(0, &["apply", "-f", &file]);
    assert!(notes.contains("= spec.replicas: keeping live value 1; the manifest says 2"), "{notes}");
    daemon.expect(0, &["delete", "hello", "--yes"]);
    assert_eq!(daemon.containers("hello", false), Vec::<String>::new());
    assert_eq!(daemon.json(&["get", "services", "-o", "json"])["items"], serde_json::json!([]));
    let filter = format!("label=coxswain.store={}", daemon.store());
    wait_for("the network is gone", || docker(&["network", "ls", "--quiet", "--filter", &filter]).is_empty());
}

/// A request whose answer has begun, and does not end.
fn begin_endless_request(daemon: &Daemon) -> TcpStream {
    let mut stream = TcpStream::connect(daemon.http).expect("the balancer listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(stream, "GET /trickle?ms=600000 HTTP/1.1\r\nHost: {HOST}\r\n\r\n").expect("a request");
    let mut first = [0; 1];
    stream.read_exact(&mut first).expect("the first half of an answer");
    stream
}

#[test]
fn summary_names_the_requests_that_a_short_drain_cuts() {
    let daemon = Daemon::start();
    let short = "  rollout: {healthyFor: 500ms, drain: 500ms, deadline: 120s}\n  env: {EXIT_ON_TERM: now}\n";
    let file = daemon.file("app.yaml", &manifest(&daemon.image("v1"), short));
    daemon.expect(0, &["apply", "-f", &file]);
    let cut_by = |command: &[&str]| {
        let _request = begin_endless_request(&daemon);
        daemon.expect(0, command).1
    };
    let notes = cut_by(&["restart", "hello"]);
    assert!(notes.contains("! 1 request was cut after drain: 500ms (hello-1-"), "{notes}");
    let service = daemon.json(&["get", "service/hello", "-o", "json"]);
    assert_eq!(service["status"]["cutRequests"][0]["requests"], 1, "{service}");
    let notes = cut_by(&["delete", "hello", "--yes"]);
    assert!(notes.contains("! 1 request was cut after drain: 500ms (hello-2-"), "{notes}");
}

#[test]
fn killing_controller_and_balancer_during_a_rollout_finishes_it() {
    let daemon = Daemon::start();
    let (v1, v2) = (daemon.image("v1"), daemon.image("v2"));
    let file = daemon.file("app.yaml", &manifest(&v1, QUICK));
    daemon.expect(0, &["apply", "-f", &file]);

    let load = Load::start(daemon.http, HOST, &KINDS);
    daemon.expect(0, &["rollout", "hello", "--image", &v2, "--detach"]);
    for _ in 0..4 {
        daemon.kill("controller");
        wait_for("the API is back", || daemon.ctl(&["status"]).status.success());
    }
    daemon.expect(0, &["wait", "hello", "--for", "revision=2", "--timeout", "120s"]);
    nothing_failed(&load.stop());

    daemon.expect(0, &["rollout", "hello", "--image", &v1, "--detach"]);
    daemon.kill("balancer");
    daemon.expect(0, &["wait", "hello", "--for", "revision=3", "--timeout", "120s"]);
    wait_for("no container is left over", || daemon.containers("hello", false).len() == 2);
    assert_eq!(daemon.get(HOST, "/").map(|(status, _)| status), Some(200));
}

#[test]
fn balancer_serves_without_controller_and_after_restart() {
    let daemon = Daemon::start();
    let file = daemon.file("app.yaml", &manifest(&daemon.image("v1"), QUICK));
    daemon.expect(0, &["apply", "-f", &file]);
    let load = Load::start(daemon.http, HOST, &KINDS);
    for _ in 0..5 {
        daemon.kill("controller");
    }
    nothing_failed(&load.stop());
    daemon.kill("balancer");
    wait_for("it serves again", || daemon.get(HOST, "/").is_some_and(|(status, _)| status == 200));
}

#[test]
fn never_healthy_release_is_rolled_back() {
    let daemon = Daemon::start();
    let (v1, bad) = (daemon.image("v1"), daemon.image("v2"));
    let policy = "  rollout: {healthyFor: 500ms, deadline: 10s}\n";
    let file = daemon.file("app.yaml", &manifest(&v1, QUICK));
    daemon.expect(0, &["apply", "-f", &file]);
    let before: BTreeSet<String> = daemon.containers("hello", true).into_iter().collect();

    let load = Load::start(daemon.http, HOST, &KINDS);
    let broken = daemon.file("bad.yaml", &manifest(&bad, &format!("{policy}  env: {{HEALTH: fail}}\n")));
    let (_, report) = daemon.expect(4, &["apply", "-f", &broken]);
    assert!(report.contains("CTL-0412") && report.contains("503"), "{report}");
    nothing_failed(&load.stop());
    wait_for("the bad one is stopped", || daemon.containers("hello", true).len() == 2);
    assert_eq!(daemon.containers("hello", false).len(), 3, "it is kept to be looked at");
    let after: BTreeSet<String> = daemon.containers("hello", true).into_iter().collect();
    assert_eq!(before, after, "no healthy old replica was stopped");

    let paused = daemon.file(
        "paused.yaml",
        &manifest(&bad, "  env: {HEALTH: fail, AGAIN: '1'}\n  rollout: {healthyFor: 500ms, deadline: 10s, onFailure: pause}\n"),
    );
    let (_, report) = daemon.expect(5, &["apply", "-f", &paused]);
    assert!(report.contains("CTL-0411"), "{report}");
    assert_eq!(daemon.get(HOST, "/").map(|(status, _)| status), Some(200), "the old one still serves");
}

#[test]
fn failed_first_creation_exits_5_and_keeps_retrying() {
    let daemon = Daemon::start();
    let image = daemon.image("v1");
    let policy = "  rollout: {healthyFor: 500ms, deadline: 60s, failFast: true}\n";
    let crash =
        daemon.file("crash.yaml", &manifest(&image, &format!("{policy}  env: {{EXIT_AT_START: '7'}}\n")));
    let (_, report) = daemon.expect(5, &["apply", "-f", &crash]);
    assert!(report.contains("exited with code 7"), "{report}");
    assert_eq!(
        daemon.get(HOST, "/").map(|(status, _)| status),
        Some(503),
        "a route without a ready endpoint"
    );
    let good = daemon.file("good.yaml", &manifest(&image, QUICK));
    daemon.expect(0, &["apply", "-f", &good]);
    assert_eq!(daemon.get(HOST, "/").map(|(status, _)| status), Some(200));
}

#[test]
fn agent_replaces_container_stopped_or_removed_by_hand() {
    let daemon = Daemon::start();
    let file = daemon.file("app.yaml", &manifest(&daemon.image("v1"), QUICK));
    daemon.expect(0, &["apply", "-f", &file]);
    for how in [&["rm", "--force"][..], &["stop", "--time", "1"], &["kill"]] {
        let victim = daemon.containers("hello", true).remove(0);
        docker(&[how, &[victim.as_str()]].concat());
        wait_for("another runs in its place", || {
            let now = daemon.containers("hello", true);
            now.len() == 2 && !now.contains(&victim)
        });
        daemon.expect(0, &["wait", "hello", "--for", "ready", "--timeout", "120s"]);
    }
    let (events, _) = daemon.expect(0, &["events", "hello"]);
    let count = |reason: &str| events.matches(reason).count();
    assert_eq!((count("ContainerMissing"), count("ContainerExited")), (1, 2), "{events}");
}

#[test]
fn restarted_daemon_adopts_running_containers() {
    let mut daemon = Daemon::start();
    let file = daemon.file("app.yaml", &manifest(&daemon.image("v1"), QUICK));
    daemon.expect(0, &["apply", "-f", &file]);
    let before: BTreeSet<String> = daemon.containers("hello", true).into_iter().collect();
    daemon.stop();
    assert_eq!(daemon.containers("hello", true).len(), 2, "containers keep running");
    daemon.serve();
    wait_for("it serves", || daemon.get(HOST, "/").is_some_and(|(status, _)| status == 200));
    daemon.expect(0, &["wait", "hello", "--for", "ready", "--timeout", "120s"]);
    let after: BTreeSet<String> = daemon.containers("hello", true).into_iter().collect();
    assert_eq!(before, after);
}

#[test]
fn agent_leaves_foreign_containers_alone() {
    let daemon = Daemon::start();
    let image = daemon.image("v1");
    let foreign = docker(&["run", "--detach", "--label", "coxswain.store=another", &image]).trim().to_owned();
    let plain = docker(&["run", "--detach", &image]).trim().to_owned();
    let file = daemon.file("app.yaml", &manifest(&image, QUICK));
    daemon.expect(0, &["apply", "-f", &file]);
    daemon.expect(0, &["delete", "hello", "--yes"]);
    let running = docker(&["ps", "--quiet", "--no-trunc"]);
    let both = running.contains(&foreign) && running.contains(&plain);
    docker(&["rm", "--force", &foreign, &plain]);
    assert!(both, "{running}");
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let daemon = Daemon::start();
    let image = daemon.image("v1");
    let good = manifest(&image, QUICK);
    let file = |name: &str, text: &str| daemon.file(name, text);

    let unknown = file(
        "unknown.yaml",
        &format!("{good}---\n{}", good.replace(&image, "nosuch/image:v9").replace("hello", "other")),
    );
    let (_, report) = daemon.expect(2, &["apply", "-f", &unknown]);
    assert!(report.contains("nosuch/image:v9"), "{report}");
    assert_eq!(
        daemon.json(&["get", "services", "-o", "json"])["items"],
        serde_json::json!([]),
        "nothing half-applied"
    );

    daemon.expect(0, &["apply", "-f", &file("app.yaml", &good)]);
    let thief = file("thief.yaml", &good.replace("name: hello", "name: thief"));
    let (_, report) = daemon.expect(2, &["apply", "-f", &thief]);
    assert!(report.contains("hello") && report.contains("thief") && report.contains(HOST), "{report}");

    let (_, report) = daemon.expect(2, &["scale", "missing=3"]);
    assert!(report.contains("missing"), "{report}");
    daemon.expect(0, &["scale", "hello=+1"]);
    assert_eq!(daemon.containers("hello", true).len(), 3);
    daemon.expect(0, &["scale", "hello=-1"]);
    assert_eq!(daemon.containers("hello", true).len(), 2);
    let (_, report) = daemon.expect(2, &["scale", "hello=-3"]);
    assert!(report.contains("-3 is below 0: the service has 2 replicas"), "{report}");
    daemon.expect(2, &["scale", "hello=--1"]);
    daemon.expect(2, &["scale", "hello=100000"]);
    daemon.expect(2, &["rollout", "undo", "hello"]);
    daemon.expect(2, &["rollout", "hello", "--image", "v-none"]);
    daemon.expect(2, &["delete", "hello"]);
    assert_eq!(daemon.containers("hello", true).len(), 2);
}

#[test]
fn undo_to_revision_without_image_is_rejected() {
    let daemon = Daemon::start();
    let (v1, v2) = (daemon.image("v1"), daemon.image("v2"));
    let file = daemon.file("app.yaml", &manifest(&v1, QUICK));
    daemon.expect(0, &["apply", "-f", &file]);
    daemon.expect(0, &["rollout", "hello", "--image", &v2]);
    let before = daemon.containers("hello", true);
    let image = docker(&["image", "inspect", "--format", "{{.Id}}", &v1]);
    wait_for("no container uses it", || daemon.containers("hello", false).len() == before.len());
    docker(&["image", "rm", "--force", image.trim()]);
    let (_, report) = daemon.expect(2, &["undo", "hello"]);
    assert!(report.contains("CTL-0208") && report.contains("revision 1"), "{report}");
    assert_eq!(daemon.containers("hello", true), before);
    let (history, _) = daemon.expect(0, &["history", "hello"]);
    assert!(history.contains("complete, current") && !history.contains(" 3 "), "{history}");
}

#[test]
fn missing_docker_socket_is_named_in_error() {
    let daemon = Daemon::start_with_docker(std::path::Path::new("/nowhere/docker.sock"));
    let file = daemon.file("app.yaml", &manifest("hello:v1", QUICK));
    let (_, report) = daemon.expect(3, &["apply", "-f", &file]);
    assert!(report.contains("/nowhere/docker.sock"), "{report}");
}
