//! Releases that fail, on the real Engine: caught in seconds, explained, rolled back, and the container at fault kept.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::daemon::{Daemon, wait_for};

/// A service whose old release serves, and what of it ran before.
struct Serving {
    daemon: Daemon,
    image: String,
    before: BTreeSet<String>,
}

const HOST: &str = "hello.localhost";
/// So long that what ends an attempt well before it was recognized, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(600);

fn manifest(image: &str, more: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: hello}}\nspec:\n  image: {image}\n  replicas: 2\n  \
         port: 8080\n  route: {HOST}\n  health: {{http: /healthz, startWithin: 20s}}\n  rollout: {{healthyFor: 500ms, deadline: {}s, failFast: true}}\n{more}",
        DEADLINE.as_secs()
    )
}

impl Serving {
    fn start() -> Self {
        let daemon = Daemon::start();
        let image = daemon.image("v1");
        let file = daemon.file("good.yaml", &manifest(&image, ""));
        daemon.expect(0, &["apply", "-f", &file]);
        let before = daemon.containers("hello", true).into_iter().collect();
        Self { daemon, image, before }
    }

    /// Applies a release that fails: what `ctl` said, and how long it took to say so.
    #[track_caller]
    fn fails(&self, more: &str) -> (String, Duration) {
        let file = self.daemon.file("bad.yaml", &manifest(&self.image, more));
        let began = Instant::now();
        let (_, report) = self.daemon.expect(4, &["apply", "-f", &file]);
        let took = began.elapsed();
        let running: BTreeSet<String> = self.daemon.containers("hello", true).into_iter().collect();
        assert!(self.before.is_subset(&running), "a healthy old replica was stopped");
        (report, took)
    }
}

#[track_caller]
fn says(report: &str, all: &[&str]) {
    for text in all {
        assert!(report.contains(text), "`{text}` is not in\n{report}");
    }
}

#[test]
fn crash_loop_fails_before_deadline_and_retains_container() {
    let serving = Serving::start();
    let daemon = &serving.daemon;
    let (report, took) = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for("the release is tried", || daemon.containers("hello", false).len() > 2);
            for _ in 0..2 {
                assert_eq!(daemon.get(HOST, "/status/500").map(|(status, _)| status), Some(500));
            }
        });
        serving.fails("  env: {EXIT_AT_START: '7'}\n")
    });
    assert!(took < DEADLINE / 4, "{took:?}\n{report}");
    says(
        &report,
        &["CTL-0412", "CTL-0424", "exited with code 7 before its first healthy check, 3 times in "],
    );
    says(&report, &["stopping: EXIT_AT_START is set", "ctl logs hello --revision 2"]);
    says(&report, &[" serves all traffic, 2/2 ready; 2 failed requests during the attempt"]);
    let (_, status) = daemon.expect(4, &["rollout", "status", "hello"]);
    says(&status, &["2/2 ready; 2 failed requests during the attempt"]);

    wait_for("one container is kept in addition to those that serve", || {
        daemon.containers("hello", false).len() == 3
    });
    let (log, _) = daemon.expect(0, &["logs", "hello", "--revision", "2"]);
    assert!(log.contains("EXIT_AT_START is set"), "{log}");
    let (log, _) = daemon.expect(0, &["logs", "hello"]);
    assert!(!log.contains("EXIT_AT_START is set"), "what is kept is no part of the service's log: {log}");

    let file = daemon.file("next.yaml", &manifest(&serving.image, "  env: {NEXT: '1'}\n"));
    daemon.expect(0, &["apply", "-f", &file]);
    wait_for("it goes with the next release that succeeds", || daemon.containers("hello", false).len() == 2);
}

#[test]
fn program_that_exits_until_its_database_is_up_is_retried_within_start_within() {
    let serving = Serving::start();
    let daemon = &serving.daemon;
    let until = coxswain::clock::wall_time().as_second() + 12;
    let waits = manifest(&serving.image, &format!("  env: {{EXIT_UNTIL: '{}'}}\n", until));
    let waits = waits.replace("startWithin: 20s", "startWithin: 60s").replace(", failFast: true", "");
    let (_, report) = daemon.expect(0, &["apply", "-f", &daemon.file("waits.yaml", &waits)]);
    says(&report, &["exited with code 1 before its first healthy check, 3 times in "]);
    says(&report, &["stopping: the database does not answer", "✓ hello  2/2 ready on revision 2"]);
    let never = manifest(&serving.image, "  env: {EXIT_UNTIL: '99999999999'}\n");
    let never = never.replace("startWithin: 20s", "startWithin: 5s").replace(", failFast: true", "");
    let (_, report) = daemon.expect(4, &["apply", "-f", &daemon.file("never.yaml", &never)]);
    says(&report, &["CTL-0424", "exited with code 1 before its first healthy check, "]);
}

#[test]
fn retained_container_is_adopted_and_deleted_with_service() {
    let mut serving = Serving::start();
    serving.fails("  env: {EXIT_AT_START: '7'}\n");
    let daemon = &mut serving.daemon;
    wait_for("one container is kept", || daemon.containers("hello", false).len() == 3);
    let kept: BTreeSet<String> = daemon.containers("hello", false).into_iter().collect();
    daemon.stop();
    daemon.serve();
    daemon.expect(0, &["wait", "hello", "--for", "ready", "--timeout", "120s"]);
    let after: BTreeSet<String> = daemon.containers("hello", false).into_iter().collect();
    assert_eq!(after, kept, "a restart of the daemon changes nothing");
    daemon.expect(0, &["delete", "hello", "--yes"]);
    assert_eq!(daemon.containers("hello", false), Vec::<String>::new());
    daemon.lets_networks_go();
}

#[test]
fn wrong_port_failure_names_listening_ports() {
    let serving = Serving::start();
    let (report, _) = serving.fails("  env: {PORT: '3000'}\n");
    says(&report, &["CTL-0412", "CTL-0427", "GET /healthz → connection "]);
    says(&report, &["nothing listens on 8080; the container listens on 3000"]);
    says(&report, &["serves all traffic, 2/2 ready; 0 failed requests during the attempt"]);
    let (report, _) = serving.fails("  env: {BIND: 127.0.0.1}\n");
    says(
        &report,
        &["the container listens on 127.0.0.1:8080 only, which is not reachable from outside the container"],
    );
}

#[test]
fn oom_at_start_fails_rollout_with_memory_limit() {
    let serving = Serving::start();
    let (report, took) = serving.fails("  env: {EAT_MEMORY: '1'}\n  resources: {memory: 32Mi}\n");
    assert!(took < DEADLINE / 4, "{took:?}\n{report}");
    says(&report, &["CTL-0425", "was OOM-killed (limit 32Mi), 3 times in"]);
}

#[test]
fn process_that_completes_is_no_crash_loop_and_names_what_to_use() {
    let serving = Serving::start();
    let (report, _) = serving.fails("  env: {EXIT_AT_START: '0'}\n");
    says(
        &report,
        &["CTL-0412", "CTL-0430", "completed (exit code 0) before its first healthy check, 3 times in"],
    );
    says(&report, &["a Service runs until it is stopped", "docker run --rm"]);
}

/// Without a health check a container is ready as soon as it runs.
#[test]
fn first_release_that_crash_loops_is_no_success() {
    let daemon = Daemon::start();
    let crashing = manifest(&daemon.image("v1"), "  env: {EXIT_AT_START: '7'}\n")
        .replace("{http: /healthz, startWithin: 20s}", "{none: true}")
        .replace("healthyFor: 500ms", "healthyFor: 8s");
    let (_, report) = daemon.expect(5, &["apply", "-f", &daemon.file("crashing.yaml", &crashing)]);
    says(&report, &["CTL-0411", "CTL-0424", "exited with code 7"]);
    let steady = crashing.replace("EXIT_AT_START", "IGNORED");
    let (_, report) = daemon.expect(0, &["apply", "-f", &daemon.file("steady.yaml", &steady)]);
    says(&report, &["✓ hello  2/2 ready on revision 2", "watched for another "]);
    daemon.expect(0, &["restart", "hello"]);
}

#[test]
fn unhealthy_response_is_shown_with_body() {
    let serving = Serving::start();
    let (report, _) = serving.fails("  env: {HEALTH: fail}\n");
    says(
        &report,
        &["CTL-0426", "did not pass its health check within 20s: GET /healthz → 503 \"set to fail\""],
    );
}

#[test]
fn memory_request_above_node_capacity_is_rejected_with_figures() {
    let serving = Serving::start();
    let file = serving.daemon.file("huge.yaml", &manifest(&serving.image, "  resources: {memory: 900Gi}\n"));
    let (_, report) = serving.daemon.expect(8, &["apply", "-f", &file]);
    says(&report, &["CTL-0416", "2 replicas of 900Gi need 1800Gi", "nothing was changed"]);
    let running: BTreeSet<String> = serving.daemon.containers("hello", true).into_iter().collect();
    assert_eq!(running, serving.before);
}
