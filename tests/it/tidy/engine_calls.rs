//! Only a node's agent calls its Engine: the daemon constructs one, and the controller sends requests to the agent.

use std::collections::BTreeSet;

use syn::{Item, TraitItem};

use super::Complaint;
use super::source::{CodePath, Source};

/// Where no method of the Engine is called.
const WITHOUT_ENGINE: [&str; 2] = ["src/daemon/", "src/controller/"];

/// Calls of the trait's methods on what is named `engine`.
pub(super) fn check<'a>(files: impl Iterator<Item = (&'a str, &'a Source)> + Clone) -> Vec<Complaint> {
    let methods: BTreeSet<String> = files.clone().flat_map(|(_, source)| methods_of_engine(source)).collect();
    let checked = files.filter(|(path, _)| WITHOUT_ENGINE.iter().any(|place| path.starts_with(place)));
    checked.flat_map(|(path, source)| check_file(path, source, &methods)).collect()
}

fn methods_of_engine(source: &Source) -> Vec<String> {
    let engine = source.items.iter().find_map(|item| match item {
        Item::Trait(item) if item.ident == "Engine" => Some(item),
        _ => None,
    });
    let items = engine.map(|engine| engine.items.iter()).into_iter().flatten();
    let names = items.filter_map(|item| match item {
        TraitItem::Fn(function) => Some(function.sig.ident.to_string()),
        _ => None,
    });
    names.collect()
}

fn check_file(path: &str, source: &Source, methods: &BTreeSet<String>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut is_engine = false;
    for found in source.paths_in_code() {
        let name = found.parts.last().map_or("", String::as_str);
        is_engine = name == "engine" || (is_engine && found.after_dot);
        if is_engine && is_call_of(found, methods) {
            let what = format!("`{name}` of the Engine is called; only a node's agent calls it");
            complaints.push(Complaint::new(path, what).at(found.line));
        }
    }
    complaints
}

fn is_call_of(path: &CodePath, methods: &BTreeSet<String>) -> bool {
    path.after_dot && path.called && path.parts.last().is_some_and(|name| methods.contains(name))
}

#[test]
fn calls_of_the_engine_outside_the_agent_are_seen() {
    let engine = Source::parse("trait Engine { fn info(&self); fn list(&self); }");
    let caller = Source::parse(
        "fn f(engine: E, store: S) {\n engine.info();\n self.engine.as_ref().list();\n store.list();\n \
         g(engine, store.list());\n engine.clone();\n}",
    );
    let complaints = |caller_path| {
        let files = [("src/engine/mod.rs", &engine), (caller_path, &caller)];
        let found = check(files.into_iter());
        found.iter().map(|complaint| complaint.line.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(complaints("src/daemon/controller_role.rs"), [2, 3]);
    assert_eq!(complaints("src/controller/nodes/kill.rs"), [2, 3]);
    assert_eq!(complaints("src/agent/first_contact.rs"), Vec::<usize>::new());
}
