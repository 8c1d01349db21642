//! Answers of the API are types of their own: a field that is added to a stored type does not appear to users by itself.
//!
//! Three exceptions. `ServiceSpec` is the form of the manifest: a field of it is written by users, so it is meant to be shown,
//! and `ctl apply` takes what `ctl get -o yaml` prints (`tests/it/wire.rs` reads it back). Words, enums without data, may be
//! shared where `tests/it/wire.rs` pins every one of them. A type that is defined elsewhere and exists for answers need not
//! exist twice; it is checked as an answer.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Fields, Item};

use super::Complaint;
use super::source::{Source, attributes};
use crate::wire::PINNED_WORDS;

/// Where answers are defined; requests carry what the controller takes.
const ANSWERS: &str = "src/api/types/";
const REQUESTS: &str = "src/api/types/requests.rs";
/// What the rest of the crate defines for its own use.
const INNER: [&str; 2] = ["src/model/", "src/controller/"];
/// The manifest's own form, and what is written as text.
const UNCHECKED: [&str; 2] = ["ServiceSpec", "ObjectRef"];
/// Types with fields that are defined elsewhere and are answers, or parts of them; checked as answers.
const SHARED: [&str; 11] = [
    "TableName", // a name, of parts that compare only together
    "DocumentProblem",
    "Problem",
    "FieldChange", // kept in the store only to repeat an answer
    "LogEntry",
    "RolloutDeadline",
    "RouteExplanation",
    "ExplainedRequest",
    "ExplainedRoute",
    "ExplainedOutcome",
    "ExplainedEndpoint",
];

/// The types that a field names.
#[derive(Default)]
struct NamedTypes(BTreeSet<String>);

impl<'ast> Visit<'ast> for NamedTypes {
    fn visit_type_path(&mut self, path: &'ast syn::TypePath) {
        self.0.extend(path.path.segments.last().map(|segment| segment.ident.to_string()));
        visit::visit_type_path(self, path);
    }
}

/// Fields of answers whose type has fields and is defined for the store, the agent or the controller, or has words that are
/// not pinned. Values (a single unnamed field) may be shared.
pub(super) fn check<'a>(files: impl Iterator<Item = (&'a str, &'a Source)>) -> Vec<Complaint> {
    let mut with_fields: BTreeMap<String, &str> = BTreeMap::new();
    let mut words: BTreeMap<String, &str> = BTreeMap::new();
    let mut answers = Vec::new();
    for (path, source) in files {
        let is_inner = INNER.iter().any(|folder| path.starts_with(folder));
        if is_inner || path.starts_with(ANSWERS) {
            let names = source.items.iter().filter_map(of_words);
            words.extend(names.map(|name| (name, path)));
        }
        if is_inner {
            let names = source.items.iter().filter_map(with_data);
            with_fields.extend(names.map(|name| (name, path)));
            let shared =
                source.items.iter().filter(|item| with_data(item).is_some_and(|name| is_shared(&name)));
            answers.extend(shared.filter(|item| is_serialized(item)).map(|item| (path, item)));
        } else if path.starts_with(ANSWERS) && path != REQUESTS {
            answers.extend(source.items.iter().filter(|item| is_serialized(item)).map(|item| (path, item)));
        }
    }
    with_fields.retain(|name, _| !UNCHECKED.contains(&name.as_str()) && !is_shared(name));
    words.retain(|name, _| !PINNED_WORDS.contains(&name.as_str()));
    let mut complaints = Vec::new();
    for (path, item) in answers {
        let mut named = NamedTypes::default();
        named.visit_item(item);
        for name in named.0 {
            if let Some(inner) = with_fields.get(&name) {
                let what = format!("an answer has `{name}`; give it a type of its own");
                complaints.push(Complaint::new(path, what).detail(*inner));
            }
            if let Some(inner) = words.get(&name) {
                let what = format!("an answer has words of `{name}`; pin them in tests/it/wire.rs");
                complaints.push(Complaint::new(path, what).detail(*inner));
            }
        }
    }
    complaints
}

fn is_shared(name: &str) -> bool {
    SHARED.contains(&name)
}

/// The name of a type with fields.
fn with_data(item: &Item) -> Option<String> {
    let is_value = |fields: &Fields| match fields {
        Fields::Unit => true,
        Fields::Unnamed(fields) => fields.unnamed.len() == 1,
        Fields::Named(_) => false,
    };
    match item {
        Item::Struct(item) => (!is_value(&item.fields)).then(|| item.ident.to_string()),
        Item::Enum(item) => has_data(item).then(|| item.ident.to_string()),
        _ => None,
    }
}

/// The name of an enum without data, as an item or within a macro that defines it.
fn of_words(item: &Item) -> Option<String> {
    let name = |item: &syn::ItemEnum| (!has_data(item)).then(|| item.ident.to_string());
    match item {
        Item::Enum(item) => name(item),
        Item::Macro(item) => name(&item.mac.parse_body().ok()?),
        _ => None,
    }
}

fn has_data(item: &syn::ItemEnum) -> bool {
    item.variants.iter().any(|variant| !matches!(variant.fields, Fields::Unit))
}

fn is_serialized(item: &Item) -> bool {
    attributes(item).iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        list.path.is_ident("derive") && list.tokens.to_string().contains("Serialize")
    })
}

#[test]
fn stored_type_in_response_is_reported() {
    let model = "pub struct Rollout { pub target: u64 }\npub enum State { On { since: u64 } }\n\
                 pub enum EventKind { A, B }\npub struct Millis(pub u64);\npub enum Word { A, B }\n\
                 described! { pub enum MacroWord { A } }\n\npub struct ServiceSpec { pub image: String }";
    let complaints = |path: &str, text: &str| {
        let files = [("src/model/rollout.rs", Source::parse(model)), (path, Source::parse(text))];
        check(files.iter().map(|(path, source)| (*path, source))).len()
    };
    let answer = "src/api/types/service.rs";
    for (fields, found) in [
        ("rollout: Option<Rollout>", 1),
        ("a: Vec<crate::model::State>, b: Box<Rollout>", 2),
        ("word: EventKind, after: Millis, spec: ServiceSpec", 0),
        ("word: Word, other: Option<MacroWord>", 2),
    ] {
        let text = format!("#[derive(Clone, Serialize)]\npub struct Answer {{ {fields} }}");
        assert_eq!(complaints(answer, &text), found, "{fields}");
        assert_eq!(complaints("src/api/types/requests.rs", &text), 0, "a request");
    }
    let variant = "#[derive(Serialize)]\npub enum Answer { Done { rollout: Rollout } }";
    assert_eq!(complaints(answer, variant), 1);
    let shared = "#[derive(Serialize)]\npub struct LogEntry { rollout: Rollout }";
    assert_eq!(complaints("src/controller/queries/snapshots.rs", shared), 1, "an answer defined elsewhere");
    let conversion = "impl From<Rollout> for Answer { fn from(r: Rollout) -> Self { Self } }";
    assert_eq!(complaints(answer, conversion), 0);
}
