//! Tests of the three-way merge: tables, and properties over random files and commands.

use super::super::document_merge::{Merged, merge_input, merge_spec};
use super::super::kinds::{dispatch, service};
use super::super::object::{Object, WriteStamp};
use super::super::types::ApplyDocument;
use super::*;
use crate::model::image_reference::with_default_tag;
use crate::model::{
    Author, EnvValue, Gadget, GadgetSpec, ObjectSpec, Problem, ResolvedImage, Route, Service, ServiceSpec,
};
use crate::testing;
use proptest::prelude::*;

const AT: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

fn ann(command: &str) -> Author {
    Author { command: command.to_owned(), user: "ann".to_owned() }
}

fn resolved(text: &str) -> ResolvedImage {
    ResolvedImage::without_config(with_default_tag(text), format!("sha256:{text}"))
}

/// A file: image, number of replicas, the variable `A`.
fn file(image: &str, replicas: Option<u32>, a: Option<&str>) -> ServiceSpec {
    let env = a.map(|text| ("A".to_owned(), EnvValue::Text(text.to_owned())));
    ServiceSpec { replicas, env: env.into_iter().collect(), ..ServiceSpec::of_image(image) }
}

/// The merge of a service.
fn merge(
    file: &ServiceSpec,
    last: Option<&ServiceSpec>,
    live: Option<&Service>,
    choices: &ConflictChoices,
) -> Result<Merged, Problem> {
    let file = ObjectSpec::Service(file.clone());
    let last = last.cloned().map(ObjectSpec::Service);
    let live = live.map(|live| Object::Service(Box::new(live.clone())));
    let input = merge_input(&file, last.as_ref(), live.as_ref()).unwrap();
    merge_spec(&file, &input, choices)
}

/// What an apply without choices makes of a service, conflicts kept.
fn applied(spec: &ServiceSpec, last: Option<&ServiceSpec>, live: Option<&Service>) -> (Service, Merged) {
    let merged = merge(spec, last, live, &ConflictChoices::default()).unwrap();
    let image = match live {
        Some(live) if merged.outcome.keeps_image => live.image.clone(),
        _ => resolved(&spec.image),
    };
    let document = ApplyDocument {
        name: "users".into(),
        app: "shop".into(),
        annotations: Default::default(),
        spec: spec.clone().into(),
        origin: "app.yaml:1".into(),
    };
    let by = ann("apply -f app.yaml");
    let stamp = WriteStamp { by: &by, at: AT, uid: "u".into(), source: None };
    let live = live.map(|live| Object::Service(Box::new(live.clone())));
    let Merged { spec, outcome } = merged.clone();
    let change = dispatch::apply(&document, live.as_ref(), None, spec, outcome, Some(image), &stamp).unwrap();
    (change.after.as_service().unwrap().clone(), merged)
}

/// A service as a command leaves it.
fn commanded(live: &Service, image: Option<&str>, replicas: Option<u32>, a: Option<Option<&str>>) -> Service {
    let mut after = live.clone();
    if let Some(image) = image {
        after.spec.image = image.to_owned();
        after.image = resolved(image);
    }
    after.spec.replicas = replicas.or(after.spec.replicas);
    if let Some(a) = a {
        after.spec.env = file("x", None, a).env;
    }
    record(live, &mut after, &ann("a command"));
    after
}

fn record(before: &Service, after: &mut Service, by: &Author) {
    after.overrides = service::record_overrides(before, after, by, AT).unwrap();
}

fn replicas(merged: &Merged) -> Option<u32> {
    merged.spec.as_service().unwrap().replicas
}

fn names(overrides: &[Overridden]) -> Vec<&str> {
    overrides.iter().map(|over| over.field.as_str()).collect()
}

#[test]
fn merge_resolves_each_field() {
    let v1 = || file("users:1", Some(3), Some("1"));
    // The file now; the fields kept, those in conflict, and the overrides that are left of image and replicas.
    let cases: [(&str, ServiceSpec, &[&str], &[&str]); 7] = [
        ("not changed", v1(), &["spec.image", "spec.replicas"], &[]),
        ("changed elsewhere", file("users:1", Some(3), Some("2")), &["spec.image", "spec.replicas"], &[]),
        ("changed here", file("users:1", Some(4), Some("1")), &["spec.image"], &["spec.replicas"]),
        ("changed twice", file("users:3", Some(4), Some("1")), &[], &["spec.image", "spec.replicas"]),
        ("says what is live", file("users:2", Some(5), Some("1")), &[], &[]),
        ("leaves the count out", file("users:1", None, Some("1")), &["spec.image", "spec.replicas"], &[]),
        ("another image", file("users:3", Some(3), Some("1")), &["spec.replicas"], &["spec.image"]),
    ];
    let (first, _) = applied(&v1(), None, None);
    let live = commanded(&first, Some("users:2"), Some(5), None);
    assert_eq!(live.overrides.len(), 2);
    for (case, now, kept, conflicts) in cases {
        let (after, merged) = applied(&now, Some(&v1()), Some(&live));
        assert_eq!(
            (names(&merged.outcome.kept), names(&merged.outcome.conflicts)),
            (kept.to_vec(), conflicts.to_vec()),
            "{case}"
        );
        assert_eq!((after.spec.image.as_str(), after.spec.replicas), ("users:2", Some(5)), "{case}");
        assert_eq!(after.spec.env, now.env, "{case}");
        assert_eq!(after.overrides.len(), kept.len() + conflicts.len(), "{case}");
    }
}

#[test]
fn merge_obeys_keep_and_overwrite() {
    let v1 = file("users:1", Some(3), None);
    let (first, _) = applied(&v1, None, None);
    let live = commanded(&first, None, Some(5), None);
    let now = file("users:1", Some(4), None);
    let merged = |keep: &[&str], overwrite: &[&str]| {
        let paths = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        let choices = ConflictChoices::parse(&paths(keep), &paths(overwrite)).unwrap();
        merge(&now, Some(&v1), Some(&live), &choices).unwrap()
    };
    let kept = merged(&["replicas"], &[]);
    assert_eq!(
        (replicas(&kept), kept.outcome.overrides, kept.outcome.conflicts),
        (Some(5), live.overrides.clone(), vec![])
    );
    let over = merged(&[], &["spec.replicas"]);
    assert_eq!(replicas(&over), Some(4));
    assert_eq!((over.outcome.overrides, over.outcome.conflicts), (vec![], vec![]));
    assert_eq!(names(&over.outcome.overwritten), ["spec.replicas"]);
    let conflict = &merged(&[], &[]).outcome.conflicts[0];
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    assert_eq!(
        (text(&conflict.file), text(&conflict.applied), text(&conflict.live)),
        ("4".into(), "3".into(), "5".into())
    );
}

#[test]
fn merge_keeps_an_undo_over_a_moved_tag() {
    let v1 = file("users:1", Some(3), None);
    let (first, _) = applied(&v1, None, None);
    let mut live = first.clone();
    live.image.pinned = "sha256:before".into();
    record(&first, &mut live, &ann("undo users"));
    let (after, merged) = applied(&v1, Some(&v1), Some(&live));
    assert_eq!((after, names(&merged.outcome.kept)), (live, vec!["spec.image"]));
}

#[test]
fn record_drops_an_override_that_is_taken_back() {
    let (first, _) = applied(&file("users:1", Some(3), Some("1")), None, None);
    let live = commanded(&first, Some("users:2"), Some(5), Some(None));
    assert_eq!(live.overrides.len(), 3);
    let live = commanded(&live, Some("users:3"), Some(3), Some(Some("1")));
    let left: Vec<_> = live.overrides.iter().map(|o| (o.field.as_str(), o.old.clone())).collect();
    assert_eq!(left, [("spec.image", Some(Value::from(first.image.summary())))]);
}

#[test]
fn merge_refuses_kept_values_that_do_not_fit_the_manifest() {
    let (first, _) = applied(&file("users:1", Some(3), None), None, None);
    let mut live = first.clone();
    live.spec.logging.max_files = 0;
    record(&first, &mut live, &ann("undo users"));
    let choices = ConflictChoices::default();
    let problem = merge(&first.spec, Some(&first.spec), Some(&live), &choices).unwrap_err();
    assert!(problem.message.starts_with("with the overrides that are kept: "), "{problem:?}");
}

fn some_image() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("users:1"), Just("users:2"), Just("users:3")]
}

fn some_value() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![Just(None), Just(Some("1")), Just(Some("2"))]
}

fn some_file() -> impl Strategy<Value = ServiceSpec> {
    (some_image(), prop::option::of(1..4_u32), some_value()).prop_map(|(i, r, a)| file(i, r, a))
}

type Command = (Option<&'static str>, Option<u32>, Option<Option<&'static str>>);

fn some_command() -> impl Strategy<Value = Command> {
    (prop::option::of(some_image()), prop::option::of(1..4_u32), prop::option::of(some_value()))
}

proptest! {
    #[test]
    fn merge_is_idempotent(
        first in some_file(),
        commands in prop::collection::vec(some_command(), 0..4),
        second in some_file(),
    ) {
        let (mut live, _) = applied(&first, None, None);
        for (image, replicas, a) in commands {
            live = commanded(&live, image, replicas, a);
        }
        let (once, merged) = applied(&second, Some(&first), Some(&live));
        let (twice, again) = applied(&second, Some(&second), Some(&once));
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(again.outcome.conflicts, vec![]);
        prop_assert_eq!(again.outcome.kept.len(), merged.outcome.kept.len() + merged.outcome.conflicts.len());
    }

    #[test]
    fn merge_of_an_unchanged_file_undoes_nothing(
        first in some_file(),
        commands in prop::collection::vec(some_command(), 0..4),
    ) {
        let (mut live, _) = applied(&first, None, None);
        for (image, replicas, a) in commands {
            live = commanded(&live, image, replicas, a);
        }
        let (after, merged) = applied(&first, Some(&first), Some(&live));
        prop_assert_eq!(merged.outcome.conflicts, vec![]);
        prop_assert_eq!(after, live);
    }

    #[test]
    fn merge_without_overrides_is_the_file(first in some_file(), second in some_file()) {
        let (live, _) = applied(&first, None, None);
        let (after, _) = applied(&second, Some(&first), Some(&live));
        let expected = ServiceSpec { replicas: second.replicas.or(live.spec.replicas), ..second };
        prop_assert_eq!((after.spec, after.overrides), (expected, vec![]));
    }
}

fn gadget(host: &str, size: Option<u64>, action: &str) -> ObjectSpec {
    let action = [(action.to_owned(), "users".to_owned())].into();
    ObjectSpec::Gadget(GadgetSpec { size, action, routes: vec![Route::to(Some(host.to_owned()), "/")] })
}

#[test]
fn merge_serves_a_second_kind_with_rules_of_its_own() {
    let over = |field: &str, new: Value| Override {
        field: field.to_owned(),
        old: None,
        new: Some(new),
        by: ann("a command"),
        at: AT,
    };
    let spec = gadget("b", Some(9), "redirect");
    let ObjectSpec::Gadget(live) = &spec else { unreachable!() };
    let overrides = vec![
        over("spec.action", serde_json::json!({"redirect": "users"})),
        over("spec.routes", serde_json::to_value(&live.routes).unwrap()),
        over("spec.size", 9.into()),
    ];
    let live = Object::Gadget(Box::new(Gadget { overrides, ..testing::gadget("users", live.clone()) }));
    let applied = gadget("a", None, "forward");
    let merged = |file: ObjectSpec| {
        let input = merge_input(&file, Some(&applied), Some(&live)).unwrap();
        let Merged { spec, outcome } = merge_spec(&file, &input, &ConflictChoices::default()).unwrap();
        (spec, names(&outcome.kept).join(" "), names(&outcome.conflicts).join(" "))
    };
    let all = "spec.action spec.routes spec.size".to_owned();
    assert_eq!(merged(gadget("a", None, "forward")), (spec.clone(), all, String::new()));
    let changed = merged(gadget("c", None, "forward"));
    assert_eq!(changed, (spec.clone(), "spec.action spec.size".into(), "spec.routes".into()));
    let block = merged(gadget("a", None, "refuse"));
    assert_eq!(block, (spec.clone(), "spec.routes spec.size".into(), "spec.action".into()));
}
