//! What fails around the daemon, under load: a Docker that hangs, is cut off or answers nothing; a controller that is
//! killed over and over; services that do not stop as they should.

use std::collections::BTreeSet;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::daemon::{Daemon, get, wait_for};
use crate::faultsock::{Fault, FaultSock};
use crate::load::{Client, Load, Tally};

const HOST: &str = "hello.localhost";
const KINDS: [Client; 4] = [Client::KeepAlive, Client::Fresh, Client::Post(20_000), Client::Slow(300)];

fn manifest(image: &str, more: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: hello}}\nspec:\n  image: {image}\n  replicas: 2\n  \
         port: 8080\n  route: {HOST}\n  health: {{http: /healthz, interval: 1s}}\n  rollout: {{healthyFor: 500ms, deadline: 120s}}\n{more}"
    )
}

#[track_caller]
fn nothing_failed(tally: &Tally) {
    assert!(tally.sent > 50, "too few requests to say anything: {}", tally.sent);
    assert_eq!(tally.failures, Vec::<String>::new(), "of {} requests", tally.sent);
}

/// Whether the daemon says that Docker is away.
fn engine_is_away(daemon: &Daemon) -> bool {
    let hosts = daemon.json(&["get", "nodes", "-o", "json"]);
    hosts["items"][0]["status"]["available"] == serde_json::json!(false)
}

/// Endpoints that are in rotation.
fn ready(daemon: &Daemon) -> usize {
    let endpoints = daemon.json(&["get", "endpoints", "-o", "json"]);
    let items = endpoints["items"].as_array().expect("a list").clone();
    items.iter().filter(|endpoint| endpoint["status"]["state"] == serde_json::json!("ready")).count()
}

/// A service rolls from v1 to v2 while `trouble` is on; returns once it is over and everything is as it should be.
fn rolls_through(trouble: impl FnOnce(&Daemon, &FaultSock)) {
    let (daemon, faults) = Daemon::start_behind_faults();
    let (v1, v2) = (daemon.image("v1"), daemon.image("v2"));
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&v1, ""))]);
    let load = Load::start(daemon.http, HOST, &KINDS);
    daemon.expect(0, &["rollout", "hello", "--image", &v2, "--detach"]);
    wait_for("the rollout has begun", || daemon.containers("hello", false).len() > 2);

    trouble(&daemon, &faults);

    faults.set(Fault::None);
    daemon.expect(0, &["wait", "hello", "--for", "revision=2", "--timeout", "120s"]);
    wait_for("nothing is left over", || daemon.containers("hello", false).len() == 2);
    nothing_failed(&load.stop());
    assert!(daemon.get(HOST, "/").expect("an answer").1.contains("v2"));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn hanging_docker_keeps_endpoints_and_stops_deadline() {
    rolls_through(|daemon, faults| {
        faults.set(Fault::Hang);
        wait_for("it is found out", || engine_is_away(daemon));
        assert!(ready(daemon) >= 2, "no endpoint is withdrawn");
        // The same again for a controller that starts meanwhile: it answers at once, and knows its endpoints.
        daemon.kill("controller");
        wait_for("the API is back", || daemon.ctl(&["status"]).status.success());
        assert!(ready(daemon) >= 2, "no endpoint is withdrawn");
    });
}

#[test]
fn disconnected_docker_is_retried_with_back_off() {
    rolls_through(|daemon, faults| {
        faults.set(Fault::Cut);
        wait_for("it is found out", || engine_is_away(daemon));
        let (before, asked) = (daemon.used("controller"), faults.connections());
        wait_for("it is asked again", || faults.connections() >= asked + 6);
        let used = daemon.used("controller") - before;
        assert!(used < Duration::from_secs(2), "{used:?} of processor time to ask a few times");
    });
}

#[test]
fn agent_does_not_repeat_call_whose_answer_was_lost() {
    rolls_through(|daemon, faults| {
        faults.set(Fault::Mute);
        wait_for("it is found out", || engine_is_away(daemon));
        faults.set(Fault::Cut);
        faults.set(Fault::Slow(Duration::from_millis(50)));
        wait_for("it is back", || !engine_is_away(daemon));
        let running = daemon.containers("hello", true).len();
        assert!(running <= 3, "{running} containers for two replicas and one in surge");
    });
}

#[test]
fn controller_killed_ten_times_loses_no_request_or_container() {
    let daemon = Daemon::start();
    let (v1, v2) = (daemon.image("v1"), daemon.image("v2"));
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&v1, ""))]);
    let load = Load::start(daemon.http, HOST, &KINDS);
    for round in 0..10 {
        let image = if round % 2 == 0 { &v2 } else { &v1 };
        daemon.expect(0, &["rollout", "hello", "--image", image, "--detach"]);
        daemon.expect(0, &["scale", if round % 3 == 0 { "hello=3" } else { "hello=2" }, "--detach"]);
        daemon.kill("controller");
        wait_for("the API is back", || daemon.ctl(&["status"]).status.success());
    }
    daemon.expect(0, &["scale", "hello=2"]);
    daemon.expect(0, &["wait", "hello", "--for", "ready", "--timeout", "120s"]);
    wait_for("nothing is left over", || daemon.containers("hello", false).len() == 2);
    nothing_failed(&load.stop());
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn services_with_bad_shutdown_lose_no_request() {
    let daemon = Daemon::start();
    let image = daemon.image("v1");
    let apply = |round: u32, stops: &str| {
        let more = format!("  env: {{ROUND: '{round}', {stops}}}\n  stop: {{grace: 1s}}\n");
        daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&image, &more))]);
    };
    apply(0, "IGNORE_SIGTERM: '1'");
    let kinds = [Client::KeepAlive, Client::Fresh, Client::Post(20_000), Client::Slow(3000)];
    let load = Load::start(daemon.http, HOST, &kinds);
    apply(1, "EXIT_ON_TERM: now"); // takes out the ones that ignore the signal
    apply(2, "EXIT_ON_TERM: now"); // takes out the ones that end at once, with answers under way
    nothing_failed(&load.stop());
    let left: BTreeSet<String> = daemon.containers("hello", false).into_iter().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// Writes a file until there is no space left.
fn fill(path: &std::path::Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).expect("a file");
    for size in [1 << 20, 1 << 12] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

/// A full disk is over so soon after there is space again; the daemon looks twice a second.
const SPACE_NOTICED: Duration = Duration::from_secs(3);

#[test]
fn full_disk_stops_neither_services_nor_reads_and_is_over_when_there_is_space() {
    let daemon = Daemon::start_on_small_disk(40);
    let (v1, v2) = (daemon.image("v1"), daemon.image("v2"));
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&v1, ""))]);
    let reserve = daemon.state().join("store.reserve");
    wait_for("space is kept", || reserve.exists());
    let load = Load::start(daemon.http, HOST, &KINDS);
    let is_full = || String::from_utf8_lossy(&daemon.ctl(&["status"]).stdout).contains("StoreFull");
    assert!(!is_full());

    fill(&daemon.state().join("filler"));
    daemon.expect(0, &["rollout", "hello", "--image", &v2]);
    daemon.expect(0, &["scale", "hello=3"]);
    assert_eq!(ready(&daemon), 3, "tables are saved on a full disk");

    // As if the space that was kept were used up too, and a controller starts meanwhile.
    let _ = std::fs::remove_file(&reserve);
    fill(&daemon.state().join("filler-2"));
    wait_for("it is said", is_full);
    daemon.kill("controller");
    wait_for("the API is back", || daemon.ctl(&["get"]).status.success());
    assert_eq!(ready(&daemon), 3, "services are shown as they serve");
    let began = tokio::time::Instant::now();
    daemon.ctl(&["scale", "hello=2", "--timeout", "3s"]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    std::fs::remove_file(daemon.state().join("filler")).expect("it is there");
    std::fs::remove_file(daemon.state().join("filler-2")).expect("it is there");
    let began = tokio::time::Instant::now();
    wait_for("it is over", || !is_full());
    assert!(began.elapsed() < SPACE_NOTICED, "{:?}", began.elapsed());
    daemon.expect(0, &["scale", "hello=2"]);
    nothing_failed(&load.stop());
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// Slow requests that are in flight: sent, and counted by the balancer.
fn slow_requests(daemon: &Daemon, millis: u64) -> Vec<JoinHandle<Option<(u16, String)>>> {
    let path = format!("/slow?ms={millis}");
    let requests = (0..SLOW_REQUESTS).map(|_| {
        let (http, path) = (daemon.http, path.clone());
        std::thread::spawn(move || get(http, HOST, &path))
    });
    let requests = requests.collect();
    wait_for("the requests are in flight", || {
        let listing = daemon.json(&["get", "replicas", "-o", "json"]);
        let replicas = listing["items"].as_array().cloned().unwrap_or_default();
        let in_flight = replicas.iter().filter_map(|replica| replica["status"]["inFlight"].as_u64());
        in_flight.sum::<u64>() >= SLOW_REQUESTS
    });
    requests
}

const SLOW_REQUESTS: u64 = 9;

/// The balancer of the killed supervisor drains, and the next daemon's controller counts its requests.
#[test]
fn killed_supervisor_and_rollout_at_once_cut_no_slow_request() {
    let mut daemon = Daemon::start();
    let images = [daemon.image("v1"), daemon.image("v2")];
    let manifest = |image: &str| manifest(image, "  env: {EXIT_ON_TERM: now}\n");
    daemon.expect(0, &["apply", "-f", &daemon.file("app.yaml", &manifest(&images[0]))]);
    for (round, is_under_way) in [false, true].into_iter().enumerate() {
        let image = &images[1 - round];
        // longer than the rollout takes, and shorter than `drain`
        let requests = slow_requests(&daemon, 12_000);
        if is_under_way {
            daemon.expect(0, &["rollout", "hello", "--image", image, "--detach"]);
        }
        daemon.kill_supervisor();
        daemon.expect(0, &["rollout", "hello", "--image", image]);
        for request in requests {
            let (status, body) = request.join().expect("it does not panic").expect("an answer");
            assert!(status == 200 && body.contains("version"), "{status} {body}\n{}", daemon.log());
        }
    }
}
