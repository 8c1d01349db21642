//! The three-way merge of an apply: what was last applied, the file, and what is live. Pure.
//!
//! Purpose: a file that was not changed never takes back what a command changed since, and one that was changed in the same
//! place is a conflict that the user decides.
//! Invariants: merging what was merged changes nothing; a field without an override is the file's; `replicas` that the file
//! leaves out are the live ones.
//! Deliberately absent: what an image stands for (the node's agent resolves it), the transaction (`write`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::fields::{Field, Fields, assemble, fields};
use super::request::Overridden;
use crate::model::image_reference::with_default_tag;
use crate::model::{Author, Override, Problem, Service, ServiceSpec, check_service, nearest};

/// What the user decided beforehand, by field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Choices {
    /// Fields whose live value stays.
    pub(crate) keep: BTreeSet<Field>,
    /// Fields whose value is the file's.
    pub(crate) overwrite: BTreeSet<Field>,
}

impl Choices {
    /// From paths as they were typed.
    ///
    /// # Errors
    /// In one line, where a field is to be kept and overwritten.
    pub(crate) fn of(keep: &[String], overwrite: &[String]) -> Result<Self, String> {
        let parsed = |paths: &[String]| paths.iter().map(|path| Field::parse(path)).collect();
        let choices = Self { keep: parsed(keep), overwrite: parsed(overwrite) };
        match choices.keep.intersection(&choices.overwrite).next() {
            Some(both) => Err(format!("{both} cannot be kept and overwritten")),
            None => Ok(choices),
        }
    }

    /// Refuses a field that no service of the run has, and one to keep that nothing was changed in: in one line.
    pub(crate) fn check(&self, known: &BTreeSet<Field>, overridden: &BTreeSet<Field>) -> Result<(), String> {
        for field in self.keep.union(&self.overwrite) {
            if known.contains(field) {
                continue;
            }
            let names: Vec<String> = known.iter().map(ToString::to_string).collect();
            let near = nearest(&field.to_string(), names.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(format!("no service of this run has a field {field}{near}"));
        }
        match self.keep.difference(overridden).next() {
            Some(field) => {
                Err(format!("{field} is overridden in no service of this run: there is nothing to keep"))
            }
            None => Ok(()),
        }
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides<'a> {
    /// The file as it is now.
    pub(crate) file: &'a ServiceSpec,
    /// The file as it was last applied; `None` counts as the same.
    pub(crate) applied: Option<&'a ServiceSpec>,
    /// The service; `None` where there is none yet.
    pub(crate) live: Option<&'a Service>,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The spec to write, `replicas` set.
    pub(crate) spec: ServiceSpec,
    /// Whether the image stays the live one, with its digest.
    pub(crate) keeps_image: bool,
    /// The overrides that stay, of conflicts too.
    pub(crate) overrides: Vec<Override>,
    /// Those in fields that the file did not change, or that the user has kept.
    pub(crate) kept: Vec<Overridden>,
    /// Those in fields that the file did change: nothing may be written before the user decides. The spec has the live
    /// values.
    pub(crate) conflicts: Vec<Overridden>,
    /// Those that give way to the file because the user said so.
    pub(crate) overwritten: Vec<Overridden>,
}

impl Sides<'_> {
    /// All fields that one of the three has.
    pub(crate) fn known(&self) -> BTreeSet<Field> {
        let specs = [Some(self.file), self.applied, self.live.map(|live| &live.spec)];
        let of_all = specs.into_iter().flatten().flat_map(|spec| fields(spec).into_keys());
        of_all.chain([Field::parse(Field::REPLICAS)]).collect()
    }

    /// The fields that a command changed.
    pub(crate) fn overridden(&self) -> BTreeSet<Field> {
        let overrides = self.live.map(|live| live.overrides.as_slice()).unwrap_or_default();
        overrides.iter().map(|over| Field::parse(&over.field)).collect()
    }

    /// Merges.
    ///
    /// # Errors
    /// Where what comes of it is not sound: the file and a kept value do not fit together.
    pub(crate) fn merge(&self, choices: &Choices) -> Result<Merged, Problem> {
        let mut file = fields(self.file);
        let live = self.live.map(|service| fields(&service.spec)).unwrap_or_default();
        let replicas = Field::parse(Field::REPLICAS);
        let count = live.get(&replicas).cloned().unwrap_or_else(|| Value::from(1));
        let said = self.file.replicas.is_some();
        file.entry(replicas).or_insert(count);
        let applied = self.applied.map(fields);
        let mut merged = Merged {
            spec: self.file.clone(),
            keeps_image: false,
            overrides: Vec::new(),
            kept: Vec::new(),
            conflicts: Vec::new(),
            overwritten: Vec::new(),
        };
        let overrides = self.live.map(|service| service.overrides.as_slice()).unwrap_or_default();
        let mut spec = file.clone();
        for over in overrides {
            let field = Field::parse(&over.field);
            let silent = !said && over.field == Field::REPLICAS;
            let stated = file.get(&field).filter(|_| !silent);
            let told = told(over, &field, stated, applied.as_ref().and_then(|applied| applied.get(&field)));
            let changed =
                !silent && applied.as_ref().is_some_and(|was| !same(&field, was.get(&field), stated));
            // An image of the same text may be another one: an undo over a tag that moved.
            let agrees = same(&field, live.get(&field), stated) && (changed || !field.is_image());
            match decide(choices, &field, changed, agrees) {
                Fate::Gone => continue,
                Fate::Overwritten => {
                    merged.overwritten.push(told);
                    continue;
                }
                Fate::Kept => merged.kept.push(told),
                Fate::Conflict => merged.conflicts.push(told),
            }
            merged.overrides.push(over.clone());
            merged.keeps_image |= field.is_image();
            put(&mut spec, field, &live);
        }
        merged.spec = assemble(spec).map_err(|error| Problem::new("spec", error))?;
        if merged.overrides.is_empty() {
            return Ok(merged); // the file alone has been checked
        }
        match check_service(&merged.spec).into_iter().next() {
            Some(problem) => {
                let message = format!("with the overrides that are kept: {}", problem.message);
                Err(Problem { message, ..problem })
            }
            None => Ok(merged),
        }
    }
}

enum Fate {
    Gone,
    Overwritten,
    Kept,
    Conflict,
}

/// The rule.
fn decide(choices: &Choices, field: &Field, changed: bool, agrees: bool) -> Fate {
    match (agrees, changed) {
        (true, _) => Fate::Gone,
        _ if choices.overwrite.contains(field) => Fate::Overwritten,
        _ if choices.keep.contains(field) => Fate::Kept,
        (false, false) => Fate::Kept,
        (false, true) => Fate::Conflict,
    }
}

fn put(spec: &mut Fields, field: Field, live: &Fields) {
    match live.get(&field) {
        Some(value) => spec.insert(field, value.clone()),
        None => spec.remove(&field),
    };
}

/// Whether two values of a field mean the same; a missing tag is `latest`.
fn same(field: &Field, a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a.and_then(Value::as_str), b.and_then(Value::as_str)) {
        (Some(a), Some(b)) if field.is_image() => with_default_tag(a) == with_default_tag(b),
        _ => a == b,
    }
}

fn told(over: &Override, field: &Field, file: Option<&Value>, applied: Option<&Value>) -> Overridden {
    let text = |value: &Value| match value.as_str() {
        Some(image) if field.is_image() => image.to_owned(),
        _ => value.to_string(),
    };
    Overridden {
        field: over.field.clone(),
        file: file.map(text),
        applied: applied.map(text),
        live: over.new.as_ref().map(text),
        by: over.by.clone(),
        at: over.at,
    }
}

/// The overrides after a command: those of `before`, and one for each field that it changed. One that takes back what an
/// earlier one did leaves none.
pub(crate) fn record(before: &Service, after: &Service, by: &Author, at: jiff::Timestamp) -> Vec<Override> {
    let (old, new) = (with_digest(before), with_digest(after));
    let mut overrides = before.overrides.clone();
    let all: BTreeSet<&Field> = old.keys().chain(new.keys()).collect();
    for field in all.into_iter().filter(|field| old.get(field) != new.get(field)) {
        let path = field.to_string();
        let earlier = overrides.iter().position(|over| over.field == path).map(|at| overrides.remove(at));
        let old = earlier.map_or_else(|| old.get(field).cloned(), |earlier| earlier.old);
        let new = new.get(field).cloned();
        if old != new {
            overrides.push(Override { field: path, old, new, by: by.clone(), at });
        }
    }
    overrides.sort_by(|a, b| a.field.cmp(&b.field));
    overrides
}

/// The fields of a service, its image with the digest.
fn with_digest(service: &Service) -> Fields {
    let mut fields = fields(&service.spec);
    fields.insert(Field::parse(Field::IMAGE), Value::from(service.image.summary()));
    fields
}

#[cfg(test)]
mod tests {
    use super::super::edit::{self, Writer};
    use super::super::request::ApplyDocument;
    use super::*;
    use crate::model::{EnvValue, ResolvedImage};
    use proptest::prelude::*;

    const AT: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

    fn ann(command: &str) -> Author {
        Author { command: command.to_owned(), user: "ann".to_owned() }
    }

    fn resolved(text: &str) -> ResolvedImage {
        ResolvedImage { reference: with_default_tag(text), pinned: format!("sha256:{text}") }
    }

    /// A file: image, number of replicas, the variable `A`.
    fn file(image: &str, replicas: Option<u32>, a: Option<&str>) -> ServiceSpec {
        let env = a.map(|text| ("A".to_owned(), EnvValue::Text(text.to_owned())));
        ServiceSpec { replicas, env: env.into_iter().collect(), ..ServiceSpec::of_image(image) }
    }

    /// What an apply without choices makes of a service, conflicts kept.
    fn applied(spec: &ServiceSpec, last: Option<&ServiceSpec>, live: Option<&Service>) -> (Service, Merged) {
        let sides = Sides { file: spec, applied: last, live };
        let merged = sides.merge(&Choices::default()).unwrap();
        let image = match live {
            Some(live) if merged.keeps_image => live.image.clone(),
            _ => resolved(&spec.image),
        };
        let document = ApplyDocument {
            name: "users".into(),
            app: "shop".into(),
            annotations: Default::default(),
            spec: spec.clone(),
            origin: "app.yaml:1".into(),
        };
        let by = ann("apply -f app.yaml");
        let writer = Writer { by: &by, at: AT, uid: "u".into(), source: None };
        (edit::apply(&document, live, merged.clone(), image, &writer).after, merged)
    }

    /// A service as a command leaves it.
    fn commanded(
        live: &Service,
        image: Option<&str>,
        replicas: Option<u32>,
        a: Option<Option<&str>>,
    ) -> Service {
        let mut after = live.clone();
        if let Some(image) = image {
            after.spec.image = image.to_owned();
            after.image = resolved(image);
        }
        after.spec.replicas = replicas.or(after.spec.replicas);
        if let Some(a) = a {
            after.spec.env = file("x", None, a).env;
        }
        after.overrides = record(live, &after, &ann("a command"), AT);
        after
    }

    fn names(overrides: &[Overridden]) -> Vec<&str> {
        overrides.iter().map(|over| over.field.as_str()).collect()
    }

    #[test]
    fn each_field_has_its_fate() {
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
                (names(&merged.kept), names(&merged.conflicts)),
                (kept.to_vec(), conflicts.to_vec()),
                "{case}"
            );
            assert_eq!((after.spec.image.as_str(), after.spec.replicas), ("users:2", Some(5)), "{case}");
            assert_eq!(after.spec.env, now.env, "{case}");
            assert_eq!(after.overrides.len(), kept.len() + conflicts.len(), "{case}");
        }
    }

    #[test]
    fn a_choice_decides_a_conflict() {
        let v1 = file("users:1", Some(3), None);
        let (first, _) = applied(&v1, None, None);
        let live = commanded(&first, None, Some(5), None);
        let now = file("users:1", Some(4), None);
        let merged = |keep: &[&str], overwrite: &[&str]| {
            let paths = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
            let choices = Choices::of(&paths(keep), &paths(overwrite)).unwrap();
            Sides { file: &now, applied: Some(&v1), live: Some(&live) }.merge(&choices).unwrap()
        };
        let kept = merged(&["replicas"], &[]);
        assert_eq!(
            (kept.spec.replicas, kept.overrides, kept.conflicts),
            (Some(5), live.overrides.clone(), vec![])
        );
        let over = merged(&[], &["spec.replicas"]);
        assert_eq!((over.spec.replicas, over.overrides, over.conflicts), (Some(4), vec![], vec![]));
        assert_eq!(names(&over.overwritten), ["spec.replicas"]);
        let told = &merged(&[], &[]).conflicts[0];
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        assert_eq!(
            (text(&told.file), text(&told.applied), text(&told.live)),
            ("4".into(), "3".into(), "5".into())
        );
    }

    #[test]
    fn an_undo_over_a_tag_that_moved_stays() {
        let v1 = file("users:1", Some(3), None);
        let (first, _) = applied(&v1, None, None);
        let mut live = first.clone();
        live.image.pinned = "sha256:before".into();
        live.overrides = record(&first, &live, &ann("undo users"), AT);
        let (after, merged) = applied(&v1, Some(&v1), Some(&live));
        assert_eq!((after, names(&merged.kept)), (live, vec!["spec.image"]));
    }

    #[test]
    fn what_a_command_takes_back_is_no_override() {
        let (first, _) = applied(&file("users:1", Some(3), Some("1")), None, None);
        let live = commanded(&first, Some("users:2"), Some(5), Some(None));
        assert_eq!(live.overrides.len(), 3);
        let live = commanded(&live, Some("users:3"), Some(3), Some(Some("1")));
        let left: Vec<_> = live.overrides.iter().map(|o| (o.field.as_str(), o.old.clone())).collect();
        assert_eq!(left, [("spec.image", Some(Value::from(first.image.summary())))]);
    }

    #[test]
    fn choices_are_about_fields_that_there_are() {
        let fields = |paths: &[&str]| paths.iter().map(|path| Field::parse(path)).collect::<BTreeSet<_>>();
        let check = |keep: &[&str], overwrite: &[&str]| {
            let choices = Choices { keep: fields(keep), overwrite: fields(overwrite) };
            choices.check(&fields(&["replicas", "image"]), &fields(&["replicas"]))
        };
        assert_eq!(check(&["replicas"], &["image"]), Ok(()));
        let unknown = "no service of this run has a field spec.replica; did you mean spec.replicas?";
        assert_eq!(check(&[], &["replica"]), Err(unknown.to_owned()));
        let nothing = "spec.image is overridden in no service of this run: there is nothing to keep";
        assert_eq!(check(&["image"], &[]), Err(nothing.to_owned()));
        let both = ["replicas".to_owned()];
        assert_eq!(Choices::of(&both, &both), Err("spec.replicas cannot be kept and overwritten".to_owned()));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let (first, _) = applied(&file("users:1", Some(3), None), None, None);
        let mut live = first.clone();
        live.spec.logging.max_files = 0;
        live.overrides = record(&first, &live, &ann("undo users"), AT);
        let sides = Sides { file: &first.spec, applied: Some(&first.spec), live: Some(&live) };
        let problem = sides.merge(&Choices::default()).unwrap_err();
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
        fn merging_again_changes_nothing(
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
            prop_assert_eq!(again.conflicts, vec![]);
            prop_assert_eq!(again.kept.len(), merged.kept.len() + merged.conflicts.len());
        }

        #[test]
        fn a_file_that_did_not_change_undoes_nothing(
            first in some_file(),
            commands in prop::collection::vec(some_command(), 0..4),
        ) {
            let (mut live, _) = applied(&first, None, None);
            for (image, replicas, a) in commands {
                live = commanded(&live, image, replicas, a);
            }
            let (after, merged) = applied(&first, Some(&first), Some(&live));
            prop_assert_eq!(merged.conflicts, vec![]);
            prop_assert_eq!(after, live);
        }

        #[test]
        fn without_overrides_the_file_is_what_comes_of_it(first in some_file(), second in some_file()) {
            let (live, _) = applied(&first, None, None);
            let (after, _) = applied(&second, Some(&first), Some(&live));
            let expected = ServiceSpec { replicas: second.replicas.or(live.spec.replicas), ..second };
            prop_assert_eq!((after.spec, after.overrides), (expected, vec![]));
        }
    }
}
