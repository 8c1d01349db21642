//! Routes with conditions, a redirect and filters on the real Engine, as `ctl route explain` shows them.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::daemon::{Daemon, PATIENCE, wait_for};

fn manifest(name: &str, image: &str, routes: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: {name}, app: shop}}\nspec:\n  image: {image}\n  port: 8080\n  \
         health: {{http: /healthz, interval: 200ms}}\n  rollout: {{healthyFor: 200ms, deadline: 60s}}\n  route:\n{routes}---\n"
    )
}

/// The answer to a request with these lines of headers.
fn ask(daemon: &Daemon, line: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(daemon.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn conditions_redirects_and_passwords_work_as_explained() {
    let daemon = Daemon::start();
    // of `secret`, by libcrypt
    let hash = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
    let plain = "    - shop.localhost\n    - {host: www.shop.localhost, redirect: {host: shop.localhost, status: 308}}\n";
    let beta = format!(
        "    - {{host: shop.localhost, match: {{header: {{x-beta: \"1\"}}}}}}\n    \
         - {{host: \"*.staff.localhost\", basicAuth: {{users: {{anna: {hash}}}}}}}\n"
    );
    let text = manifest("web", &daemon.image("v1"), plain) + &manifest("beta", &daemon.image("v2"), &beta);
    let file = daemon.file("app.yaml", &text);
    daemon.expect(0, &["apply", "-f", &file]);
    wait_for("both services answer", || {
        daemon.get("shop.localhost", "/").is_some_and(|(code, _)| code == 200)
    });
    let explain = |arguments: &[&str]| {
        let arguments = [&["route", "explain"], arguments, &["-o", "json"]].concat();
        daemon.json(&arguments)["outcome"].clone()
    };
    for (header, service, version) in [("", "web", "v1"), ("x-beta: 1", "beta", "v2")] {
        let headers: &[&str] = if header.is_empty() { &[] } else { &["-H", header] };
        let outcome = explain(&[&["http://shop.localhost/"], headers].concat());
        assert_eq!(
            (outcome["service"].as_str(), &outcome["status"]),
            (Some(service), &serde_json::Value::Null)
        );
        let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
        let answer = ask(&daemon, "GET /", &format!("Host: shop.localhost\r\n{header}"));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(version), "{answer}");
    }
    assert_eq!(explain(&["www.shop.localhost/a?b"])["location"], "//shop.localhost/a?b");
    let moved = ask(&daemon, "GET /a?b", "Host: www.shop.localhost\r\n");
    assert!(
        moved.starts_with("HTTP/1.1 308") && moved.contains("location: //shop.localhost/a?b\r\n"),
        "{moved}"
    );
    assert_eq!(explain(&["a.staff.localhost"])["status"], 401);
    let asked = ask(&daemon, "GET /", "Host: a.staff.localhost\r\n");
    assert!(asked.starts_with("HTTP/1.1 401"), "{asked}");
    let known = ask(&daemon, "GET /", "Host: a.staff.localhost\r\nAuthorization: Basic YW5uYTpzZWNyZXQ=\r\n");
    assert!(known.starts_with("HTTP/1.1 200"), "{known}");
    let rival =
        manifest("rival", &daemon.image("v1"), "    - {host: shop.localhost, match: {cookie: {a: b}}}\n");
    let (_, refused) = daemon.expect(2, &["apply", "-f", &daemon.file("rival.yaml", &rival)]);
    assert!(
        refused.contains("CTL-0204") && refused.contains("beta") && refused.contains("rival"),
        "{refused}"
    );
}
