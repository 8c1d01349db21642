//! Tables of cases: what each rule says and where it points.

use super::agreement::complaints;
use super::{Document, Finding, ManifestSource, parse};
use crate::model::{EnvField, EnvValue, Health, HealthCheck, Millis, Problem, Route, ServiceSpec};

fn run(text: &str) -> Result<Vec<Document>, Vec<Finding>> {
    parse(&[ManifestSource::new("app.yaml", text)])
}

/// A document around the lines of a spec; the first of them is line 6.
fn with_spec(lines: &str) -> String {
    let spec: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!("apiVersion: coxswain/v1\nkind: Service\nmetadata:\n  name: web\nspec:\n{spec}")
}

fn service(document: &Document) -> &ServiceSpec {
    document.spec.as_service().expect("a service")
}

fn spec(lines: &str) -> ServiceSpec {
    let documents = run(&with_spec(lines)).unwrap_or_else(|f| panic!("{lines}\n{}", shown(&f)));
    assert_eq!(documents.len(), 1, "{lines}");
    assert_eq!(complaints(&with_spec(lines)).unwrap_or_default(), Vec::<String>::new(), "{lines}");
    service(&documents[0]).clone()
}

fn shown(findings: &[Finding]) -> String {
    findings.iter().map(|f| format!("{f}\n")).collect()
}

/// Each row: spec lines, and per finding `line:column path | message | suggestion`, from which parts may be left out
/// at the end.
fn refused(rows: &[(&str, &[&str])]) {
    let mut failures = Vec::new();
    for (lines, want) in rows {
        let got: Vec<String> = run(&with_spec(lines)).err().unwrap_or_default().iter().map(row).collect();
        let same = got.len() == want.len() && got.iter().zip(*want).all(|(got, want)| got.starts_with(want));
        if !same {
            failures.push(format!("{lines}\n got: {got:#?}\nwant: {want:#?}"));
        }
        let beyond = got.iter().any(|row| BEYOND_A_SCHEMA.iter().any(|(part, _)| row.contains(part)));
        if !beyond && complaints(&with_spec(lines)).is_some_and(|found| found.is_empty()) {
            failures.push(format!("{lines}\n the schema takes it: {got:#?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What the reader alone refuses, by a part of what it says, with the reason. The schema has to refuse every other row.
const BEYOND_A_SCHEMA: [(&str, &str); 10] = [
    ("has no meaning here; only `!!str`", "tags are gone when a schema sees a value"),
    ("`3.0` is not one", "to JSON it is the number 3"),
    ("`010` is not one", "to YAML it is a number"),
    ("both 0", "joins two keys and their defaults"),
    ("leaves no time for healthyFor", "joins two keys and their defaults"),
    ("is below the 2 reserved", "joins two blocks"),
    ("needs a port", "joins two keys of the spec, and what is below them"),
    ("no port is named", "joins two blocks"),
    ("is listed twice", "compares the items of a list by a part of each"),
    ("is not normal", "`..` is a segment and `a..b` is not"),
];

fn row(finding: &Finding) -> String {
    let Problem { path, message, suggestion } = &finding.problem;
    let span = finding.place.span;
    let suggestion = suggestion.as_deref().unwrap_or("-");
    format!("{}:{} {path} | {message} | {suggestion}", span.line, span.column)
}

#[test]
fn the_minimal_manifest_means_every_default() {
    let text = include_str!("../../manifests/hello.yaml");
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
fn replicas_left_out_are_not_made_up_and_the_default_check_is_said() {
    let documents = run(&with_spec("image: a:1\nport: 80")).unwrap();
    assert_eq!(service(&documents[0]).replicas, None);
    assert_eq!(service(&documents[0]).health.check, HealthCheck::Tcp(true));
    assert_eq!(documents[0].notes, ["no `health` is given: a TCP connect to port 80 decides"]);
    assert_eq!(spec("image: a:1").health.check, HealthCheck::None(true));
    let exec = spec("image: a:1\nhealth: {exec: [/app, 1.10], interval: 9s}").health;
    let command = vec!["/app".to_owned(), "1.10".to_owned()];
    assert_eq!(exec, Health { interval: Millis::secs(9), ..Health::with(HealthCheck::Exec(command)) });
    let grpc = spec("image: a:1\nport: 1\nhealth: {grpc: \"\"}").health;
    assert_eq!(grpc, Health::with(HealthCheck::Grpc(String::new())));
}

#[test]
fn env_is_text_exactly_as_written() {
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
    let field = spec("image: a:1\nenv: {X: {field: host.name}}");
    assert_eq!(field.env["X"], EnvValue::Field { field: EnvField::HostName });
}

#[test]
fn short_and_long_forms_mean_the_same() {
    let rows = [
        ("port: 80", "ports: [{name: http, port: 80}]"),
        ("port: 80\nroute: a.b/c", "port: 80\nroute: [a.b/c]"),
        ("port: 80\nroute: a.b/c", "port: 80\nroute: [{host: a.b, path: /c}]"),
        ("port: 80\nroute: a.b", "port: 80\nroute: [{host: a.b}]"),
        ("port: 80\nroute: /c", "port: 80\nroute: [{path: /c}]"),
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
fn each_field_reaches_the_model() {
    let text = include_str!("../../tests/manifests/every-field.yaml");
    let document = run(text).unwrap_or_else(|f| panic!("{}", shown(&f))).remove(0);
    let want: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/manifests/every-field.json")).unwrap();
    assert_eq!(serde_json::to_value(service(&document)).unwrap(), want);
    assert_eq!(document.app.as_str(), "shop");
    assert_eq!(document.annotations["owner"], "team-identity");
}

/// Line ends of other systems, and JSON in any layout.
#[test]
fn layout_does_not_matter() {
    let text = with_spec("image: a:1\nenv: {A: \"b\"}");
    let want = run(&text).unwrap()[0].spec.clone();
    let object = r#"{"apiVersion":"coxswain/v1","kind":"Service","metadata":{"name":"web"},"spec":{"image":"a:1","env":{"A":"b"}}}"#;
    let tabs = object.replace('{', "{\n\t\t").replace(',', ",\n\t");
    for text in [text.replace('\n', "\r\n"), object.to_owned(), tabs, format!("\u{feff}{text}")] {
        let documents = run(&text).unwrap_or_else(|f| panic!("{text}\n{}", shown(&f)));
        assert_eq!(documents[0].spec, want, "{text}");
    }
}

#[test]
fn keys() {
    refused(&[
        ("imgae: a:1", &["6:3 spec.imgae | there is no key `imgae` here | image"]),
        ("image: a:1\nzzz: 1", &["7:3 spec.zzz | there is no key `zzz` here | -"]),
        ("image: a:1\nimage: b:1", &["7:3 spec | `image` is given twice, first in line 6"]),
        ("image: a:1\nargs: [x]", &["7:3 spec.args | `args` is not a key here: `entrypoint`"]),
        (
            "image: a:1\nrollout: {max_surge: 1}",
            &["7:13 spec.rollout.max_surge | there is no key `max_surge` here | maxSurge"],
        ),
        ("image: a:1\nx: {<<: {a: b}}", &["7:3 spec.x", "7:7 spec.x | `<<` does not merge"]),
        ("image: a:1\n? [a]\n: b", &["7:5 spec | a key is a word; this is a list"]),
        ("image: !!int 5", &["6:"]),
        ("image: !thing a:1", &["6:"]),
        ("replicas: 1", &["5:1 spec.image | a service needs an image to run | image: name:tag"]),
        ("image: a:1\nresources:", &["7:3 spec.resources | `resources` has no value"]),
        ("image: a:1\nresources: []", &["7:3 spec.resources | a map is needed here; this is a list"]),
        ("image:", &["6:3 spec.image | `image` has no value"]),
        ("image: {a: b}", &["6:3 spec.image | a single value is needed here; this is a map"]),
    ]);
}

#[test]
fn what_a_later_version_brings_is_named_as_such() {
    for key in super::shape::SPEC.later {
        let want = format!("7:3 spec.{key} | `{key}` is not supported yet | -");
        refused(&[(&format!("image: a:1\n{key}: {{a: b}}"), &[&want])]);
    }
    for key in super::shape::ROLLOUT.later {
        let want = format!("7:13 spec.rollout.{key} | `{key}` is not supported yet | -");
        refused(&[(&format!("image: a:1\nrollout: {{{key}: 1}}"), &[&want])]);
    }
    for key in super::shape::ROUTE.later {
        let want = format!("8:21 spec.route[0].{key} | `{key}` is not supported yet | -");
        refused(&[(&format!("image: a:1\nport: 80\nroute: [{{path: /, {key}: auto}}]"), &[&want])]);
    }
    refused(&[
        ("image: a:1\nreplicas: perHost", &["7:13 spec.replicas | `perHost` is not supported yet"]),
        (
            "image: a:1\nrollout: {strategy: canary}",
            &["7:23 spec.rollout.strategy | `canary` is not supported yet"],
        ),
        ("image: a:1\nrollout: {strategy: blueGreen}", &["7:23 spec.rollout.strategy | `blueGreen` is"]),
        ("image: a:1\nrollout: {strategy: recreate}", &["7:23 spec.rollout.strategy | `recreate` is"]),
        (
            "image: a:1\nports: [{name: a, port: 1, protocol: tcp}]",
            &["7:40 spec.ports[0].protocol | `tcp` is not supported yet"],
        ),
        (
            "image: a:1\nports: [{name: a, port: 1, protocol: h2c}]",
            &["7:40 spec.ports[0].protocol | `h2c` is not supported yet"],
        ),
        (
            "image: a:1\nports: [{name: a, port: 1, hostPort: 2}]",
            &["7:30 spec.ports[0].hostPort | `hostPort` is"],
        ),
        ("image: a:1\nbalance: random", &["7:12 spec.balance | `random` is not supported yet"]),
        ("image: a:1\nbalance: source", &["7:12 spec.balance | `source` is not supported yet"]),
        ("image: a:1\nbalance: {hash: {header: x}}", &["7:3 spec.balance | `hash` is not supported yet"]),
        ("image: a:1\nenv: {A: {secret: a/b}}", &["7:13 spec.env.A.secret | `secret` is not supported yet"]),
        ("image: a:1\nenv: {A: {config: a/b}}", &["7:13 spec.env.A.config | `config` is not supported yet"]),
        ("external: {addresses: [a:1]}", &["6:3 spec.external | `external` is not supported yet"]),
        ("registration: self", &["6:3 spec.registration | `registration` is not supported yet"]),
    ]);
}

#[test]
fn values() {
    refused(&[
        (
            "image: a:1\nrollout: {drain: 20}",
            &["7:20 spec.rollout.drain | a duration needs a unit: `20` | 20s"],
        ),
        (
            "image: a:1\nresources: {memory: 256m}",
            &["7:23 spec.resources.memory | `256m` of memory would be thousandths of a byte | 256Mi"],
        ),
        ("image: a:1\nresources: {cpu: lots}", &["7:20 spec.resources.cpu | `lots` is not an amount of cpu"]),
        (
            "image: a:1\nrollout: {maxSurge: 0.25}",
            &["7:23 spec.rollout.maxSurge | `0.25` is neither a whole number nor a percentage | 25%"],
        ),
        (
            "image: a:1\nrollout: {maxUnavailable: many}",
            &["7:29 spec.rollout.maxUnavailable | `many` is neither"],
        ),
        (
            "image: a:1\nreplicas: \"3\"",
            &["7:13 spec.replicas | a number is needed here; `\"3\"` is text | 3"],
        ),
        ("image: a:1\nreplicas: 3.0", &["7:13 spec.replicas | a whole number is needed here; `3.0`"]),
        ("image: a:1\nreplicas: -1", &["7:13 spec.replicas | a whole number"]),
        ("image: a:1\nreplicas: 010", &["7:13 spec.replicas | a whole number"]),
        ("image: a:1\nreplicas: 99999999999", &["7:13 spec.replicas | a whole number is needed here"]),
        ("image: a:1\nreplicas: 201", &["7:13 spec.replicas | 201 replicas are more than the 200"]),
        (
            "image: a:1\npull: Always",
            &["7:9 spec.pull | `Always` is not one of ifMissing, always, never | always"],
        ),
        (
            "image: a:1\nsecurity: {readOnlyRoot: yes}",
            &["7:28 spec.security.readOnlyRoot | `true` or `false` is needed here; this is `yes` | true"],
        ),
        (
            "image: a:1\nsecurity: {readOnlyRoot: maybe}",
            &["7:28 spec.security.readOnlyRoot | `true` or `false` is needed here; this is `maybe` | -"],
        ),
        (
            "image: a:1\ncommand: serve --fast",
            &[
                "7:12 spec.command | a list is needed here: no shell takes a text apart | [\"serve\", \"--fast\"]",
            ],
        ),
        ("image: a:1\ncommand: [a, ~]", &["7:16 spec.command[1] | `command[1]` has no value"]),
        (
            "image: a:1\nenv: {A: ~}",
            &["7:12 spec.env.A | nothing is no value; an empty text is written with quotes | \"\""],
        ),
        ("image: a:1\nenv: {A: null}", &["7:12 spec.env.A | nothing is no value"]),
        ("image: a:1\nenv:\n  A:\n  B: x", &["8:5 spec.env.A | nothing is no value"]),
        ("image: a:1\nenv: {A: [b]}", &["7:9 spec.env.A | a single value is needed here; this is a list"]),
        (
            "image: a:1\nenv: [{name: A, value: b}]",
            &["7:3 spec.env | `env` is a map of names to values, not a list | A: b"],
        ),
        ("image: a:1\nenv: [A=b]", &["7:3 spec.env | `env` is a map of names to values, not a list | A: b"]),
        (
            "image: a:1\nenv: {A: {field: replica.nme}}",
            &["7:20 spec.env.A.field | `replica.nme` is not one of replica.name"],
        ),
        ("image: a:1\nenv: {A: {}}", &["7:9 spec.env.A | a value is a text or names a field"]),
        ("image: a:1\nlabels: {a: ~}", &["7:15 spec.labels.a | nothing is no value"]),
        ("image: a:1\nlabels: {coxswain.store: x}", &["7:28 spec.labels.coxswain.store | labels under"]),
        ("image: a:1\nstop: {signal: SIGNOPE}", &["7:18 spec.stop.signal | `SIGNOPE` is not a signal"]),
    ]);
}

#[test]
fn ports_routes_and_health() {
    refused(&[
        ("image: a:1\nport: eighty\nroute: a.b\nhealth: /x", &["7:9 spec.ports[0].port | a whole number"]),
        (
            "image: a:1\nprot: 80\nroute: a.b\nhealth: /x",
            &["7:3 spec.prot | there is no key `prot` here | port"],
        ),
        ("image: a:1\nport: 0", &["7:9 spec.ports[0].port | a port is between 1 and 65535"]),
        ("image: a:1\nport: \"8080:80\"", &["7:9 spec.ports[0].port | a port is the container's own"]),
        (
            "image: a:1\nport: 1\nports: [{name: a, port: 2}]",
            &["7:9 spec.port | `port` and `ports` say the same"],
        ),
        (
            "image: a:1\nports: [8080]",
            &[
                "7:11 spec.ports[0] | a port of the list is a map with a name; nothing is published on the host | {name: http, port: 8080}",
            ],
        ),
        (
            "image: a:1\nports: [\"8080:80\"]",
            &[
                "7:11 spec.ports[0] | a port of the list is a map with a name; nothing is published on the host | {name: http, port: 80}",
            ],
        ),
        (
            "image: a:1\nports: [{port: 1}]",
            &["7:11 spec.ports[0] | a port of the list needs a name | name: http"],
        ),
        ("image: a:1\nports: [{name: a}]", &["7:11 spec.ports[0] | a port needs its number | port: 8080"]),
        ("image: a:1\nports: {name: a, port: 1}", &["7:3 spec.ports | `ports` is a list"]),
        (
            "image: a:1\nports: [{name: a, containerPort: 1}]",
            &["7:21 spec.ports[0].containerPort | the port of the container is written under `port`"],
        ),
        (
            "image: a:1\nroute: a.b",
            &["7:10 spec.route[0].port | a route needs a port to lead to | port: 8080"],
        ),
        (
            "image: a:1\nport: 1\nroute: http://a.b/c",
            &["8:10 spec.route[0] | a route has no scheme: `http://a.b/c` | a.b/c"],
        ),
        (
            "image: a:1\nport: 1\nroute: \"*.b\"",
            &["8:10 spec.route[0] | `*.b`: hosts with `*` are not supported yet"],
        ),
        (
            "image: a:1\nport: 1\nroute: \"*/c\"",
            &["8:10 spec.route[0] | any host is meant by a path alone, without `*` | /c"],
        ),
        (
            "image: a:1\nport: 1\nroute: Shop.b",
            &["8:10 spec.route[0] | `Shop.b` is not in lower case | shop.b"],
        ),
        (
            "image: a:1\nport: 1\nroute: a.b/c/*",
            &["8:10 spec.route[0] | `/c/*`: a path matches whole segments and all below them by itself | /c"],
        ),
        (
            "image: a:1\nport: 1\nroute: [/*/c, /**]",
            &[
                "8:11 spec.route[0] | `/*/c`: a path matches whole segments and all below them by itself | -",
                "8:17 spec.route[1] | `/**`: a path matches whole segments and all below them by itself | /",
            ],
        ),
        (
            "image: a:1\nports: [{name: ~, port: x}]\nroute: [{path: /*/c, timeout: 5}]",
            &[
                "7:18 spec.ports[0].name | `name` has",
                "7:27 spec.ports[0].port |",
                "8:18 ",
                "8:33 spec.route[0].timeout |",
            ],
        ),
        ("image: a:1\nport: 1\nroute: a.b/c/", &["8:10 spec.route[0] | `/c/`: a path matches"]),
        ("image: a:1\nport: 1\nroute: a.b:80", &["8:10 spec.route[0].host | `a.b:80` is not a host name"]),
        ("image: a:1\nport: 1\nroute: /a/../b", &["8:10 spec.route[0].path | `/a/../b` is not normal"]),
        ("image: a:1\nport: 1\nroute: \"\"", &["8:10 spec.route[0] | a route needs a host or a path | /"]),
        (
            "image: a:1\nport: 1\nroute: {host: a.b}",
            &["8:3 spec.route | a route is `host/path` or a list; this is a map"],
        ),
        (
            "image: a:1\nport: 1\nroute: [{timeout: 1s}]",
            &["8:11 spec.route[0] | a route needs a host or a path | path: /"],
        ),
        (
            "image: a:1\nport: 1\nroute: [{hots: a.b}]",
            &["8:12 spec.route[0].hots | there is no key `hots` here | host"],
        ),
        (
            "image: a:1\nport: 1\nroute: [{path: /, port: nope}]",
            &["8:27 spec.route[0].port | no port is named `nope` | http"],
        ),
        (
            "image: a:1\nport: 1\nroute: [a.b/c, a.b/c]",
            &["8:18 spec.route[1].path | `a.b/c` is listed twice"],
        ),
        ("image: a:1\nhealth: /x", &["7:11 spec.health | a probe over the network needs a port"]),
        ("image: a:1\nport: 1\nhealth: x", &["8:11 spec.health.http | `x` is not a path to ask for"]),
        ("image: a:1\nport: 1\nhealth: none", &["8:11 spec.health | no check is a map | {none: true}"]),
        ("image: a:1\nport: 1\nhealth: {http: /x, tcp: true}", &["8:3 spec.health | one check at most"]),
        (
            "image: a:1\nport: 1\nhealth: {grpc: a b}",
            &["8:18 spec.health.grpc | `a b` is not the name of a gRPC service"],
        ),
        ("image: a:1\nhealth: {grpc: \"\"}", &["7:3 spec.health | a probe over the network needs a port"]),
        (
            "image: a:1\nhealth: {exec: /app check}",
            &[
                "7:18 spec.health.exec | a list is needed here: no shell takes a text apart | [\"/app\", \"check\"]",
            ],
        ),
        (
            "image: a:1\nvolumes: [data:/data:ro]",
            &["7:13 spec.volumes[0] | a volume of the list is a map | {name: data, path: /data}"],
        ),
        (
            "image: a:1\nvolumes: [/srv:/data]",
            &["7:13 spec.volumes[0] | a volume has a name; no path of the host is mounted"],
        ),
        ("image: a:1\nvolumes: {a: b}", &["7:3 spec.volumes | `volumes` is a list"]),
        ("image: a:1\nvolumes: [{name: a}]", &["7:13 spec.volumes[0] | a volume needs a path"]),
        (
            "image: a:1\nvolumes: [{name: a, path: b}]",
            &["7:29 spec.volumes[0].path | `b` is not an absolute path in the container"],
        ),
        (
            "image: a:1\nvolumes: [{name: a, path: /b, mountPath: /c}]",
            &["7:33 spec.volumes[0].mountPath | the path in the container is written under `path`"],
        ),
        ("image: a:1\nhealth: {exec: []}", &["7:12 spec.health.exec | a command to run is needed"]),
        (
            "image: a:1\nport: 1\nhealth: {exec: [a], port: http}",
            &["8:29 spec.health.port | `exec` runs in the container and asks no port"],
        ),
        ("image: a:1\nport: 1\nhealth: {exec: [a], grpc: b}", &["8:3 spec.health | one check at most"]),
        (
            "image: a:1\nport: 1\nhealth: {command: [a]}",
            &["8:12 spec.health.command | write the command as a list under `exec`"],
        ),
        ("image: a:1\nport: 1\nhealth: {tcp: false}", &["8:17 spec.health.tcp | leave the key out"]),
        (
            "image: a:1\nport: 1\nhealth: {interval: 5}",
            &["8:22 spec.health.interval | a duration needs a unit: `5` | 5s"],
        ),
        ("image: a:1\nport: 1\nhealth: {interval: 0s}", &["8:22 spec.health.interval | must be more than 0"]),
    ]);
}

#[test]
fn rules_of_the_whole_spec_point_at_the_line() {
    refused(&[
        (
            "image: a:1\nrollout:\n  maxSurge: 0\n  maxUnavailable: 0",
            &["8:15 spec.rollout.maxSurge | maxSurge and maxUnavailable are both 0"],
        ),
        (
            "image: a:1\nrollout:\n  healthyFor: 6m",
            &["7:3 spec.rollout.deadline | a deadline of 5m leaves no time"],
        ),
        (
            "image: a:1\nresources: {cpu: 2}\nlimits: {cpu: 1}",
            &["8:17 spec.limits.cpu | a limit of 1 is below the 2 reserved"],
        ),
    ]);
}

#[test]
fn the_envelope() {
    let spec = "spec: {image: a:1}";
    let rows: &[(&str, &[&str])] = &[
        (
            "apiVersion: coxswain/v1\nkind: Service\nmetadata: {name: A_b}\nspec: {image: a:1, replicas: 999}",
            &[
                "3:18 metadata.name | invalid name `A_b`: use lower-case letters, digits and hyphens (not first or last) | a-b",
                "4:30 spec.replicas | 999 replicas are more than",
            ],
        ),
        (
            &format!("kind: Service\nmetadata: {{name: a}}\n{spec}"),
            &["1:1 apiVersion | a manifest begins with its version | apiVersion: coxswain/v1"],
        ),
        (
            &format!("apiVersion: coxswain/v1\nmetadata: {{name: a}}\n{spec}"),
            &["1:1 kind | a manifest says its kind | kind: Service"],
        ),
        (
            &format!("apiVersion: coxswain/v1\nkind: Service\n{spec}"),
            &["1:1 metadata | a service needs a name | metadata: {name: hello}"],
        ),
        (
            "apiVersion: coxswain/v1\nkind: Service\nmetadata: {nmae: a}\nspec:",
            &["3:12 metadata.nmae | there is no key `nmae` here | name", "4:1 spec | `spec` has no value"],
        ),
        ("apiVersion: coxswain/v1\nkind: List", &["1:1 items | a list has `items`"]),
        ("kind: List\nitems: [{kind: List}]", &["2:9 items[0] | a list within a list cannot be applied"]),
        ("kind: List\nitems: [a]", &["2:9  | a manifest is a map; this is a single value"]),
    ];
    for (text, want) in rows {
        let got: Vec<String> = run(text).err().unwrap_or_default().iter().map(row).collect();
        assert_eq!(got.len(), want.len(), "{text}\n{got:#?}");
        for (got, want) in got.iter().zip(*want) {
            assert!(got.starts_with(want), "{text}\n got: {got}\nwant: {want}");
        }
    }
}
