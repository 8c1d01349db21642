//! A store that is replaced by an older copy, on real containers.

use crate::daemon::{Daemon, docker, wait_for};

const HOST: &str = "hello.localhost";

fn manifest(image: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: hello}}\nspec:\n  image: {image}\n  replicas: 4\n  \
         port: 8080\n  route: {HOST}\n  health: /healthz\n  rollout: {{healthyFor: 300ms, deadline: 120s, maxSurge: 4}}\n"
    )
}

/// The names of revision 2 are given twice: to replicas of v2, which the snapshot does not know and whose containers are held, and
/// to replicas of v3.
#[test]
fn restore_gives_no_container_to_a_new_replica_of_its_name() {
    let daemon = Daemon::start();
    let (v1, v2, v3) = (daemon.image("v1"), daemon.image("v2"), daemon.image("v3"));
    let snapshot = daemon.file("unused", "").replace("unused", "snapshot");
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&v1))]);
    daemon.expect(0, &["store", "snapshot", &snapshot]);
    daemon.expect(0, &["rollout", "hello", "--image", &v2]);
    let later = daemon.containers("hello", true);

    daemon.expect(0, &["store", "restore", &snapshot, "--yes"]);
    wait_for("the store is back", || daemon.ctl(&["store", "check"]).status.success());
    let held = || String::from_utf8_lossy(&daemon.ctl(&["status"]).stdout).into_owned();
    wait_for("what it does not know is held", || held().contains("DeletionHeld"));
    daemon.expect(0, &["rollout", "hello", "--image", &v3, "--timeout", "120s"]);
    let answers: Vec<String> = (0..20).map(|_| daemon.get(HOST, "/").expect("an answer").1).collect();
    assert!(answers.iter().all(|answer| answer.contains("v3")), "{answers:?}");
    let running = daemon.containers("hello", true);
    assert!(later.iter().all(|id| running.contains(id)), "held: {later:?} of {running:?}");

    daemon.expect(0, &["confirm", "--yes"]);
    wait_for("they are gone", || daemon.containers("hello", false).len() == 4);
    let names = docker(&["ps", "--all", "--format", "{{.ID}}", "--filter", &format!("id={}", later[0])]);
    assert_eq!(names.trim(), "");
    assert!(daemon.get(HOST, "/").expect("an answer").1.contains("v3"));
}
