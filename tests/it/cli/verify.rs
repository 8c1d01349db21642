//! `ctl verify` where it must not begin, where requests fail before anything is done, and what it says after a stop.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use coxswain::api::codes;
use coxswain::api::types::{
    DaemonStatus, KillResponse, List, OperationOutcome, WriteAction, WriteResponse, WrittenObject,
};
use coxswain::model::{ContainerId, Generation, ReplicaPhase, Route};

use super::objects::{daemon, progressing, replica, result, rollout, service, snapshot};
use super::stub::{Reply, Stub};
use super::transcript::{run, transcript};

const SERVICE: &str = "GET /v1/services/users";
const STATUS: &str = "GET /v1/status";

#[test]
fn verify_refuses_unsuitable_service_and_writes_nothing() {
    let fine = || service("users");
    let mut unreached = fine();
    unreached.spec.routes.clear();
    let mut scaled_down = fine();
    (scaled_down.status.wanted, scaled_down.status.available) = (0, 0);
    let mut unready = fine();
    unready.status.available = 2;
    let mut rolling = fine();
    rolling.status.rollout = Some(rollout(10, Some(9), progressing()));
    let states = [fine(), fine(), unreached, scaled_down, unready, rolling, fine()];
    let deaf = DaemonStatus { http: Vec::new(), ..daemon() };
    let listening = || DaemonStatus { http: vec!["0.0.0.0:80".to_owned()], ..daemon() };
    let statuses = (0..6).map(|_| Reply::json(&listening())).chain([Reply::json(&deaf)]);
    let stub = Stub::start()
        .on(SERVICE, states.iter().map(Reply::json))
        .on(STATUS, statuses)
        .on("GET /v1/services/none", [Reply::error(&codes::NOT_FOUND.error("no service is called `none`"))]);
    insta::assert_snapshot!(
        "verify_refused",
        transcript(
            &stub,
            &[
                "verify none -y",
                "verify users",
                "verify users --path /other -y",
                "verify users -y",
                "verify users -y",
                "verify users -y",
                "verify users -y",
                "verify users -y",
                "verify users --method POST",
                "verify users --step explode",
                "verify users --concurrency 1",
            ]
        )
    );
    let writes: Vec<String> = stub.calls().into_iter().filter(|call| call.starts_with("POST")).collect();
    assert_eq!(writes, [""; 0]);
}

/// An entry point that answers everything with this status.
fn entry_point(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut stream, mut line) = (stream, String::new());
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if line == "\r\n"
                        && write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\nno").is_err()
                    {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    address
}

/// Its service is well, and its entry point answers with this status.
fn reached(status: u16) -> Stub {
    let http = DaemonStatus { http: vec![entry_point(status)], ..daemon() };
    let mut anywhere = service("users");
    anywhere.spec.routes = vec![Route::to(None, "/")];
    Stub::start().on(SERVICE, [Reply::json(&anywhere)]).on(STATUS, [Reply::json(&http)])
}

#[test]
fn verify_takes_no_step_when_baseline_fails() {
    let stub = reached(404);
    let ran = run(&stub, "verify users --path /missing?x=1 -o json -y");
    assert_eq!(ran.exit, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("error[CTL-0419]"), "{}", ran.stderr);
    assert!(ran.stderr.contains("\n  now      nothing was changed\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("\n  next     ctl verify users --path PATH\n"), "{}", ran.stderr);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let steps = found["status"]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1, "{found}");
    assert_eq!(steps[0]["step"], "baseline");
    assert_eq!(steps[0]["failures"][0]["kind"], "404 Not Found");
    assert_eq!(found["status"]["failed"], found["status"]["requests"]);
    assert!(found["status"]["failed"].as_u64().unwrap() >= 16, "{found}");
    assert_eq!(found["spec"]["path"], "/missing?x=1");
    assert!(stub.calls().iter().all(|call| call.starts_with("GET")), "{:?}", stub.calls());
}

#[test]
fn verify_after_rejected_write_reports_original_state() {
    let no = codes::NOT_NOW.error("users is rolled by another user");
    let stub = reached(200).on("POST /v1/rollout", [Reply::error(&no)]);
    let ran = run(&stub, "verify users --step restart -y");
    assert_eq!(ran.exit, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("! users is in its original state\n"), "{}", ran.stderr);
}

#[test]
fn verify_after_accepted_undo_reports_rolling_back() {
    let written = |generation| {
        let result =
            WrittenObject { generation: Generation(generation), ..result("users", WriteAction::Changed) };
        Reply::json(&WriteResponse { results: vec![result] })
    };
    let progress = |generation| format!("GET /v1/services/users/progress?generation={generation}");
    let stub = reached(200)
        .on("POST /v1/rollout", [written(10), written(11)])
        .on(&progress(10), [Reply::lines(&[snapshot(2, &[], Some(OperationOutcome::Done))])])
        .on(&progress(11), [Reply::silence_after(&[snapshot(1, &[], None)])]);
    let ran = run(&stub, "verify users --step restart,undo --timeout 2s -y");
    assert_eq!(ran.exit, 6, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("! users is rolling back to revision 9; run `ctl rollout users`"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("is on its restart"), "{}", ran.stderr);
}

#[test]
fn verify_after_kill_reports_restarting_replica() {
    let replicas = List::of(vec![replica("users-9-a", ReplicaPhase::Ready)]);
    let killed = KillResponse { container: ContainerId::new("4f".repeat(32)) };
    let stub = reached(200)
        .on("GET /v1/replicas?service=users", [Reply::json(&replicas)])
        .on("POST /v1/kill", [Reply::json(&killed)])
        .on("GET /v1/replicas?watch=true", [Reply::silence_after(&[replicas])]);
    let ran = run(&stub, "verify users --step kill --timeout 1s -y");
    assert_eq!(ran.exit, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("! users-9-a was killed and is restarting"), "{}", ran.stderr);
}
