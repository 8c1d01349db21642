//! The difference between two specs, field by field. Pure.
//!
//! Items of lists are identified by name (`spec.ports[http].port`), not by position, so that an inserted one is one
//! difference.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::fields::{FieldsError, tree};
use super::types::FieldChange;
use crate::model::{Release, ServiceSpec};

/// What differs between two releases, of all that a release fixes.
///
/// # Errors
/// [`FieldsError`] for a spec without a JSON form.
pub fn between(from: Release<'_>, to: Release<'_>) -> Result<Vec<FieldChange>, FieldsError> {
    let mut found = changes(from.spec, &from.spec.with_release_of(to.spec))?;
    let images = [from.image.pinned.clone(), to.image.pinned.clone()];
    let restarts = [from.restarts.to_string(), to.restarts.to_string()];
    for (path, [old, new]) in [("image", images), ("restarts", restarts)] {
        if old != new {
            found.push(FieldChange { path: path.to_owned(), old: Some(old), new: Some(new) });
        }
    }
    Ok(found)
}

/// What a new service sets other than the defaults; its image is shown separately.
///
/// # Errors
/// [`FieldsError`] for a spec without a JSON form.
pub fn settings(new: &ServiceSpec) -> Result<Vec<FieldChange>, FieldsError> {
    let mut found = changes(&ServiceSpec::of_image(&new.image), new)?;
    // A default that is gone because something else was set instead is no setting.
    found.retain(|change| change.new.is_some());
    found.iter_mut().for_each(|change| change.old = None);
    Ok(found)
}

/// What changes from `old` to `new`, in the order of fields, for specs of any kind.
pub(crate) fn changes<T: Serialize>(old: &T, new: &T) -> Result<Vec<FieldChange>, FieldsError> {
    let mut found = Vec::new();
    walk("spec", &tree(old)?, &tree(new)?, &mut found);
    Ok(found)
}

fn walk(path: &str, old: &Value, new: &Value, found: &mut Vec<FieldChange>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Value::Object(a), Value::Object(b)) => {
            let gone = a.keys().filter(|key| !b.contains_key(*key));
            for key in b.keys().chain(gone) {
                let old = a.get(key).unwrap_or(&Value::Null);
                let new = b.get(key).unwrap_or(&Value::Null);
                walk(&format!("{path}.{key}"), old, new, found);
            }
        }
        (Value::Null, Value::Object(b)) => {
            for (key, value) in b {
                walk(&format!("{path}.{key}"), &Value::Null, value, found);
            }
        }
        (Value::Array(a), Value::Array(b)) => match (named(a), named(b)) {
            (Some(a), Some(b)) => walk_items(path, &a, &b, found),
            _ => found.push(change(path, old, new)),
        },
        (Value::Null, Value::Array(b)) => match named(b) {
            Some(b) => walk_items(path, &NamedItems::default(), &b, found),
            None => found.push(change(path, old, new)),
        },
        _ => found.push(change(path, old, new)),
    }
}

fn change(path: &str, old: &Value, new: &Value) -> FieldChange {
    let text = |value: &Value| (!value.is_null()).then(|| value.to_string());
    FieldChange { path: path.to_owned(), old: text(old), new: text(new) }
}

/// The items of a list by name, and their names in its order.
#[derive(Default)]
struct NamedItems<'v> {
    order: Vec<String>,
    items: BTreeMap<String, &'v Value>,
}

/// `None` where an item has no name, or two have the same.
fn named(list: &[Value]) -> Option<NamedItems<'_>> {
    let mut named = NamedItems::default();
    for item in list {
        let name = name_of(item)?;
        if named.items.insert(name.clone(), item).is_some() {
            return None;
        }
        named.order.push(name);
    }
    Some(named)
}

/// The name of a port, a volume or the like; of a route what it claims.
fn name_of(item: &Value) -> Option<String> {
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    if let Some(name) = text("name") {
        return Some(name.to_owned());
    }
    let path = text("path")?;
    // Of items with a path, routes alone have a timeout.
    let is_route = item.get("timeout").is_some();
    Some(if is_route { format!("{}{path}", text("host").unwrap_or("*")) } else { path.to_owned() })
}

fn walk_items(path: &str, old: &NamedItems<'_>, new: &NamedItems<'_>, found: &mut Vec<FieldChange>) {
    let gone = old.order.iter().filter(|name| !new.items.contains_key(*name));
    let before = found.len();
    for name in new.order.iter().chain(gone) {
        let path = format!("{path}[{name}]");
        match (old.items.get(name), new.items.get(name)) {
            (Some(a), Some(b)) => walk(&path, a, b, found),
            (a, b) => {
                let old = a.copied().unwrap_or(&Value::Null);
                let new = b.copied().unwrap_or(&Value::Null);
                found.push(change(&path, old, new));
            }
        }
    }
    // The same items in another order: the first port is the one that counts where none is named.
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
    fn changes_names_only_fields_that_differ() {
        let old = ServiceSpec { replicas: Some(3), ..ServiceSpec::of_image("users:1") };
        let mut new = ServiceSpec { replicas: Some(5), ..ServiceSpec::of_image("users:2") };
        new.env.insert("A".into(), EnvValue::Text("1".into()));
        let expected = [
            change("spec.env.A", None, Some("\"1\"")),
            change("spec.image", Some("\"users:1\""), Some("\"users:2\"")),
            change("spec.replicas", Some("3"), Some("5")),
        ];
        let mut found = changes(&old, &new).unwrap();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(found, expected);
        assert_eq!(changes(&new, &new).unwrap(), []);
        assert_eq!(settings(&new).unwrap().len(), 2, "env and replicas");
    }

    #[test]
    fn changes_identifies_list_items_by_name() {
        let port =
            |name: &str, port| Port { name: name.into(), port, protocol: Protocol::Http, listen: None };
        let with = |ports: &[Port], routes: &[&str]| ServiceSpec {
            ports: ports.to_vec(),
            routes: routes.iter().map(|path| Route::to(None, *path)).collect(),
            ..ServiceSpec::of_image("users:1")
        };
        let (http, admin) = (port("http", 80), port("admin", 81));
        let old = with(&[http.clone(), admin.clone()], &["/a", "/b"]);
        let found = |ports: &[Port], routes: &[&str]| {
            let found = changes(&old, &with(ports, routes)).unwrap();
            found.into_iter().map(|change| (change.path, change.old, change.new)).collect::<Vec<_>>()
        };
        let expected = |path: &str, old: Option<&str>, new: Option<&str>| {
            let FieldChange { path, old, new } = change(path, old, new);
            vec![(path, old, new)]
        };
        let moved = port("admin", 82);
        assert_eq!(
            found(&[http.clone(), moved], &["/a", "/b"]),
            expected("spec.ports[admin].port", Some("81"), Some("82"))
        );
        let gone = r#"{"name":"http","port":80,"protocol":"http"}"#;
        assert_eq!(
            found(std::slice::from_ref(&admin), &["/a", "/b"]),
            expected("spec.ports[http]", Some(gone), None)
        );
        assert_eq!(
            found(&[admin, http.clone()], &["/a", "/b"]),
            expected("spec.ports", Some(r#"["http","admin"]"#), Some(r#"["admin","http"]"#))
        );
        let between = found(&[http, port("admin", 81)], &["/a", "/new", "/b"]);
        assert_eq!(between.len(), 1, "{between:?}");
        assert_eq!(between[0].0, "spec.route[*/new]");
    }

    #[test]
    fn changes_compares_specs_of_any_kind() {
        #[derive(serde::Serialize)]
        struct FakeRoute {
            hosts: Vec<&'static str>,
            backends: Vec<BTreeMap<&'static str, &'static str>>,
        }
        let backend = |name, weight| BTreeMap::from([("name", name), ("weight", weight)]);
        let old = FakeRoute { hosts: vec!["a"], backends: vec![backend("v1", "90"), backend("v2", "10")] };
        let new =
            FakeRoute { hosts: vec!["a", "b"], backends: vec![backend("v1", "50"), backend("v2", "10")] };
        let expected = [
            change("spec.backends[v1].weight", Some("\"90\""), Some("\"50\"")),
            change("spec.hosts", Some("[\"a\"]"), Some("[\"a\",\"b\"]")),
        ];
        assert_eq!(changes(&old, &new).unwrap(), expected);
    }
}
