//! A manifests directory that is really followed: files come, change, break and go.

use std::path::Path;
use std::time::Duration;

use coxswain::controller::ControllerError;
use coxswain::model::{Condition, Reason, ServiceName};
use coxswain::source::{SourceParts, follow};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::controller::{Rig, document};

/// Longest wait for what the follower does: several rescans.
const BOUND: Duration = Duration::from_secs(60);

struct Followed {
    rig: Rig,
    dir: tempfile::TempDir,
    _task: AbortOnDropHandle<()>,
}

impl Followed {
    /// Follows a directory that holds these files from the beginning.
    fn start(files: &[(&str, String)]) -> Self {
        Self::start_with(files, true)
    }

    fn start_with(files: &[(&str, String)], file_events: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(dir.path().join(name), text).unwrap());
        let path = dir.path().to_owned();
        let rig = Rig::following(Some(path.display().to_string()));
        let parts = SourceParts {
            writes: rig.controller.writes().clone(),
            status: rig.controller.directory().clone(),
            clock: rig.clock.clone(),
            file_events,
        };
        let task = follow(parts, path, CancellationToken::new());
        Self { rig, dir, _task: AbortOnDropHandle::new(tokio::spawn(task)) }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).unwrap();
    }

    /// Services that are not being deleted.
    async fn there(&self) -> Vec<String> {
        let names =
            self.rig.controller.queries().services(&[]).await.unwrap().into_iter().map(|s| s.metadata.name);
        let mut there = Vec::new();
        for name in names {
            if self.rig.service(name.as_str()).await.deleted_at.is_none() {
                there.push(name.to_string());
            }
        }
        there
    }

    async fn until_there(&self, names: &[&str]) {
        let waiting = async {
            while self.there().await != names {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(BOUND, waiting).await;
        assert!(
            waited.is_ok(),
            "{:?}, not {names:?}; {:?}",
            self.there().await,
            self.rig.controller.queries().conditions()
        );
    }

    /// Waits for a condition whose message has this text.
    async fn until_said(&self, reason: Reason, text: &str) -> Condition {
        let said = || {
            let all = self.rig.controller.queries().conditions();
            all.into_iter().find(|c| c.reason == reason && c.message.contains(text))
        };
        let waiting = async {
            loop {
                if let Some(condition) = said() {
                    return condition;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(BOUND, waiting).await;
        waited.unwrap_or_else(|_| {
            panic!("no {reason} {text}: {:?}", self.rig.controller.queries().conditions())
        })
    }
}

fn text(name: &str, image: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: {name}, app: shop}}\nspec: {{image: {image}, replicas: 2}}\n"
    )
}

#[tokio::test]
async fn files_are_applied_and_take_their_services_with_them() {
    let followed = Followed::start(&[("users.yaml", text("users", "users:1"))]);
    followed.rig.apply("r1", &[document("other", "web:1")]).await.unwrap();
    followed.until_there(&["other", "users"]).await;
    followed.write("web.yaml", &text("web", "web:1"));
    followed.until_there(&["other", "users", "web"]).await;
    let users = followed.rig.service("users").await;
    assert_eq!(users.source.as_deref(), followed.path().to_str());

    // What a command changed stays where its document does not change the same field.
    let controller = &followed.rig.controller;
    controller.writes().scale("r2", &[(ServiceName::new("users"), 5)].into(), "scale users=5").await.unwrap();
    followed.write("web.yaml", &text("web", "users:1"));
    let changed = async {
        while followed.rig.service("web").await.spec.image != "users:1" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(BOUND, changed).await.expect("the change is applied");
    assert_eq!(followed.rig.service("users").await.spec.replicas, Some(5));

    followed.remove("web.yaml");
    followed.until_there(&["other", "users"]).await;
}

#[tokio::test]
async fn one_broken_document_holds_back_the_whole_directory() {
    let followed = Followed::start(&[("users.yaml", text("users", "users:1"))]);
    followed.until_there(&["users"]).await;
    let before = followed.rig.keys().await;
    followed.write("a.yaml", &text("web", "web:1"));
    followed
        .write("b.yaml", "apiVersion: coxswain/v1\nkind: Service\nmetadata: {name: b}\nspec: {imag: x}\n");
    let said = followed.until_said(Reason::ManifestsRefused, "b.yaml:4").await;
    assert!(said.message.contains("nothing of the directory is applied"), "{}", said.message);
    assert_eq!(followed.rig.keys().await, before);

    followed.remove("b.yaml");
    followed.until_there(&["users", "web"]).await;
    followed.write("c.yaml", &text("c", "nowhere:1"));
    followed.until_said(Reason::ManifestsRefused, "nowhere:1").await;
}

#[tokio::test]
async fn a_service_is_written_only_where_it_is_declared() {
    let followed = Followed::start(&[("users.yaml", text("users", "users:1"))]);
    followed.until_there(&["users"]).await;
    let rig = &followed.rig;
    let refused = rig.apply("r1", &[document("users", "users:2")]).await.unwrap_err();
    assert!(matches!(refused, ControllerError::OtherSource { there: Some(_), .. }), "{refused:?}");
    let refused =
        rig.controller.writes().delete("r2", &["users".into()], false, "delete users").await.unwrap_err();
    let ControllerError::OtherSource { there: Some(there), .. } = refused else { panic!("{refused:?}") };
    assert_eq!(Some(there.as_str()), followed.path().to_str());

    rig.apply("r3", &[document("mine", "web:1")]).await.unwrap();
    followed.write("mine.yaml", &text("mine", "web:1"));
    followed.until_said(Reason::ManifestsRefused, "service mine is declared by `ctl apply`").await;
    assert_eq!(rig.service("mine").await.source, None);
}

#[tokio::test]
async fn an_empty_or_unreadable_directory_removes_nothing_until_it_is_confirmed() {
    let followed = Followed::start(&[("users.yaml", text("users", "users:1"))]);
    followed.until_there(&["users"]).await;
    let moved = followed.path().with_extension("moved");
    std::fs::rename(followed.path(), &moved).unwrap();
    followed.until_said(Reason::DeletionHeld, "No such file").await;
    assert_eq!(followed.rig.controller.confirm().await, Ok(Vec::new()), "there is nothing to confirm");
    std::fs::write(followed.path(), "a file").unwrap();
    followed.until_said(Reason::DeletionHeld, "Not a directory").await;
    std::fs::remove_file(followed.path()).unwrap();
    std::fs::rename(&moved, followed.path()).unwrap();

    followed.remove("users.yaml");
    followed.until_said(Reason::DeletionHeld, "no longer declares service users").await;
    assert_eq!(followed.there().await, ["users"]);
    let released = tokio::time::timeout(BOUND, followed.rig.controller.confirm()).await.unwrap();
    assert_eq!(released, Ok(vec!["service users".to_owned()]));
    followed.until_there(&[]).await;
    assert!(!followed.rig.controller.queries().conditions().iter().any(|c| c.reason == Reason::DeletionHeld));
}

#[tokio::test]
async fn what_is_held_or_confirmed_outlives_a_file_that_is_wrong() {
    let followed = Followed::start(&[("users.yaml", text("users", "users:1"))]);
    followed.until_there(&["users"]).await;
    followed.remove("users.yaml");
    followed.until_said(Reason::DeletionHeld, "no longer declares service users").await;
    followed.write("bad.yaml", "kind: Nothing\n");
    followed.until_said(Reason::ManifestsRefused, "bad.yaml:1").await;
    followed.until_said(Reason::DeletionHeld, "no longer declares service users").await;
    let controller = &followed.rig.controller;
    let released = tokio::time::timeout(BOUND, controller.confirm()).await.unwrap();
    assert_eq!(released, Ok(vec!["service users".to_owned()]));
    followed.write("bad.yaml", "kind: Neither\n");
    followed.until_said(Reason::ManifestsRefused, "Neither").await;
    assert_eq!(followed.there().await, ["users"], "one file that is wrong holds back everything");
    followed.remove("bad.yaml");
    followed.until_there(&[]).await;
}

#[tokio::test]
async fn files_that_go_one_by_one_are_held_as_those_that_go_at_once() {
    let names = ["a", "b", "c", "d", "e"];
    let files = names.map(|name| (format!("{name}.yaml"), text(name, "web:1")));
    let followed = Followed::start(&files.each_ref().map(|(name, text)| (name.as_str(), text.clone())));
    followed.until_there(&names).await;
    for gone in 1..=3 {
        followed.remove(&files[gone - 1].0);
        followed.until_there(&names[gone..]).await;
    }
    followed.remove("d.yaml");
    followed.until_said(Reason::DeletionHeld, "no longer declares service d").await;
    assert_eq!(followed.there().await, ["d", "e"]);
    followed.write("d.yaml", &files[3].1);
    let declared_again = async {
        while !followed.rig.controller.queries().conditions().iter().all(|c| c.reason != Reason::DeletionHeld)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(BOUND, declared_again).await.expect("nothing is held");
}

#[tokio::test]
async fn a_service_makes_room_for_another_only_if_that_can_be_applied() {
    let routed = |name: &str, image: &str| {
        let spec = format!("{{image: {image}, port: 8080, route: shop.localhost/x}}");
        format!("apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {spec}\n")
    };
    let followed =
        Followed::start(&[("shop.yaml", routed("old", "web:1")), ("users.yaml", text("users", "users:1"))]);
    followed.until_there(&["old", "users"]).await;
    followed.write("shop.yaml", &routed("new", "nowhere:1"));
    followed.until_said(Reason::ManifestsRefused, "nowhere:1").await;
    assert_eq!(followed.there().await, ["old", "users"], "it serves until its successor can be had");
    followed.write("shop.yaml", &routed("new", "web:1"));
    followed.until_there(&["new", "users"]).await;
}

/// Saved by moving the old file away, or written by something slow behind a `>`.
#[tokio::test]
async fn a_document_that_is_missing_for_a_moment_keeps_its_service() {
    let files = [("users.yaml", text("users", "users:1")), ("web.yaml", text("web", "web:1"))];
    let followed = Followed::start(&files);
    followed.until_there(&["users", "web"]).await;
    // On a busy machine the moment may get too long. Then the service may go, and the attempt shows nothing.
    for image in ["web:1", "users:1"].repeat(10) {
        let before = followed.rig.service("users").await;
        let missing_since = tokio::time::Instant::now();
        followed.remove("users.yaml");
        // Longer than the directory takes to be at rest, shorter than the 2 s that a document has to be missing.
        tokio::time::sleep(Duration::from_millis(700)).await;
        followed.write("users.yaml", &text("users", image));
        let missing_for = missing_since.elapsed();
        followed.until_there(&["users", "web"]).await;
        let changed = async {
            while followed.rig.service("users").await.spec.image != image {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(BOUND, changed).await.expect("the change is applied");
        if missing_for < Duration::from_millis(1500) {
            let after = followed.rig.service("users").await;
            assert_eq!(after.metadata.uid, before.metadata.uid);
            return;
        }
    }
    panic!("the file was missing for more than 1.5 s, each time");
}

#[tokio::test]
async fn a_directorys_service_is_its_alone_before_it_is_looked_at() {
    let rig = Rig::following(Some("manifests.d".to_owned()));
    rig.controller.writes().declare("manifests.d", &[document("users", "users:1")], &[]).await.unwrap();
    let refused = rig.apply("r1", &[document("users", "users:2")]).await.unwrap_err();
    assert!(matches!(refused, ControllerError::OtherSource { there: Some(_), .. }), "{refused:?}");
}
