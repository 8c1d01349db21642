//! The follower of a manifests directory on virtual time: files are added, changed, broken and removed. Only its rescans find
//! changes here, because events of the file system come from outside of virtual time; a unit test in `src/source` covers them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coxswain::clock::RealClock;
use coxswain::controller::{Confirmed, ControllerError};
use coxswain::model::{Condition, Reason, ScaleTarget, ServiceName};
use coxswain::source::{SourceParts, follow};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::controller::{Rig, document};

/// Seconds of virtual time within which the follower acts: several rescans.
const SECONDS: usize = 60;

struct Followed {
    rig: Rig,
    dir: tempfile::TempDir,
    _task: AbortOnDropHandle<()>,
}

impl Followed {
    /// Follows a directory that holds these files from the beginning.
    fn start(files: &[(&str, String)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(dir.path().join(name), text).unwrap());
        let path = dir.path().to_owned();
        let rig = Rig::following(Some(path.display().to_string()));
        let parts = SourceParts {
            writes: rig.controller.writes().clone(),
            status: rig.controller.directory().clone(),
            // It follows tokio's paused time, as the sleeps of the follower do.
            clock: Arc::new(RealClock::new()),
            file_events: false,
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
    async fn services(&self) -> Vec<String> {
        let all = self.rig.controller.queries().services(&[]).await.unwrap();
        let mut services = Vec::new();
        for name in all.into_iter().map(|service| service.service.metadata.name) {
            if self.rig.service(name.as_str()).await.deleted_at.is_none() {
                services.push(name.to_string());
            }
        }
        services
    }

    fn condition(&self, reason: Reason, text: &str) -> Option<Condition> {
        let all = self.rig.controller.queries().conditions();
        all.into_iter().find(|condition| condition.reason == reason && condition.message.contains(text))
    }

    async fn until_services_are(&self, names: &[&str]) {
        self.until(&format!("services {names:?}"), async || (self.services().await == names).then_some(()))
            .await;
    }

    async fn until_image_is(&self, service: &str, image: &str) {
        self.until(&format!("{service} with {image}"), async || {
            (self.rig.service(service).await.spec.image == image).then_some(())
        })
        .await;
    }

    /// Waits for a condition whose message has this text.
    async fn until_condition(&self, reason: Reason, text: &str) -> Condition {
        self.until(&format!("{reason}: {text}"), async || self.condition(reason, text)).await
    }

    async fn until<T>(&self, expected: &str, seen: impl AsyncFn() -> Option<T>) -> T {
        for _ in 0..SECONDS {
            if let Some(value) = seen().await {
                return value;
            }
            sleep(Duration::from_secs(1)).await;
        }
        let conditions = self.rig.controller.queries().conditions();
        panic!("no {expected} after {SECONDS} s: {:?}, {conditions:?}", self.services().await);
    }
}

fn text(name: &str, image: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: {name}, app: shop}}\nspec: {{image: {image}, replicas: 2}}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn follower_applies_added_and_changed_files_and_deletes_services_of_removed_ones() {
    let followed = Followed::start(&[("users.yaml", text("users", "users:1"))]);
    followed.rig.apply("r1", &[document("other", "web:1")]).await.unwrap();
    followed.until_services_are(&["other", "users"]).await;
    followed.write("web.yaml", &text("web", "web:1"));
    followed.until_services_are(&["other", "users", "web"]).await;
    let users = followed.rig.service("users").await;
    assert_eq!(users.source.as_deref(), followed.path().to_str());

    // What a command changed stays where its document does not change the same field.
    let controller = &followed.rig.controller;
    controller
        .writes()
        .scale("r2", &[(ServiceName::new("users"), ScaleTarget::Count(5))].into(), "scale users=5")
        .await
        .unwrap();
    followed.write("web.yaml", &text("web", "users:1"));
    followed.until_image_is("web", "users:1").await;
    assert_eq!(followed.rig.service("users").await.spec.replicas, Some(5));

    followed.remove("web.yaml");
    followed.until_services_are(&["other", "users"]).await;
}

#[tokio::test(start_paused = true)]
async fn follower_applies_nothing_while_one_document_is_wrong() {
    let followed = Followed::start(&[("users.yaml", text("users", "users:1"))]);
    followed.until_services_are(&["users"]).await;
    let before = followed.rig.keys().await;
    followed.write("a.yaml", &text("web", "web:1"));
    followed
        .write("b.yaml", "apiVersion: coxswain/v1\nkind: Service\nmetadata: {name: b}\nspec: {imag: x}\n");
    let said = followed.until_condition(Reason::ManifestsRefused, "b.yaml:4").await;
    assert!(said.message.contains("nothing of the directory is applied"), "{}", said.message);
    assert_eq!(followed.rig.keys().await, before);

    followed.remove("b.yaml");
    followed.until_services_are(&["users", "web"]).await;
    followed.write("c.yaml", &text("c", "nowhere:1"));
    followed.until_condition(Reason::ManifestsRefused, "nowhere:1").await;
}

#[tokio::test(start_paused = true)]
async fn writes_refuse_a_service_that_another_source_declares() {
    let followed = Followed::start(&[("users.yaml", text("users", "users:1"))]);
    followed.until_services_are(&["users"]).await;
    let rig = &followed.rig;
    let refused = rig.apply("r1", &[document("users", "users:2")]).await.unwrap_err();
    assert!(matches!(refused, ControllerError::OtherSource { there: Some(_), .. }), "{refused:?}");
    let users = (&ServiceName::new("users")).into();
    let refused = rig.controller.writes().delete("r2", &[users], false, "delete users").await.unwrap_err();
    let ControllerError::OtherSource { there: Some(there), .. } = refused else { panic!("{refused:?}") };
    assert_eq!(Some(there.as_str()), followed.path().to_str());

    rig.apply("r3", &[document("mine", "web:1")]).await.unwrap();
    followed.write("mine.yaml", &text("mine", "web:1"));
    followed.until_condition(Reason::ManifestsRefused, "service mine is declared by `ctl apply`").await;
    assert_eq!(rig.service("mine").await.source, None);
}

#[tokio::test(start_paused = true)]
async fn follower_holds_removals_of_an_empty_or_unreadable_directory_until_confirmed() {
    let followed = Followed::start(&[("users.yaml", text("users", "users:1"))]);
    followed.until_services_are(&["users"]).await;
    let moved = followed.path().with_extension("moved");
    std::fs::rename(followed.path(), &moved).unwrap();
    followed.until_condition(Reason::DeletionHeld, "No such file").await;
    assert_eq!(
        followed.rig.controller.confirm(BTreeSet::new()).await,
        Ok(Confirmed::default()),
        "there is nothing to confirm"
    );
    std::fs::write(followed.path(), "a file").unwrap();
    followed.until_condition(Reason::DeletionHeld, "Not a directory").await;
    std::fs::remove_file(followed.path()).unwrap();
    std::fs::rename(&moved, followed.path()).unwrap();

    followed.remove("users.yaml");
    followed.until_condition(Reason::DeletionHeld, "no longer declares service users").await;
    assert_eq!(followed.services().await, ["users"]);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(followed.services().await, ["users"], "time does not confirm");
    assert_eq!(followed.rig.controller.confirm(BTreeSet::new()).await.unwrap().removed, ["service users"]);
    followed.until_services_are(&[]).await;
    assert_eq!(followed.condition(Reason::DeletionHeld, ""), None);
}

#[tokio::test(start_paused = true)]
async fn held_and_confirmed_removals_outlive_a_wrong_file() {
    let followed = Followed::start(&[("users.yaml", text("users", "users:1"))]);
    followed.until_services_are(&["users"]).await;
    followed.remove("users.yaml");
    followed.until_condition(Reason::DeletionHeld, "no longer declares service users").await;
    followed.write("bad.yaml", "kind: Nothing\n");
    followed.until_condition(Reason::ManifestsRefused, "bad.yaml:1").await;
    followed.until_condition(Reason::DeletionHeld, "no longer declares service users").await;
    let controller = &followed.rig.controller;
    assert_eq!(controller.confirm(BTreeSet::new()).await.unwrap().removed, ["service users"]);
    followed.write("bad.yaml", "kind: Neither\n");
    followed.until_condition(Reason::ManifestsRefused, "Neither").await;
    assert_eq!(followed.services().await, ["users"], "one file that is wrong holds back everything");
    followed.remove("bad.yaml");
    followed.until_services_are(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn follower_holds_removals_one_by_one_like_removals_at_once() {
    let names = ["a", "b", "c", "d", "e"];
    let files = names.map(|name| (format!("{name}.yaml"), text(name, "web:1")));
    let followed = Followed::start(&files.each_ref().map(|(name, text)| (name.as_str(), text.clone())));
    followed.until_services_are(&names).await;
    for gone in 1..=3 {
        followed.remove(&files[gone - 1].0);
        followed.until_services_are(&names[gone..]).await;
    }
    followed.remove("d.yaml");
    followed.until_condition(Reason::DeletionHeld, "no longer declares service d").await;
    assert_eq!(followed.services().await, ["d", "e"]);
    followed.write("d.yaml", &files[3].1);
    followed
        .until("end of the hold", async || {
            followed.condition(Reason::DeletionHeld, "").is_none().then_some(())
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn follower_keeps_a_service_until_the_one_that_takes_its_route_can_be_applied() {
    let routed = |name: &str, image: &str| {
        let spec = format!("{{image: {image}, port: 8080, route: shop.localhost/x}}");
        format!("apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {spec}\n")
    };
    let followed =
        Followed::start(&[("shop.yaml", routed("old", "web:1")), ("users.yaml", text("users", "users:1"))]);
    followed.until_services_are(&["old", "users"]).await;
    followed.write("shop.yaml", &routed("new", "nowhere:1"));
    followed.until_condition(Reason::ManifestsRefused, "nowhere:1").await;
    assert_eq!(followed.services().await, ["old", "users"], "it serves until its successor can be had");
    followed.write("shop.yaml", &routed("new", "web:1"));
    followed.until_services_are(&["new", "users"]).await;
}

/// Saved by moving the old file away, or written by something slow behind a `>`: at whatever moment of the follower's round.
#[tokio::test(start_paused = true)]
async fn follower_keeps_a_service_whose_file_is_missing_for_less_than_two_seconds() {
    let files = [("users.yaml", text("users", "users:1")), ("web.yaml", text("web", "web:1"))];
    let followed = Followed::start(&files);
    followed.until_services_are(&["users", "web"]).await;
    let before = followed.rig.service("users").await.metadata.uid;
    let images = ["web:1", "users:1"].repeat(70);
    for (step, image) in (0..).zip(&images) {
        // More steps than a round of the follower has tenths of a second.
        sleep(Duration::from_millis(100 * step)).await;
        followed.remove("users.yaml");
        sleep(Duration::from_millis(1900)).await;
        followed.write("users.yaml", &text("users", image));
        followed.until_image_is("users", image).await;
        assert_eq!(followed.rig.service("users").await.metadata.uid, before, "step {step}");
    }
    followed.remove("users.yaml");
    followed.until_services_are(&["web"]).await;
}

#[tokio::test(start_paused = true)]
async fn follower_reports_a_directory_that_changes_for_ten_seconds() {
    let followed = Followed::start(&[("users.yaml", text("users", "users:1"))]);
    followed.until_services_are(&["users"]).await;
    for n in 0..300 {
        followed.write("growing.yaml", &"#".repeat(n));
        sleep(Duration::from_millis(100)).await;
    }
    let condition = followed.condition(Reason::ManifestsRefused, "growing.yaml: still changing after 10s");
    assert!(condition.is_some());
    followed.write("growing.yaml", &text("web", "web:1"));
    followed.until_services_are(&["users", "web"]).await;
}

#[tokio::test(start_paused = true)]
async fn writes_refuse_a_service_of_the_directory_before_its_first_scan() {
    let rig = Rig::following(Some("manifests.d".to_owned()));
    rig.controller.writes().declare("manifests.d", &[document("users", "users:1")], &[]).await.unwrap();
    let refused = rig.apply("r1", &[document("users", "users:2")]).await.unwrap_err();
    assert!(matches!(refused, ControllerError::OtherSource { there: Some(_), .. }), "{refused:?}");
}
