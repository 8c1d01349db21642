//! Logs of many replicas as one, on the real Engine.

use std::fs::File;

use crate::daemon::{Daemon, wait_for};

/// Followed over a rollout: every line of every container once, those of the program apart from what happened; until the
/// daemon stops, which differs from an end of the logs.
#[test]
fn logs_are_followed_over_a_rollout_and_a_restart_of_the_daemon() {
    let mut daemon = Daemon::start();
    let images = [daemon.image("v1"), daemon.image("v2")];
    let manifest = |image: &str| {
        format!(
            "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: hello}}\nspec:\n  image: {image}\n  replicas: 2\n  \
             port: 8080\n  health: /healthz\n  rollout: {{healthyFor: 500ms}}\n"
        )
    };
    let apply = |image: &str| daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(image))]);
    apply(&images[0]);
    let (output, notices) = (daemon.file("output", ""), daemon.file("notices", ""));
    let file = |path: &str| File::create(path).expect("a file");
    let text = |path: &str| std::fs::read_to_string(path).expect("a file");
    let mut follower = daemon
        .command(&["logs", "hello", "--follow"])
        .stdout(file(&output))
        .stderr(file(&notices))
        .spawn()
        .expect("ctl runs");
    wait_for("what was written before", || text(&output).matches("listens on").count() == 2);
    apply(&images[1]);
    wait_for("the end of the old", || text(&notices).matches(" gone\n").count() == 2);
    daemon.stop();
    wait_for("a note of the loss", || text(&notices).contains("reconnecting"));
    daemon.serve();
    wait_for("a note of the return", || text(&notices).contains("= reconnected"));
    daemon.expect(0, &["delete", "hello", "-y"]);
    assert_eq!(follower.wait().expect("a child").code(), Some(0), "nothing is left to follow");
    let (output, notices) = (text(&output), text(&notices));
    let (before, _) = notices.split_once("! the connection").expect("it says so");
    for replica in ["hello-1-a", "hello-1-b", "hello-2-a", "hello-2-b"] {
        let lines = output.lines().filter(|line| line.starts_with(replica) && line.contains("listens on"));
        assert_eq!(lines.count(), 1, "{replica} in\n{output}");
        let end = if replica.starts_with("hello-1") { "draining" } else { "started" };
        let what = format!("--- {replica} {end}\n");
        assert_eq!(before.matches(&what).count(), 1, "{what}in\n{notices}");
    }
    assert!(
        !output.contains("---") && before.lines().all(|line| line.starts_with("--- ")),
        "{output}{notices}"
    );
}
