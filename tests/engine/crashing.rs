//! A service that serves and crashes: shown in every view, with the output of the container that ended, until it is mended.

use serde_json::Value;

use crate::daemon::{Daemon, docker, wait_for};

const HOST: &str = "hello.localhost";

fn manifest(image: &str, more: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: hello}}\nspec:\n  image: {image}\n  replicas: 1\n  \
         port: 8080\n  route: [{{host: {HOST}, hold: 0s}}]\n  health: /healthz\n  rollout: {{healthyFor: 500ms}}\n{more}"
    )
}

fn service(daemon: &Daemon) -> Value {
    let (text, _) = daemon.expect(0, &["get", "hello", "-o", "json"]);
    serde_json::from_str(&text).unwrap()
}

/// It serves, and ends with this code when it is asked to.
fn crash(daemon: &Daemon, restarts: u64) {
    wait_for("it serves", || daemon.get(HOST, "/").is_some_and(|(status, _)| status == 200));
    daemon.get(HOST, "/exit?code=3");
    wait_for("it is started again", || {
        let status = service(daemon)["status"].clone();
        status["restartCount"] == restarts && status["available"] == 1
    });
}

/// A service `hello` that has ended so often by itself, with its condition.
pub(crate) fn serve_and_crash(daemon: &Daemon, times: u64) {
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&daemon.image("v1"), ""))]);
    (1..=times).for_each(|restarts| crash(daemon, restarts));
    wait_for("the condition", || daemon.expect(0, &["why", "hello"]).0.contains("hello is crash-looping"));
}

#[test]
fn crashing_service_is_shown_until_it_is_mended() {
    let mut daemon = Daemon::start();
    let image = daemon.image("v1");
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&image, ""))]);
    let (_, refused) = daemon.expect(2, &["logs", "hello", "--previous"]);
    assert!(refused.contains("no previous container of hello-1-a"), "{refused}");
    crash(&daemon, 1);
    crash(&daemon, 2);
    let (why, _) = daemon.expect(0, &["why", "hello"]);
    assert!(why.contains("hello is in sync"), "two crashes may be accidents: {why}");
    crash(&daemon, 3);

    wait_for("the condition", || daemon.expect(0, &["why", "hello"]).0.contains("hello is crash-looping"));
    let (why, _) = daemon.expect(0, &["why", "hello"]);
    assert!(why.contains("CrashLooping  hello-1-a: crash-looping, exited with code 3 (3 restarts)"), "{why}");
    assert!(why.contains("hello-1-a: exited with code 3 "), "{why}");
    assert!(why.contains("ctl logs hello --previous"), "{why}");
    let (get, _) = daemon.expect(0, &["get"]);
    assert!(get.contains(" 3 (") && get.contains("crash-looping"), "{get}");
    let (described, _) = daemon.expect(0, &["describe", "hello"]);
    assert!(described.contains("last exits\n  hello-1-a: exited with code 3 "), "{described}");
    let (events, _) = daemon.expect(0, &["events", "hello"]);
    assert_eq!(events.matches(" CrashLooping ").count(), 1, "{events}");
    let last = service(&daemon)["status"]["lastExit"].clone();
    assert_eq!((&last["code"], &last["reason"]), (&3.into(), &"exited".into()), "{last}");

    let (log, _) = daemon.expect(0, &["logs", "hello", "--previous"]);
    assert!(log.contains("stopping: exit requested"), "{log}");
    let (log, _) = daemon.expect(0, &["logs", "hello"]);
    assert!(!log.contains("stopping: exit requested"), "{log}");
    daemon.expect(2, &["logs", "hello", "-p", "--follow"]);
    wait_for("one is kept next to the one that runs", || daemon.containers("hello", false).len() == 2);
    daemon.stop();
    daemon.serve();
    wait_for("the daemon is back", || daemon.ctl(&["why", "hello"]).status.success());
    let (why, _) = daemon.expect(0, &["why", "hello"]);
    assert!(why.contains("crash-looping, exited with code 3 (3 restarts)"), "{why}");
    assert_eq!(daemon.containers("hello", false).len(), 2, "a restart of the daemon leaves it alone");

    docker(&["rm", last["container"].as_str().unwrap()]);
    let (_, gone) = daemon.expect(2, &["logs", "hello", "--previous"]);
    assert!(gone.contains("the previous container of hello-1-a no longer exists"), "{gone}");
    assert!(gone.contains("hello-1-a: exited with code 3 at "), "{gone}");

    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&image, "  env: {MENDED: '1'}\n"))]);
    wait_for("the condition goes with the replica", || {
        daemon.expect(0, &["why", "hello"]).0.contains("hello is in sync")
    });
    let status = service(&daemon)["status"].clone();
    assert_eq!((&status["restartCount"], status.get("lastExit")), (&0.into(), None), "{status}");
    let (events, _) = daemon.expect(0, &["events", "hello"]);
    assert!(events.contains("CrashLoopEnded"), "{events}");
    daemon.expect(0, &["delete", "hello", "--yes"]);
    assert_eq!(daemon.containers("hello", false), Vec::<String>::new());
}
