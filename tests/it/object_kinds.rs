//! Writes of two kinds side by side: a service, and the gadget that only tests know. Merge, diff, claims, commit and the
//! manifests directory address both as `kind/name`.

use std::collections::BTreeMap;

use coxswain::controller::{ApplyDocument, ApplyOptions, ControllerError, WriteAction, WriteResult};
use coxswain::model::{
    Author, Gadget, GadgetSpec, Generation, ObjectKind, ObjectRef, ObjectSpec, Override, Route, key,
};
use coxswain::store::{Op, Store, Txn};

use crate::controller::{Rig, document, routed};

const DIRECTORY: &str = "/srv/manifests";

fn object(text: &str) -> ObjectRef {
    text.parse().unwrap()
}

fn gadget(name: &str, size: u64, path: &str) -> ApplyDocument {
    let routes = vec![Route::to(Some("shop.localhost".into()), path)];
    let spec = GadgetSpec { size: Some(size), action: BTreeMap::new(), routes };
    ApplyDocument { spec: ObjectSpec::Gadget(spec), ..document(name, "users:1") }
}

async fn stored(rig: &Rig, name: &str) -> Gadget {
    let key = key::object(&ObjectRef { kind: ObjectKind::Gadget, name: name.into() });
    rig.store.get(&key).await.unwrap().unwrap().decode().unwrap()
}

/// Changes the size as a command would.
async fn resize(rig: &Rig, name: &str, size: u64) {
    let mut gadget = stored(rig, name).await;
    gadget.overrides = vec![Override {
        field: "spec.size".into(),
        old: gadget.spec.size.map(Into::into),
        new: Some(size.into()),
        by: Author::from("resize"),
        at: jiff::Timestamp::UNIX_EPOCH,
    }];
    gadget.spec.size = Some(size);
    gadget.metadata.generation = gadget.metadata.generation.next();
    let ops = vec![Op::put(key::object(&object(&format!("gadget/{name}"))), &gadget)];
    rig.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
}

fn text(results: &[WriteResult]) -> Vec<String> {
    let result = |result: &WriteResult| format!("{} {:?}", result.object, result.action);
    results.iter().map(result).collect()
}

#[tokio::test]
async fn apply_commits_two_kinds_of_one_name_as_two_objects() {
    let rig = Rig::new();
    let run = [routed("users", "users:1", "/api"), gadget("users", 1, "/gadget")];
    assert_eq!(rig.apply("r1", &run).await.unwrap(), [WriteAction::Created, WriteAction::Created]);
    let expected = [
        "applied/gadget/users",
        "applied/service/users",
        "claims/shop.localhost/api",
        "claims/shop.localhost/gadget",
        "gadgets/users",
        "services/users",
    ];
    assert_eq!(rig.keys().await, expected);
    assert_eq!(rig.apply("r2", &run).await.unwrap(), [WriteAction::Unchanged, WriteAction::Unchanged]);

    let users = [object("service/users")];
    rig.controller.writes().delete("r3", &users, false, "delete users").await.unwrap();
    rig.pass().await;
    assert_eq!(stored(&rig, "users").await.metadata.generation, Generation(1), "it is another object");
    let mut left = rig.keys().await;
    left.retain(|key| !key.starts_with(key::EVENTS)); // they can be read for a day
    assert_eq!(left, ["applied/gadget/users", "claims/shop.localhost/gadget", "gadgets/users"]);
}

#[tokio::test]
async fn delete_goes_by_kind_and_name_and_takes_all_objects_or_none() {
    let rig = Rig::new();
    let writes = rig.controller.writes();
    let run = [routed("users", "users:1", "/api"), gadget("users", 1, "/gadget"), document("web", "web:1")];
    rig.apply("r1", &run).await.unwrap();

    let deleted = writes.delete("r2", &[object("gadget/users")], true, "delete").await.unwrap();
    assert_eq!(text(&deleted), ["gadget/users Deleted"]);
    assert!(stored(&rig, "users").await.is_being_deleted);
    assert!(rig.service("users").await.deleted_at.is_none(), "it only has the same name");
    assert!(!rig.keys().await.contains(&"claims/shop.localhost/gadget".to_owned()), "its route is free");
    let generation = stored(&rig, "users").await.metadata.generation;
    writes.delete("r3", &[object("gadget/users")], false, "delete").await.unwrap();
    assert_eq!(stored(&rig, "users").await.metadata.generation, generation, "deleted twice is deleted once");

    let missing = [object("service/users"), object("gadget/web")];
    let refused = writes.delete("r4", &missing, false, "delete").await.unwrap_err();
    assert_eq!(refused, ControllerError::NotFound(vec![object("gadget/web")]), "web is a service");
    assert!(rig.service("users").await.deleted_at.is_none(), "nothing was written");

    let both = [object("service/web"), object("gadget/users")];
    let deleted = writes.delete("r5", &both, false, "delete").await.unwrap();
    assert_eq!(text(&deleted), ["service/web Deleted", "gadget/users Deleted"]);
    assert!(rig.service("web").await.deleted_at.is_some());
}

#[tokio::test]
async fn claim_of_one_kind_refuses_the_other_and_names_it() {
    for (first, second, refusal) in [
        (
            routed("users", "users:1", "/api"),
            gadget("users", 1, "/api"),
            "route `shop.localhost/api` of gadget/users is held by service/users",
        ),
        (
            gadget("users", 1, "/api"),
            routed("users", "users:1", "/api"),
            "route `shop.localhost/api` of service/users is held by gadget/users",
        ),
    ] {
        let rig = Rig::new();
        rig.apply("r1", std::slice::from_ref(&first)).await.unwrap();
        let before = rig.keys().await;
        let refused = rig.apply("r2", std::slice::from_ref(&second)).await.unwrap_err();
        assert!(matches!(refused, ControllerError::Claimed { .. }), "{refused:?}");
        assert_eq!(refused.to_string(), refusal);
        let together = rig.apply("r3", &[first, second]).await.unwrap_err();
        let ControllerError::Invalid(problems) = together else { panic!("{together:?}") };
        assert_eq!((problems.len(), problems[0].document), (1, 1), "{problems:?}");
        assert_eq!(rig.keys().await, before);
    }
}

#[tokio::test]
async fn route_moves_from_one_kind_to_the_other_within_a_run() {
    let rig = Rig::following(Some(DIRECTORY.into()));
    let writes = rig.controller.writes();
    writes.declare(DIRECTORY, &[gadget("users", 1, "/api")], &[]).await.unwrap();
    let run = [routed("users", "users:1", "/api")];
    let results = writes.declare(DIRECTORY, &run, &[object("gadget/users")]).await.unwrap();
    assert_eq!(text(&results), ["gadget/users Deleted", "service/users Created"]);
    let claim = rig.store.get("claims/shop.localhost/api").await.unwrap().unwrap();
    assert_eq!(claim.decode::<ObjectRef>(), Ok(object("service/users")));
}

#[tokio::test]
async fn directory_declares_and_deletes_by_kind_and_name() {
    let rig = Rig::following(Some(DIRECTORY.into()));
    let writes = rig.controller.writes();
    let run = [document("users", "users:1"), gadget("users", 1, "/a"), gadget("web", 1, "/b")];
    writes.declare(DIRECTORY, &run, &[]).await.unwrap();
    let declared = writes.declared_by(DIRECTORY).await.unwrap();
    let all = ["service/users", "gadget/users", "gadget/web"].map(object);
    assert_eq!(declared.keys().cloned().collect::<Vec<_>>(), all);

    let results = writes.declare(DIRECTORY, &[], &[object("gadget/users")]).await.unwrap();
    assert_eq!(text(&results), ["gadget/users Deleted"]);
    let declared = writes.declared_by(DIRECTORY).await.unwrap();
    assert_eq!(declared.keys().cloned().collect::<Vec<_>>(), ["service/users", "gadget/web"].map(object));
    assert!(rig.service("users").await.deleted_at.is_none());

    let refused = rig.apply("r1", &[gadget("web", 2, "/b")]).await.unwrap_err();
    assert!(matches!(refused, ControllerError::OtherSource { .. }), "{refused:?}");
    assert!(refused.to_string().starts_with("gadget web is declared"), "{refused}");
}

#[tokio::test]
async fn merge_keeps_and_refuses_overrides_of_every_kind() {
    let rig = Rig::new();
    let apply = async |id: &str, size, options: ApplyOptions| {
        let documents = [document("users", "users:1"), gadget("users", size, "/a")];
        rig.controller.writes().apply(id, &documents, options, "apply -f app.yaml").await
    };
    apply("r1", 1, ApplyOptions::default()).await.unwrap();
    resize(&rig, "users", 5).await;

    let unchanged = apply("r2", 1, ApplyOptions::default()).await.unwrap();
    assert_eq!(text(&unchanged), ["service/users Unchanged", "gadget/users Unchanged"]);
    assert_eq!(unchanged[1].kept[0].field, "spec.size");

    let refused = apply("r3", 2, ApplyOptions::default()).await.unwrap_err();
    let ControllerError::Overridden { conflicts, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((conflicts.len(), &conflicts[0].object), (1, &object("gadget/users")));
    assert_eq!(stored(&rig, "users").await.spec.size, Some(5));

    let diff = ApplyOptions { diff: true, ..ApplyOptions::default() };
    let shown = apply("r4", 2, diff).await.unwrap();
    assert_eq!((shown[0].conflicts.len(), shown[1].conflicts.len()), (0, 1));

    let overwrite = ApplyOptions { overwrite: vec!["size".into()], ..ApplyOptions::default() };
    let written = apply("r5", 2, overwrite).await.unwrap();
    assert_eq!(text(&written), ["service/users Unchanged", "gadget/users Changed"]);
    let [change] = written[1].changes.as_slice() else { panic!("{:?}", written[1].changes) };
    assert_eq!(
        (change.path.as_str(), change.old.as_deref(), change.new.as_deref()),
        ("spec.size", Some("5"), Some("2"))
    );
    assert_eq!(stored(&rig, "users").await.overrides, []);
}

#[tokio::test]
async fn diff_shows_all_settings_of_a_new_object_of_every_kind() {
    let rig = Rig::new();
    let options = ApplyOptions { diff: true, ..ApplyOptions::default() };
    let documents = [document("users", "users:1"), gadget("users", 3, "/a")];
    let results = rig.controller.writes().apply("r1", &documents, options, "diff").await.unwrap();
    let paths = |result: &WriteResult| {
        result.changes.iter().map(|change| change.path.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(paths(&results[0]), "spec.replicas");
    assert_eq!(paths(&results[1]), "spec.routes[shop.localhost/a] spec.size");
    assert_eq!(rig.keys().await, [""; 0]);
}
