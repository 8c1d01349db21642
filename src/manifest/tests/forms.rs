//! What manifests mean: defaults, short and long forms, text as written.

use super::{run, service, shown, spec, with_spec};
use crate::model::{EnvField, EnvValue, Health, HealthCheck, Millis, Route, ServiceSpec};

#[test]
fn parse_fills_in_every_default_of_the_minimal_manifest() {
    let text = include_str!("../../../manifests/hello.yaml");
    let documents = run(text).unwrap_or_else(|f| panic!("{}", shown(&f)));
    let mut want = ServiceSpec::of_image("hello:v1");
    want.replicas = Some(2);
    want.ports = serde_json::from_str(r#"[{"name": "http", "port": 8080}]"#).unwrap();
    want.routes = vec![Route::to(Some("hello.localhost".into()), "/")];
    want.health = Health::with(HealthCheck::Http("/healthz".into()));
    assert_eq!(*service(&documents[0]), want);
    assert_eq!((documents[0].name.as_str(), documents[0].app.as_str()), ("hello", "default"));
    assert_eq!(documents[0].origin(), "app.yaml:2");
    assert!(documents[0].notes.is_empty());
}

#[test]
fn parse_keeps_absent_replicas_absent_and_notes_the_default_check() {
    let documents = run(&with_spec("image: a:1\nport: 80")).unwrap();
    assert_eq!(service(&documents[0]).replicas, None);
    assert_eq!(service(&documents[0]).health.check, HealthCheck::Tcp(true));
    assert_eq!(documents[0].notes, ["no `health`: a replica is ready when port 80 accepts a TCP connection"]);
    assert_eq!(spec("image: a:1").health.check, HealthCheck::None(true));
    let exec = spec("image: a:1\nhealth: {exec: [/app, 1.10], interval: 9s}").health;
    let command = vec!["/app".to_owned(), "1.10".to_owned()];
    assert_eq!(exec, Health { interval: Millis::secs(9), ..Health::with(HealthCheck::Exec(command)) });
    let grpc = spec("image: a:1\nport: 1\nhealth: {grpc: \"\"}").health;
    assert_eq!(grpc, Health::with(HealthCheck::Grpc(String::new())));
}

#[test]
fn env_values_are_text_exactly_as_written() {
    let rows = [
        ("3.10", "3.10"),
        ("no", "no"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("\"\"", ""),
        ("'null'", "null"),
        ("!!str null", "null"),
        ("!!str", ""),
        ("${HOME}", "${HOME}"),
        ("2001-12-14", "2001-12-14"),
        ("\"a\\tb\"", "a\tb"),
        ("|\n    a\n    b", "a\nb\n"),
    ];
    for (written, want) in rows {
        let got = spec(&format!("image: a:1\nenv:\n  X: {written}"));
        assert_eq!(got.env["X"], EnvValue::Text(want.into()), "{written}");
    }
    let field = spec("image: a:1\nenv: {X: {field: node.name}}");
    assert_eq!(field.env["X"], EnvValue::Field { field: EnvField::NodeName });
}

#[test]
fn short_and_long_forms_mean_the_same() {
    let rows = [
        ("port: 80", "ports: [{name: http, port: 80}]"),
        ("port: 80\nroute: a.b/c", "port: 80\nroute: [a.b/c]"),
        ("port: 80\nroute: a.b/c", "port: 80\nroute: [{host: a.b, path: /c}]"),
        ("port: 80\nroute: a.b", "port: 80\nroute: [{host: a.b}]"),
        ("port: 80\nroute: /c", "port: 80\nroute: [{path: /c}]"),
        (
            "port: 80\nroute: \"*.a.b/c\"",
            "port: 80\nroute: [{host: \"*.a.b\", path: /c, exact: false, match: {}}]",
        ),
        (
            "port: 80\nroute: [{path: /, allow: [10.0.0.1]}]",
            "port: 80\nroute: [{path: /, allow: [10.0.0.1/32]}]",
        ),
        (
            "ports: [{name: db, port: 1, listen: 5432}]",
            "ports: [{name: db, port: 1, protocol: tcp, listen: {port: 5432, address: 0.0.0.0, hold: 30s, idleTimeout: 1d}}]",
        ),
        (
            "ports: [{name: db, port: 1, protocol: tcp, listen: \"[::1]:5432\"}]",
            "ports: [{name: db, port: 1, protocol: tcp, listen: {port: 5432, address: \"::1\"}}]",
        ),
        ("port: 80\nhealth: /x", "port: 80\nhealth: {http: /x}"),
        ("port: 80\nhealth: {interval: 9s}", "port: 80\nhealth: {tcp: true, interval: 9s}"),
        ("logging: {maxSize: 10m}", "logging: {maxSize: 10Mi}"),
        ("security: {capAdd: [CAP_CHOWN]}", "security: {capAdd: [CHOWN]}"),
        ("env: &e {A: b}\nlabels: *e", "env: {A: b}\nlabels: {A: b}"),
    ];
    for (short, long) in rows {
        assert_eq!(spec(&format!("image: a:1\n{short}")), spec(&format!("image: a:1\n{long}")), "{short}");
    }
}

#[test]
fn parse_maps_every_field_to_model() {
    let text = include_str!("../../../tests/manifests/every-field.yaml");
    let document = run(text).unwrap_or_else(|f| panic!("{}", shown(&f))).remove(0);
    let want: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/manifests/every-field.json")).unwrap();
    assert_eq!(serde_json::to_value(service(&document)).unwrap(), want);
    assert_eq!(document.app.as_str(), "shop");
    assert_eq!(document.annotations["owner"], "team-identity");
}

/// Line ends of other systems, and JSON in any layout.
#[test]
fn parse_accepts_every_layout_of_yaml_and_json() {
    let text = with_spec("image: a:1\nenv: {A: \"b\"}");
    let want = run(&text).unwrap()[0].spec.clone();
    let object = r#"{"apiVersion":"coxswain/v1","kind":"Service","metadata":{"name":"web"},"spec":{"image":"a:1","env":{"A":"b"}}}"#;
    let tabs = object.replace('{', "{\n\t\t").replace(',', ",\n\t");
    for text in [text.replace('\n', "\r\n"), object.to_owned(), tabs, format!("\u{feff}{text}")] {
        let documents = run(&text).unwrap_or_else(|f| panic!("{text}\n{}", shown(&f)));
        assert_eq!(documents[0].spec, want, "{text}");
    }
}
