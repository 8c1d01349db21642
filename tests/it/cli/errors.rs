//! A daemon that is away or strange, and commands that do not exist.

use coxswain::api::codes;

use super::objects::daemon;
use super::stub::{Reply, Stub};
use super::transcript::{command, finish, shown, transcript};

#[test]
fn command_without_daemon_exits_with_not_running() {
    let stub = Stub::start();
    let dead = stub.directory().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    insta::assert_snapshot!(
        "not_running",
        transcript(
            &stub,
            &["get --socket missing.sock", "get --socket dead.sock", "version --socket missing.sock"]
        )
    );
}

#[test]
fn command_without_socket_permission_exits_3() {
    use std::os::unix::fs::PermissionsExt;
    let stub = Stub::start();
    let lock = |mode| std::fs::set_permissions(stub.socket(), std::fs::Permissions::from_mode(mode)).unwrap();
    lock(0o000);
    let ran = finish(&stub, &mut command(&stub, "status"));
    lock(0o600);
    if nix::unistd::geteuid().is_root() {
        // Nothing is closed to root: it gets as far as the script, which knows no such call.
        assert!(ran.stderr.contains("the script has no"), "{}", ran.stderr);
    } else {
        assert!(ran.stderr.starts_with("error[CTL-0102]"), "{}", ran.stderr);
    }
    assert_eq!(ran.exit, 3);
}

#[test]
fn malformed_daemon_responses_are_reported() {
    let long = "x".repeat(20);
    let stub = Stub::start()
        .on(
            "GET /v1/status",
            [
                Reply::Whole(500, format!("panic\n{long}")),
                Reply::Whole(200, "{}".to_owned()),
                Reply::Whole(200, "<html>".to_owned()),
                Reply::Lost,
            ],
        )
        .on(
            "GET /v1/events?follow=false",
            [Reply::Lines("{}\n".to_owned()), Reply::Lines("{\"at\":".to_owned())],
        );
    insta::assert_snapshot!(
        "nonsense",
        transcript(&stub, &["status", "status", "status", "status", "events", "events"])
    );
}

#[test]
fn stream_error_is_printed_verbatim() {
    let error = codes::DOCKER_STOPPED.error("Docker is not running on elk");
    let stub = Stub::start().on("GET /v1/events?follow=false", [Reply::lines(&[error])]);
    insta::assert_snapshot!("stream_error", transcript(&stub, &["events"]));
}

#[test]
fn unknown_commands_suggest_similar_ones() {
    let stub = Stub::start().on("GET /v1/status", [Reply::json(&daemon())]);
    insta::assert_snapshot!(
        "unknown_commands",
        transcript(&stub, &["aply -f x", "get --wach", "rollout users --again", "status users"])
    );
}

#[test]
fn serve_rejects_unusable_flags() {
    let stub = Stub::start();
    let mut tcp = command(&stub, "serve");
    let ran = finish(&stub, tcp.env("DOCKER_HOST", "tcp://elk:2375"));
    let pools = transcript(
        &stub,
        &[
            "serve --network-pool 10.0.0.0/25",
            "serve --network-pool x",
            "serve --http 8080",
            "serve --role cook",
            "serve --trusted-proxies 10.0.0.0/8,10.1.2.3/8",
            "serve --max-connections-per-client 0",
        ],
    );
    insta::assert_snapshot!("serve_usage", format!("{}\n{pools}", shown("serve", &ran)));
}
