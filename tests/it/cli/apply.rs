//! `ctl apply` and `ctl validate`.

use coxswain::api::codes;
use coxswain::api::types::{
    ApplyResponse, DocumentProblem, ErrorDetail, FieldChange, List, ObjectAuthor, OperationOutcome,
    OverriddenField, WriteAction,
};
use coxswain::model::{Problem, ReplicaPhase};

use super::objects::{minutes_ago, result, revision, snapshot, unhealthy};
use super::stub::{Reply, Stub};
use super::transcript::{command, finish, run, shown, transcript};

const GOOD: &str = "\
apiVersion: coxswain/v1
kind: Service
metadata:
  name: users
  app: shop
spec:
  image: users:v2
  replicas: 2
  port: 8080
  route: shop.acme.dev/users
";

const BAD: &str = "\
apiVersion: coxswain/v1
kind: Service
metadata:
  name: users
spec:
  image: users:v2
  rolout: {maxSurge: 1}
  resources: {memory: 256m}
";

fn good() -> Stub {
    Stub::start().file("app.yaml", GOOD)
}

fn applied(action: WriteAction) -> Reply {
    let mut result = result("users", action);
    if action == WriteAction::Changed {
        let change = |path: &str, old: &str, new: &str| FieldChange {
            path: path.to_owned(),
            old: Some(old.to_owned()),
            new: Some(new.to_owned()),
        };
        result.changes = vec![change("spec.image", "users:v1", "users:v2")];
        result.changes.push(FieldChange { old: None, ..change("spec.env.LOG_LEVEL", "", "debug") });
        result.notes = vec!["replicas: 3 → 2, set by an earlier `ctl scale users=3`".to_owned()];
    }
    Reply::json(&ApplyResponse { results: vec![result], dry_run: false })
}

fn rolling() -> Reply {
    let starting = || ReplicaPhase::Starting { cause: None };
    let old = "users-9-a";
    Reply::lines(&[
        snapshot(
            0,
            &[("users-10-a", ReplicaPhase::Waiting { cause: None }), (old, ReplicaPhase::Ready)],
            None,
        ),
        snapshot(0, &[("users-10-a", starting()), (old, ReplicaPhase::Ready)], None),
        snapshot(
            0,
            &[
                ("users-10-a", ReplicaPhase::Starting { cause: Some(unhealthy()) }),
                (old, ReplicaPhase::Ready),
            ],
            None,
        ),
        snapshot(
            1,
            &[("users-10-a", ReplicaPhase::Ready), ("users-10-b", starting()), (old, ReplicaPhase::Draining)],
            None,
        ),
        snapshot(
            2,
            &[
                ("users-10-a", ReplicaPhase::Ready),
                ("users-10-b", ReplicaPhase::Ready),
                (old, ReplicaPhase::Gone),
            ],
            None,
        ),
        snapshot(
            2,
            &[("users-10-a", ReplicaPhase::Ready), ("users-10-b", ReplicaPhase::Ready)],
            Some(OperationOutcome::Done),
        ),
    ])
}

fn revisions() -> Reply {
    Reply::json(&List::of(vec![revision(9, "v1", None), revision(10, "v2", None)]))
}

#[test]
fn apply_prints_result_and_waits_for_rollout() {
    let stub = good()
        .on("POST /v1/apply", [applied(WriteAction::Changed)])
        .on("GET /v1/services/users/progress?generation=10", [rolling()])
        .on("GET /v1/revisions?service=users", [revisions()]);
    insta::assert_snapshot!("apply", transcript(&stub, &["apply -f app.yaml"]));
    let sent = &stub.bodies("POST /v1/apply")[0];
    assert_eq!(sent["command"], "apply -f app.yaml");
    assert_eq!(sent["dryRun"], false);
    assert_eq!(sent["documents"][0]["origin"], "app.yaml:1");
    assert_eq!(sent["documents"][0]["spec"]["image"], "users:v2");
}

#[test]
fn apply_without_utf8_prints_ascii() {
    let stub = good()
        .on("POST /v1/apply", [applied(WriteAction::Created)])
        .on("GET /v1/services/users/progress?generation=10", [rolling()])
        .on("GET /v1/revisions?service=users", [revisions()]);
    let ran = finish(&stub, command(&stub, "apply -f app.yaml").env("LANG", "C"));
    insta::assert_snapshot!("apply_ascii", shown("apply -f app.yaml", &ran));
}

#[test]
fn apply_with_dry_run_or_detach_does_not_wait() {
    let mut preview = result("users", WriteAction::Created);
    preview.notes = vec!["replicas: 2".to_owned()];
    let dry = Reply::json(&ApplyResponse { results: vec![preview], dry_run: true });
    let stub = good().on("POST /v1/apply", [dry, applied(WriteAction::Unchanged)]);
    insta::assert_snapshot!(
        "apply_no_wait",
        transcript(&stub, &["apply -f app.yaml --dry-run", "apply -f app.yaml --detach"])
    );
    assert_eq!(stub.bodies("POST /v1/apply")[0]["dryRun"], true);
    assert_eq!(stub.calls(), ["POST /v1/apply"; 2]);
}

#[test]
fn invalid_manifest_is_shown_with_file_and_line() {
    let problem = DocumentProblem {
        document: 0,
        problem: Problem::new("spec.route", "shop.acme.dev/users already leads to service `accounts`"),
    };
    let taken = ErrorDetail {
        problems: vec![problem],
        ..codes::ROUTE_TAKEN.detail("a route of users belongs to accounts; nothing was changed")
    };
    let image = ErrorDetail {
        why: vec!["Docker knows no image users:v2, and no registry has it".to_owned()],
        now: Some("nothing was changed".to_owned()),
        ..codes::IMAGE_UNRESOLVED.detail("users:v2 cannot be resolved")
    };
    let stopped = ErrorDetail {
        why: vec!["/var/run/docker.sock: connection refused".to_owned()],
        now: Some("nothing was changed".to_owned()),
        next: vec!["systemctl start docker".to_owned()],
        ..codes::DOCKER_STOPPED.detail("Docker is not running on elk")
    };
    let other = codes::OTHER_OWNER.detail("users belongs to app crm, and app.yaml:1 says shop");
    let replies = [taken, image, stopped, other].map(|error| Reply::error(&error));
    let stub = good().on("POST /v1/apply", replies);
    insta::assert_snapshot!("apply_refused", transcript(&stub, &["apply -f app.yaml"; 4]));
}

#[test]
fn apply_shows_problems_of_all_files_and_sends_nothing() {
    let stub = good().file("bad.yaml", BAD).file("worse.yaml", "kind: [");
    insta::assert_snapshot!(
        "apply_invalid",
        transcript(&stub, &["apply -f bad.yaml -f app.yaml -f worse.yaml", "validate -f bad.yaml"])
    );
    assert_eq!(stub.calls(), [""; 0]);
}

#[test]
fn apply_names_unreadable_files() {
    let stub = good().file("empty/notes.txt", "").file("comments.yaml", "# nothing\n").file("latin.yaml", "");
    std::fs::write(stub.directory().join("latin.yaml"), b"image: \xfcsers").unwrap();
    insta::assert_snapshot!(
        "apply_unreadable",
        transcript(
            &stub,
            &[
                "apply -f missing.yaml -f empty -f app.yaml",
                "apply -f comments.yaml",
                "validate -f latin.yaml",
                "apply",
            ]
        )
    );
}

#[test]
fn validate_reads_directories_and_stdin() {
    let named = |name: &str| {
        GOOD.replace("name: users", &format!("name: {name}")).replace("/users", &format!("/{name}"))
    };
    let stub = Stub::start()
        .file("shop/b.yaml", &named("b"))
        .file("shop/a.yml", &named("a"))
        .file("shop/.hidden.yaml", "nonsense")
        .file("shop/README.md", "nonsense")
        .file("shop/deep/c.yaml", &named("c"));
    insta::assert_snapshot!("validate", transcript(&stub, &["validate -f shop", "validate -R -f shop"]));
    let ran = finish(&stub, command(&stub, "validate -f -").write_stdin(GOOD));
    assert_eq!((ran.exit, ran.stdout.lines().next()), (0, Some("✓ users  <stdin>:1")));
}

#[test]
fn apply_accepts_output_of_get() {
    let service = super::objects::service("users");
    let spec = serde_json::to_value(&service.spec).unwrap();
    let stub = Stub::start()
        .on("GET /v1/services", [Reply::json(&List::of(vec![service]))])
        .on("POST /v1/apply", [applied(WriteAction::Unchanged)]);
    for printed in ["get users -o yaml", "get users -o json", "get -o yaml", "get -o json"] {
        let printed = run(&stub, printed).stdout;
        let ran = finish(&stub, command(&stub, "apply --detach -f -").write_stdin(printed.clone()));
        assert_eq!(ran.exit, 0, "{printed}\n{}", ran.stderr);
        assert_eq!(stub.bodies("POST /v1/apply").pop().unwrap()["documents"][0]["spec"], spec);
    }
}

fn over(field: &str, file: &str, live: &str) -> OverriddenField {
    let text = |text: &str| Some(text.to_owned());
    OverriddenField {
        field: field.to_owned(),
        file: text(file),
        applied: text("2"),
        live: text(live),
        by: ObjectAuthor { command: "scale users=5".to_owned(), user: "ann".to_owned() },
        at: minutes_ago(3),
    }
}

#[test]
fn apply_keeps_overrides_and_reports_them() {
    let mut kept = result("users", WriteAction::Unchanged);
    kept.kept = vec![over("spec.replicas", "2", "5")];
    let kept = Reply::json(&ApplyResponse { results: vec![kept], dry_run: false });
    let conflict = ErrorDetail {
        why: vec!["users: spec.replicas is 5, set by ann with `scale users=5`".to_owned()],
        now: Some("nothing was changed".to_owned()),
        next: vec!["ctl apply -f app.yaml --keep spec.replicas".to_owned()],
        ..codes::OVERRIDDEN.detail("spec.replicas of users was changed by a command and in the manifest")
    };
    let stub = good().on("POST /v1/apply", [kept, Reply::error(&conflict), applied(WriteAction::Unchanged)]);
    insta::assert_snapshot!(
        "apply_overrides",
        transcript(&stub, &["apply -f app.yaml --detach", "apply -f app.yaml --detach"])
    );
    run(&stub, "apply -f app.yaml --detach --keep spec.replicas --overwrite image --keep env.A");
    let sent = stub.bodies("POST /v1/apply").pop().unwrap();
    assert_eq!(sent["keep"], serde_json::json!(["spec.replicas", "env.A"]));
    assert_eq!(sent["overwrite"], serde_json::json!(["image"]));
}

#[test]
fn diff_shows_changes_that_apply_would_make() {
    let mut changed = result("users", WriteAction::Changed);
    changed.changes = vec![
        FieldChange {
            path: "spec.image".to_owned(),
            old: Some("users:v1 @ aa".to_owned()),
            new: Some("users:v2 @ bb".to_owned()),
        },
        FieldChange { path: "spec.env.A".to_owned(), old: None, new: Some("\"1\"".to_owned()) },
    ];
    changed.kept = vec![over("spec.env.B", "\"2\"", "\"5\"")];
    changed.conflicts = vec![over("spec.replicas", "4", "5")];
    let changed = Reply::json(&ApplyResponse { results: vec![changed], dry_run: true });
    let same =
        Reply::json(&ApplyResponse { results: vec![result("users", WriteAction::Unchanged)], dry_run: true });
    let stub = good().on("POST /v1/apply", [changed.clone(), changed, same]);
    insta::assert_snapshot!(
        "diff_files",
        transcript(
            &stub,
            &[
                "diff -f app.yaml",
                "diff -f app.yaml --exit-code",
                "diff -f app.yaml --exit-code",
                "diff -f missing.yaml",
                "diff -f app.yaml users",
                "diff",
            ]
        )
    );
    assert!(stub.bodies("POST /v1/apply").iter().all(|sent| sent["diff"] == true));
}
