//! Manifests from outside: every YAML file of the repository, whole error outputs, hostile text, and properties.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use coxswain::manifest::{Document, Finding, LIMITS, ManifestSource, parse, schema};
use coxswain::model::{ServiceSpec, check_service};
use jsonschema::Validator;
use proptest::prelude::*;

/// Compiled once: the properties ask it for every case.
static SCHEMA: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft7::new(&schema()).unwrap());

const HEAD: &str = "apiVersion: coxswain/v1\nkind: Service\nmetadata: {name: web}\nspec:\n";

fn one(text: impl Into<Vec<u8>>) -> Result<Vec<Document>, Vec<Finding>> {
    parse(&[ManifestSource::new("app.yaml", text)])
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|f| format!("{f}\n")).collect()
}

fn yaml_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder").map(|e| e.expect("an entry")) {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type().expect("a type").is_dir() {
            // Hidden folders hold the files of other tools; what is bad on purpose is tested below.
            let skipped = name.starts_with('.') || name == "target" || path.ends_with("tests/manifests/bad");
            if !skipped {
                yaml_files(&path, out);
            }
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            out.push(path);
        }
    }
}

/// Problems that an editor with the schema shows.
pub(super) fn complaints(text: &str) -> Vec<String> {
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).unwrap();
    let errors = documents.iter().flat_map(|document| SCHEMA.iter_errors(document));
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn schema_is_valid_and_refuses_the_bad_manifests() {
    jsonschema::draft7::meta::validate(&schema()).unwrap();
    for name in ["compose", "habits", "kubernetes"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/manifests/bad/{name}.yaml"));
        assert!(!complaints(&fs::read_to_string(file).unwrap()).is_empty(), "{name}");
    }
}

#[test]
fn parse_accepts_every_yaml_file_of_the_repository() {
    let mut files = Vec::new();
    yaml_files(Path::new(env!("CARGO_MANIFEST_DIR")), &mut files);
    assert!(files.iter().any(|f| f.ends_with("manifests/hello.yaml")), "{files:?}");
    for file in files {
        let source = ManifestSource::new(file.display().to_string(), fs::read(&file).unwrap());
        match parse(&[source]) {
            Ok(documents) => {
                assert!(!documents.is_empty(), "{} has no document", file.display());
                let text = fs::read_to_string(&file).unwrap();
                assert_eq!(complaints(&text), Vec::<String>::new(), "{}", file.display());
            }
            Err(findings) => panic!("{}", lines(&findings)),
        }
    }
}

#[test]
fn parse_accepts_the_shop_folder_as_one_run() {
    let mut files = Vec::new();
    yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/shop"), &mut files);
    files.sort();
    let sources: Vec<ManifestSource> =
        files.iter().map(|f| ManifestSource::new(f.display().to_string(), fs::read(f).unwrap())).collect();
    let documents = parse(&sources).unwrap_or_else(|f| panic!("{}", lines(&f)));
    let claims: Vec<String> =
        documents.iter().flat_map(|d| d.spec.claims()).map(|claim| claim.claim).collect();
    assert_eq!(claims, ["shop.localhost/api/messages", "shop.localhost/api/users", "shop.localhost/"]);
    assert!(documents.iter().all(|d| d.app.as_str() == "shop"));
}

/// Every file under `tests/manifests/bad` has a snapshot of its findings.
#[test]
fn parse_reports_all_problems_of_a_bad_manifest_at_once() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests/bad"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
            .collect();
    files.sort();
    assert_eq!(files.len(), 5, "{files:?}; adapt the number when you add one");
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let source = ManifestSource::new(format!("{name}.yaml"), fs::read(&file).unwrap());
        let findings = parse(&[source]).expect_err(&name);
        insta::assert_snapshot!(name, lines(&findings));
    }
}

#[test]
fn parse_accepts_what_get_prints() {
    let object = r#"{"apiVersion": "coxswain/v1", "kind": "Service",
        "metadata": {"name": "web", "app": "shop", "uid": "u", "generation": 4, "createdAt": "2026-01-01T00:00:00Z"},
        "spec": {"image": "a:1", "replicas": 2, "health": {"none": true}},
        "status": {"observedGeneration": 4, "conditions": []}}"#;
    let alone = one(object).unwrap_or_else(|f| panic!("{}", lines(&f)));
    let list = format!(r#"{{"kind": "List", "items": [{object}, {}]}}"#, object.replace("web", "users"));
    let listed = one(list).unwrap_or_else(|f| panic!("{}", lines(&f)));
    assert_eq!(alone[0].spec, listed[0].spec);
    assert_eq!(listed.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["web", "users"]);
}

#[test]
fn conflicting_documents_are_both_named() {
    let service = |name: &str, route: &str| {
        format!(
            "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{image: a:1, port: 1, route: {route}}}\n"
        )
    };
    let sources = [
        ManifestSource::new("a.yaml", format!("{}---\n{}", service("users", "a.b/x"), service("web", "a.b"))),
        ManifestSource::new(
            "b.yaml",
            format!("{}---\n{}", service("users", "a.b/y"), service("other", "a.b/x")),
        ),
    ];
    assert_eq!(
        lines(&parse(&sources).unwrap_err()),
        "b.yaml:3:18: metadata.name: duplicate service users (first declared at a.yaml:3:18)\n\
         b.yaml:9:36: spec.route[0]: `users` and `other` both claim route `a.b/x` (`users` claims it at a.yaml:4:36)\n"
    );
}

#[test]
fn find_points_at_a_field_or_the_nearest_written_one_above() {
    let documents = one(format!("# head\n---\n{HEAD}  image: a:1\n  port: 80\n")).unwrap();
    let place = |path: &str| documents[0].find(path).to_string();
    assert_eq!(place("spec.image"), "app.yaml:7:10");
    assert_eq!(place("spec.ports[0].port"), "app.yaml:8:9");
    assert_eq!(place("spec.ports[0].name"), "app.yaml:8:9");
    assert_eq!(place("spec.rollout.maxSurge"), "app.yaml:6:1");
    assert_eq!(place("nowhere"), "app.yaml:3:1");
    assert_eq!(documents[0].origin(), "app.yaml:3");
}

/// Offsets count in the bytes of the source, so that a caller can cut out the snippet.
#[test]
fn spans_count_in_bytes_of_the_source() {
    for before in ["", "\u{feff}", "# é\n---\n# ü\n", "%YAML 1.2\n---\n"] {
        let text = format!("{before}{HEAD}  image: a:1\n  # ß\n  env: {{Ä: ö, drain: [ä]}}\n");
        let findings = one(text.clone()).unwrap_err();
        let span = findings[0].place.span;
        assert_eq!(&text[span.offset..span.offset + span.len], "drain", "{before:?}");
        assert_eq!(span.column, 15, "{before:?}");
        assert_eq!(text[..span.offset].lines().count(), span.line, "{before:?}");
    }
}

#[test]
fn parse_reports_problems_of_every_document() {
    let text = format!("{HEAD}  image: [\n---\n{HEAD}  imgae: a:1\n---\nx:\n\ty: 1\n");
    let findings = one(text).unwrap_err();
    let at: Vec<usize> = findings.iter().map(|f| f.place.span.line).collect();
    assert_eq!(at.len(), 3, "{}", lines(&findings));
    assert_eq!(at[1..], [11, 14], "{}", lines(&findings));
}

/// Each is refused, by a message that has this word, quickly and without a panic.
#[test]
fn parse_refuses_hostile_text_within_its_processor_time() {
    let bomb = {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for i in 1..30 {
            let aliases = vec![format!("*a{}", i - 1); 9].join(",");
            text += &format!("a{i}: &a{i} [{aliases}]\n");
        }
        text
    };
    let big = "y".repeat(LIMITS.document / 2);
    let chain: String =
        (1..3_000).map(|i| format!("- &a{i} {}*a{}{}\n", "[".repeat(20), i - 1, "]".repeat(20))).collect();
    let keys: String = (0..40_000).map(|i| format!("k{i}: 1\n")).collect();
    let anchors: String = (0..40_000).map(|i| format!("- &a{i} x\n")).collect();
    let repeated = "a: 1\n".repeat(LIMITS.nodes);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("billion laughs", bomb.into(), "aliases expanded"),
        ("long text repeated", format!("- &a {big}\n- *a\n- *a\n").into(), "aliases expanded"),
        ("alias within itself", "a: &a [*a]".into(), "inside its own anchor"),
        ("deep through aliases", format!("- &a0 x\n{chain}").into(), "nested more than"),
        ("deep flow", "[".repeat(100_000).into(), "nested more than"),
        ("deep flow maps", "{a: ".repeat(100_000).into(), "nested more than"),
        ("deep blocks", "- ".repeat(100_000).into(), "nested more than"),
        ("deep keys", "? ".repeat(100_000).into(), "nested more than"),
        ("many values", format!("[{}]", "1,".repeat(500_000)).into(), "values"),
        ("many documents", "---\na: 1\n".repeat(LIMITS.documents + 1).into(), "more than 1000 documents"),
        ("huge document", vec![b'x'; LIMITS.document + 1], "at most 1 MiB"),
        ("huge run", vec![b'#'; LIMITS.run + 1], "more than 16 MiB"),
        ("nul", b"a: \0".to_vec(), "NUL"),
        ("not utf-8", b"a: b\nc: \xff\xfe".to_vec(), "invalid UTF-8"),
        ("utf-16", b"\xff\xfea\0:\0".to_vec(), "UTF-16"),
        ("tab", b"a:\n\tb: c".to_vec(), "tab"),
        ("unknown alias", b"a: *b".to_vec(), "needs quotes"),
        ("unknown alias next to an anchor", b"a: &c d\nb: *b".to_vec(), "anchor"),
        ("unclosed quote", b"a: \"b".to_vec(), "invalid YAML"),
        ("binary tag", b"a: !!binary aGk=".to_vec(), "!!binary"),
        ("merge", b"a: {<<: {b: c}}".to_vec(), "merge"),
        ("a list", b"- a".to_vec(), "expected a manifest"),
        ("a word", b"hello".to_vec(), "expected a manifest"),
        ("many keys", format!("{HEAD}{keys}").into(), "only the first"),
        (
            "many unknown keys",
            format!("apiVersion: coxswain/v1\nkind: Service\n{keys}").into(),
            "only the first",
        ),
        ("one key many times", repeated.into(), "duplicate key"),
        ("many anchors", anchors.into(), "expected a manifest"),
        ("long key", format!("{HEAD}  ? {}\n  : 1\n", "imag".repeat(200_000)).into(), "unknown field"),
        ("many quotes", "\"\\u0041".repeat(100_000).into(), "invalid YAML"),
        ("colons", "a: ".repeat(300_000).into(), "invalid YAML"),
        ("many joiners", format!("a: é{}", "\u{200d}".repeat(300_000)).into(), "U+200D"),
        ("many spaces", format!("a: {}é", "x\u{a0}".repeat(200_000)).into(), "U+00A0"),
        ("dashes and hashes", "-#".repeat(400_000).into(), "expected a manifest"),
    ];
    for (name, text, word) in cases {
        let start = processor_time();
        let findings = one(text).expect_err(name);
        let took = processor_time() - start;
        assert!(findings.iter().any(|f| f.to_string().contains(word)), "{name}: {}", findings[0]);
        // Generous for a debug build on a slow processor; what is not linear in the text takes far longer.
        assert!(took < Duration::from_secs(10), "{name} took {took:?}");
    }
}

/// What this thread has used: a busy machine does not add to it.
fn processor_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has it").into()
}

#[test]
fn parse_recognises_files_of_other_tools_and_kinds() {
    let rows = [
        (
            "apiVersion: apps/v1\nkind: Deployment\nspec: {}",
            "this is a Kubernetes Deployment (apps/v1); write `kind: Service` with `image`, `replicas` and `port`",
        ),
        (
            "apiVersion: v1\nkind: Service",
            "this is a Kubernetes Service (v1); a Service of Coxswain is the workload",
        ),
        ("apiVersion: v1\nkind: List\nitems: []", "this is a Kubernetes List (v1)"),
        (
            "apiVersion: networking.k8s.io/v1\nkind: Ingress",
            "Ingress (networking.k8s.io/v1); write `route: host/path` in the Service",
        ),
        ("services: {web: {image: a}}", "this is a Compose file; write a manifest"),
        ("version: '3'\nservices:\n  web: {}", "this is a Compose file; write a manifest"),
        ("apiVersion: coxswain/v1\nkind: Route", "kind `Route` is not supported yet"),
        ("apiVersion: coxswain/v1\nkind: Secret", "kind `Secret` is not supported yet"),
        ("apiVersion: coxswain/v1\nkind: Config", "kind `Config` is not supported yet"),
        ("apiVersion: coxswain/v1\nkind: Node", "kind `Node` is not supported yet"),
        ("apiVersion: coxswain/v1\nkind: Replica", "a Replica is managed by Coxswain"),
        ("apiVersion: coxswain/v2\nkind: List", "unsupported version `coxswain/v2`"),
        ("apiVersion: coxswain/v1\nkind: Job", "there is no kind `Job`; a Service runs forever"),
        ("apiVersion: coxswain/v1\nkind: Deployment", "there is no kind `Deployment`; write `kind: Service`"),
        ("apiVersion: coxswain/v1\nkind: Ingress", "there is no kind `Ingress`; write `route: host/path`"),
        (
            "apiVersion: batch/v1\nkind: CronJob",
            "this is a Kubernetes CronJob (batch/v1); a Service runs forever",
        ),
        (
            "apiVersion: v1\nkind: Thing",
            "this is a Kubernetes Thing (v1); write a manifest of `kind: Service`",
        ),
        ("a: b", "this is not a manifest"),
        ("apiVersion: coxswain/v1\nkind: service", "unknown kind `service`; write `Service`"),
    ];
    for (text, want) in rows {
        let findings = one(text).expect_err(text);
        assert_eq!(findings.len(), 1, "{}", lines(&findings));
        assert!(findings[0].to_string().contains(want), "{}", findings[0]);
    }
}

#[test]
fn parse_of_sources_without_documents_is_empty() {
    assert_eq!(one(""), Ok(vec![]));
    assert_eq!(one("# nothing\n---\n# here\n"), Ok(vec![]));
    assert_eq!(parse(&[]), Ok(vec![]));
}

prop_compose! {
    fn millis()(n in 1u64..100_000_000) -> String { coxswain::model::Millis(n).to_string() }
}

/// Specs in the JSON of the long form, sound or nearly so.
fn specs() -> impl Strategy<Value = serde_json::Value> {
    let env = proptest::collection::btree_map(
        "[A-Z_]{1,8}",
        any::<String>().prop_map(|s| s.replace('\0', "")),
        0..4,
    );
    let words = proptest::option::of(proptest::collection::vec("\\PC{1,12}", 0..3));
    let percent = prop_oneof![
        (0u32..9).prop_map(|n| serde_json::json!(n)),
        (1u32..100).prop_map(|p| serde_json::json!(format!("{p}%")))
    ];
    let routes = proptest::collection::btree_set("(/[a-z]{1,5}){1,3}", 0..4);
    let sizes = (1u64..1 << 40, 6u64 << 20..1 << 40, 1u32..64_000);
    ((env, words, percent, routes), (millis(), millis(), any::<bool>(), sizes, "\\PC{1,20}")).prop_map(
        |((env, words, percent, routes), (interval, timeout, yes, (log, memory, cpu), label))| {
            let routes: Vec<_> = routes
                .iter()
                .map(|path| serde_json::json!({"host": if yes { Some("a.b") } else { None }, "path": path, "timeout": timeout, "stripPrefix": yes}))
                .map(|mut route| {
                    if route["host"].is_null() {
                        route.as_object_mut().expect("a map").remove("host");
                    }
                    route
                })
                .collect();
            let mut spec = serde_json::json!({
                "image": "a:1", "pull": if yes { "never" } else { "always" }, "ports": [{"name": "http", "port": 80}],
                "route": routes, "balance": if yes { "roundRobin" } else { "leastRequests" },
                "health": {"http": "/x", "interval": interval, "timeout": timeout},
                "env": env, "resources": {"cpu": coxswain::model::Cpu(cpu).to_string(), "memory": coxswain::model::MemorySize(memory).to_string()},
                "rollout": {"maxSurge": percent, "maxUnavailable": 1, "drain": interval},
                "logging": {"maxSize": coxswain::model::MemorySize(log).to_string(), "maxFiles": 3},
                "labels": {"note": label}, "security": {"readOnlyRoot": yes, "capDrop": ["ALL"]},
            });
            if let Some(words) = words {
                spec["command"] = serde_json::json!(words);
            }
            spec
        },
    )
}

proptest! {
    #[test]
    fn parse_never_panics_on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = one(bytes);
    }

    #[test]
    fn parse_never_panics_on_yaml_like_text(text in "([a-c]|: |- |\\n|  |\\[|\\]|\\{|\\}|,|&a |\\*a|\\? |!!str |\"|'|#|\\||>|---\\n|\\.\\.\\.\\n|<<|~|%|\t|\r){0,60}") {
        let _ = one(text);
    }

    /// A manifest with bytes changed, cut out or put in is accepted or refused, at a place within the text.
    #[test]
    fn parse_points_into_the_text_of_a_damaged_manifest(
        at in 0usize..2_000, cut in 0usize..30, put in proptest::collection::vec(any::<u8>(), 0..8)
    ) {
        let mut bytes = include_bytes!("../../manifests/reference.yaml").to_vec();
        let at = at.min(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put);
        if let Err(findings) = one(bytes.clone()) {
            prop_assert!(!findings.is_empty());
            for finding in findings {
                let span = finding.place.span;
                prop_assert!(span.offset + span.len <= bytes.len() && span.line >= 1 && span.column >= 1);
            }
        }
    }

    /// What is stored is what a manifest may say: the JSON of a spec parses to the same spec.
    #[test]
    fn parse_reads_the_json_of_a_spec_back(json in specs()) {
        let spec: ServiceSpec = serde_json::from_value(json).unwrap();
        prop_assume!(check_service(&spec).is_empty());
        for text in [serde_json::to_string(&spec).unwrap(), serde_json::to_string_pretty(&spec).unwrap()] {
            let document = format!(r#"{{"apiVersion": "coxswain/v1", "kind": "Service", "metadata": {{"name": "web"}}, "spec": {text}}}"#);
            prop_assert_eq!(complaints(&document), Vec::<String>::new());
            let documents = one(document).map_err(|f| TestCaseError::fail(lines(&f)))?;
            prop_assert_eq!(documents[0].spec.as_service(), Some(&spec));
        }
    }
}
