//! Logs of many replicas as one, on the real Engine.

use std::fs::File;

use crate::daemon::{Daemon, wait_for};

/// Followed over a rollout: every line of every container once, those of the program apart from what happened; until the
/// daemon stops, which differs from an end of the logs.
#[test]
fn logs_are_followed_over_a_rollout() {
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
    let (said, told) = (daemon.file("said", ""), daemon.file("told", ""));
    let file = |path: &str| File::create(path).expect("a file");
    let text = |path: &str| std::fs::read_to_string(path).expect("a file");
    let mut follower = daemon
        .command(&["logs", "hello", "--follow"])
        .stdout(file(&said))
        .stderr(file(&told))
        .spawn()
        .expect("ctl runs");
    wait_for("what was written before", || text(&said).matches("listens on").count() == 2);
    apply(&images[1]);
    wait_for("the end of the old", || text(&told).matches(" gone\n").count() == 2);
    daemon.stop();
    assert_eq!(follower.wait().expect("a child").code(), Some(3), "the daemon ended it");
    let (said, told) = (text(&said), text(&told));
    let (told, error) = told.split_once("error[CTL-0103]").expect("it says so");
    assert!(error.contains("the daemon ended the watch"), "{error}");
    for replica in ["hello-1-a", "hello-1-b", "hello-2-a", "hello-2-b"] {
        let lines = said.lines().filter(|line| line.starts_with(replica) && line.contains("listens on"));
        assert_eq!(lines.count(), 1, "{replica} in\n{said}");
        let end = if replica.starts_with("hello-1") { "draining" } else { "started" };
        let what = format!("--- {replica} {end}\n");
        assert_eq!(told.matches(&what).count(), 1, "{what}in\n{told}");
    }
    assert!(!said.contains("---") && told.lines().all(|line| line.starts_with("--- ")), "{said}{told}");
}
