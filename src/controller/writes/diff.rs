//! The difference between two specs, field by field. Pure.
//!
//! Things in lists are told by what they are called (`spec.ports[http].port`), not by where they stand, so that one that
//! was put in between is one difference.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::Field;
use super::request::FieldChange;
use crate::model::{Revision, Service, ServiceSpec};

/// What differs between two revisions, of all that a release fixes.
pub fn between(from: &Revision, to: &Revision) -> Vec<FieldChange> {
    let mut found = changes(Some(&from.spec), &from.spec.with_release_of(&to.spec));
    let (old, new) = (&from.image.pinned, &to.image.pinned);
    let restarts = (from.restarts.to_string(), to.restarts.to_string());
    for (path, old, new) in [("image", old, new), ("restarts", &restarts.0, &restarts.1)] {
        if old != new {
            let path = path.to_owned();
            found.push(FieldChange { path, old: Some(old.clone()), new: Some(new.clone()) });
        }
    }
    found
}

/// What changes from one state of a service to the next; an image is told by its text and its digest.
pub(crate) fn services(old: &Service, new: &Service) -> Vec<FieldChange> {
    let mut found = changes(Some(&old.spec), &new.spec);
    found.retain(|change| change.path != Field::IMAGE);
    if old.spec.image != new.spec.image || old.image.pinned != new.image.pinned {
        let path = Field::IMAGE.to_owned();
        found.push(FieldChange { path, old: Some(old.image.summary()), new: Some(new.image.summary()) });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// What a new service sets beside what it would have anyway; its image is told apart.
pub fn settings(new: &ServiceSpec) -> Vec<FieldChange> {
    let mut found = changes(Some(&ServiceSpec::of_image(&new.image)), new);
    // What it does without, because it has something else instead, is no setting.
    found.retain(|change| change.new.is_some());
    found.iter_mut().for_each(|change| change.old = None);
    found
}

/// What changes from `old` to `new`, in the order of fields; all of `new` where there is no `old`.
pub(crate) fn changes(old: Option<&ServiceSpec>, new: &ServiceSpec) -> Vec<FieldChange> {
    let tree = |spec: &ServiceSpec| serde_json::to_value(spec).unwrap_or(Value::Null);
    let mut found = Vec::new();
    walk("spec", &old.map_or(Value::Null, tree), &tree(new), &mut found);
    found
}

fn walk(path: &str, old: &Value, new: &Value, found: &mut Vec<FieldChange>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Value::Object(a), Value::Object(b)) => {
            let gone = a.keys().filter(|key| !b.contains_key(*key));
            for key in b.keys().chain(gone) {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                walk(&format!("{path}.{key}"), &of(a), &of(b), found);
            }
        }
        (Value::Null, Value::Object(b)) => {
            for (key, value) in b {
                walk(&format!("{path}.{key}"), &Value::Null, value, found);
            }
        }
        (Value::Array(a), Value::Array(b)) => match (named(a), named(b)) {
            (Some(a), Some(b)) => things(path, &a, &b, found),
            _ => found.push(change(path, old, new)),
        },
        (Value::Null, Value::Array(b)) => match named(b) {
            Some(b) => things(path, &Named::default(), &b, found),
            None => found.push(change(path, old, new)),
        },
        _ => found.push(change(path, old, new)),
    }
}

fn change(path: &str, old: &Value, new: &Value) -> FieldChange {
    let text = |value: &Value| (!value.is_null()).then(|| value.to_string());
    FieldChange { path: path.to_owned(), old: text(old), new: text(new) }
}

/// The things of a list by what they are called, and their names in its order.
#[derive(Default)]
struct Named<'v> {
    order: Vec<String>,
    things: BTreeMap<String, &'v Value>,
}

/// `None` where a thing has no name, or two have one.
fn named(list: &[Value]) -> Option<Named<'_>> {
    let mut named = Named::default();
    for thing in list {
        let name = name_of(thing)?;
        if named.things.insert(name.clone(), thing).is_some() {
            return None;
        }
        named.order.push(name);
    }
    Some(named)
}

/// What a port, a volume or the like is called; a route by what it claims.
fn name_of(thing: &Value) -> Option<String> {
    let text = |key: &str| thing.get(key).and_then(Value::as_str);
    if let Some(name) = text("name") {
        return Some(name.to_owned());
    }
    text("path").map(|path| format!("{}{path}", text("host").unwrap_or("*")))
}

fn things(path: &str, old: &Named<'_>, new: &Named<'_>, found: &mut Vec<FieldChange>) {
    let gone = old.order.iter().filter(|name| !new.things.contains_key(*name));
    let before = found.len();
    for name in new.order.iter().chain(gone) {
        let path = format!("{path}[{name}]");
        match (old.things.get(name), new.things.get(name)) {
            (Some(a), Some(b)) => walk(&path, a, b, found),
            (a, b) => {
                let value = |thing: Option<&&Value>| thing.map_or(Value::Null, |thing| (*thing).clone());
                found.push(change(&path, &value(a), &value(b)));
            }
        }
    }
    // The same things in another order: the first port is the one that counts where none is named.
    if found.len() == before && old.order != new.order {
        found.push(change(path, &Value::from(old.order.clone()), &Value::from(new.order.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EnvValue, Port, Protocol, Route, ServiceSpec};

    fn change(path: &str, old: Option<&str>, new: Option<&str>) -> FieldChange {
        let text = |text: Option<&str>| text.map(str::to_owned);
        FieldChange { path: path.into(), old: text(old), new: text(new) }
    }

    #[test]
    fn only_what_differs_is_named() {
        let old = ServiceSpec { replicas: Some(3), ..ServiceSpec::of_image("users:1") };
        let mut new = ServiceSpec { replicas: Some(5), ..ServiceSpec::of_image("users:2") };
        new.env.insert("A".into(), EnvValue::Text("1".into()));
        let expected = [
            change("spec.env.A", None, Some("\"1\"")),
            change("spec.image", Some("\"users:1\""), Some("\"users:2\"")),
            change("spec.replicas", Some("3"), Some("5")),
        ];
        let mut found = changes(Some(&old), &new);
        found.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(found, expected);
        assert_eq!(changes(Some(&new), &new), []);
        assert_eq!(settings(&new).len(), 2, "env and replicas");
    }

    #[test]
    fn things_in_lists_are_told_by_their_names() {
        let port = |name: &str, port| Port { name: name.into(), port, protocol: Protocol::Http };
        let with = |ports: &[Port], routes: &[&str]| ServiceSpec {
            ports: ports.to_vec(),
            routes: routes.iter().map(|path| Route::to(None, *path)).collect(),
            ..ServiceSpec::of_image("users:1")
        };
        let (http, admin) = (port("http", 80), port("admin", 81));
        let old = with(&[http.clone(), admin.clone()], &["/a", "/b"]);
        let found = |ports: &[Port], routes: &[&str]| {
            let found = changes(Some(&old), &with(ports, routes));
            found.into_iter().map(|change| (change.path, change.old, change.new)).collect::<Vec<_>>()
        };
        let told = |path: &str, old: Option<&str>, new: Option<&str>| {
            let FieldChange { path, old, new } = change(path, old, new);
            vec![(path, old, new)]
        };
        let moved = port("admin", 82);
        assert_eq!(
            found(&[http.clone(), moved], &["/a", "/b"]),
            told("spec.ports[admin].port", Some("81"), Some("82"))
        );
        let gone = r#"{"name":"http","port":80,"protocol":"http"}"#;
        assert_eq!(
            found(std::slice::from_ref(&admin), &["/a", "/b"]),
            told("spec.ports[http]", Some(gone), None)
        );
        assert_eq!(
            found(&[admin, http.clone()], &["/a", "/b"]),
            told("spec.ports", Some(r#"["http","admin"]"#), Some(r#"["admin","http"]"#))
        );
        let between = found(&[http, port("admin", 81)], &["/a", "/new", "/b"]);
        assert_eq!(between.len(), 1, "{between:?}");
        assert_eq!(between[0].0, "spec.route[*/new]");
    }
}
