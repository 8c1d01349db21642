//! `ctl verify` on real containers: a sound service loses nothing, and one that cuts its requests is detected.

use std::process::Stdio;

use serde_json::Value;

use crate::daemon::{Daemon, wait_for};

fn manifest(image: &str, drain: &str, more: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: users}}\nspec:\n  image: {image}\n  replicas: 2\n  \
         port: 8080\n  route: users.localhost\n  health: /healthz\n  \
         rollout: {{healthyFor: 500ms, drain: {drain}, deadline: 120s}}\n{more}"
    )
}

fn found(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn step<'a>(found: &'a Value, name: &str) -> &'a Value {
    let steps = found["status"]["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no {name} in {found}"))
}

#[test]
fn verify_of_a_sound_service_finds_no_failure_and_restores_it() {
    let daemon = Daemon::start();
    let image = daemon.image("v1");
    let file = daemon.file("users.yaml", &manifest(&image, "20s", ""));
    daemon.expect(0, &["apply", "-f", &file]);
    let spec = |daemon: &Daemon| daemon.json(&["get", "service/users", "-o", "json"])["spec"].clone();
    let before = spec(&daemon);
    let overrides = || daemon.json(&["get", "service/users", "-o", "json"])["status"]["overrides"].clone();
    let overridden = overrides();
    let containers = daemon.containers("users", true);

    let (out, stderr) = daemon.expect(0, &["verify", "users", "-y", "-o", "json"]);
    let found = found(&out);
    assert_eq!(found["status"]["failed"], 0, "{found}\n{stderr}");
    for name in ["baseline", "scale", "restart", "kill", "undo"] {
        assert!(step(&found, name)["requests"].as_u64() > Some(50), "{found}");
    }
    assert_eq!(spec(&daemon), before);
    assert_eq!(overrides(), overridden);
    let after = daemon.containers("users", true);
    assert!(after.len() == 2 && after.iter().all(|id| !containers.contains(id)), "{containers:?} {after:?}");
    let (events, _) = daemon.expect(0, &["events", "users"]);
    assert!(events.contains("Killed") && events.contains("verify users -y -o json"), "{events}");
    let (again, _) = daemon.expect(0, &["apply", "-f", &file]);
    assert!(again.starts_with('='), "the file still says what runs: {again}");
}

/// Its answers take longer than it has to finish them. They have begun when they are cut, so no balancer can send their
/// requests again.
#[test]
fn verify_reports_failures_of_a_service_that_cuts_its_requests() {
    let daemon = Daemon::start();
    let image = daemon.image("v1");
    let hasty = "  env: {EXIT_ON_TERM: now}\n";
    let file = daemon.file("users.yaml", &manifest(&image, "1ms", hasty));
    daemon.expect(0, &["apply", "-f", &file]);
    let args = ["verify", "users", "--path", "/trickle?ms=2000", "--late", "10m", "--step", "restart", "-y"];
    let (out, stderr) = daemon.expect(1, &args);
    assert!(stderr.contains("error[CTL-0419]") && stderr.contains("restart: "), "{stderr}");
    let row = |name: &str| out.lines().find(|line| line.starts_with(name)).expect("a row").to_owned();
    // A request that began in the baseline and is cut by the restart is a failure of the restart.
    assert!(row("restart").contains('!') && !row("baseline").contains('!'), "{out}");
    assert!(stderr.contains("2/2 replicas ready"), "{stderr}");
}

#[test]
fn interrupted_verify_restores_replica_count() {
    let daemon = Daemon::start();
    let image = daemon.image("v1");
    // The replica takes so long that the interrupt comes first.
    let slow = "  env: {HEALTH_AFTER: '8'}\n";
    let file = daemon.file("users.yaml", &manifest(&image, "20s", slow));
    daemon.expect(0, &["apply", "-f", &file]);
    let mut command = daemon.command(&["verify", "users", "--step", "scale", "-y"]);
    let verify = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let replicas = || daemon.json(&["get", "service/users", "-o", "json"])["spec"]["replicas"].clone();
    wait_for("a replica more", || replicas() == 3);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(verify.id()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it runs");
    let ended = verify.wait_with_output().expect("a child");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("users is scaling back to 2 replicas"), "{stderr}");
    assert_eq!(replicas(), 2);
}
