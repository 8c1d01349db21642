//! `--timeout` and `--detach` bound every command, whatever the daemon does.

#![allow(clippy::disallowed_methods)] // how long a command takes is what is tested

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::stub::{Reply, Stub};

/// More than a command takes after its time is over, on a busy machine.
const MARGIN: Duration = Duration::from_secs(8);
const MANIFEST: &str =
    "apiVersion: coxswain/v1\nkind: Service\nmetadata: {name: web}\nspec: {image: web, port: 80}\n";
const COMMANDS: [&str; 8] = [
    "scale web=3",
    "apply -f app.yaml",
    "rollout web --image v2",
    "rollout restart web",
    "undo web",
    "abort web",
    "delete web --yes",
    "wait web --for ready",
];

/// Exit code, standard error and time of a command.
fn ran(directory: &Path, arguments: &str) -> (Option<i32>, String, Duration) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("ctl"));
    command.args(arguments.split(' ')).current_dir(directory).stdin(Stdio::null());
    let began = Instant::now();
    let output = command.env("CTL_SOCKET", directory.join("ctl.sock")).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap(), began.elapsed())
}

#[test]
fn timeout_bounds_every_command_while_no_controller_accepts() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("app.yaml"), MANIFEST).unwrap();
    let _never_accepts = UnixListener::bind(directory.path().join("ctl.sock")).unwrap();
    for command in COMMANDS {
        let (exit, said, lasted) = ran(directory.path(), &format!("{command} --timeout 1s"));
        assert_eq!(exit, Some(6), "{command}: {said}");
        assert!(lasted < MARGIN, "{command}: {lasted:?}");
        assert!(said.contains("CTL-0413"), "{command}: {said}");
    }
}

#[test]
fn timeout_bounds_a_write_whose_answer_ends_in_the_middle() {
    let head = Reply::LinesThenSilence("{\"results\":".to_owned());
    let stub = Stub::start().file("app.yaml", MANIFEST).on("POST /v1/apply", [head]);
    let (exit, said, lasted) = ran(stub.directory(), "apply -f app.yaml --timeout 1s");
    assert_eq!((exit, lasted < MARGIN), (Some(6), true), "{lasted:?} {said}");
    assert!(said.contains("no answer of the daemon before --timeout"), "{said}");
    assert!(said.contains("may still be done"), "{said}");
}

#[test]
fn write_ends_without_timeout_if_the_daemon_answers_nothing_at_all() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("app.yaml"), MANIFEST).unwrap();
    let _never_accepts = UnixListener::bind(directory.path().join("ctl.sock")).unwrap();
    let (exit, said, lasted) = ran(directory.path(), "apply -f app.yaml --detach");
    assert_eq!(exit, Some(3), "{said}");
    assert!(lasted < Duration::from_secs(15) + MARGIN, "{lasted:?}");
    assert!(said.contains("no answer within 15s"), "{said}");
}
