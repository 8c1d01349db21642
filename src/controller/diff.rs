//! The difference between two specs, field by field. Pure.

use serde_json::Value;

use super::FieldChange;
use crate::model::{Revision, ServiceSpec};

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
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                walk(&format!("{path}[{i}]"), a, b, found);
            }
        }
        _ => {
            let text = |value: &Value| (!value.is_null()).then(|| value.to_string());
            found.push(FieldChange { path: path.to_owned(), old: text(old), new: text(new) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EnvValue, ServiceSpec};

    #[test]
    fn only_what_differs_is_named() {
        let old = ServiceSpec { replicas: Some(3), ..ServiceSpec::of_image("users:1") };
        let mut new = ServiceSpec { replicas: Some(5), ..ServiceSpec::of_image("users:2") };
        new.env.insert("A".into(), EnvValue::Text("1".into()));
        let change = |path: &str, old: Option<&str>, new: &str| FieldChange {
            path: path.into(),
            old: old.map(Into::into),
            new: Some(new.into()),
        };
        let expected = [
            change("spec.env.A", None, "\"1\""),
            change("spec.image", Some("\"users:1\""), "\"users:2\""),
            change("spec.replicas", Some("3"), "5"),
        ];
        let mut found = changes(Some(&old), &new);
        found.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(found, expected);
        assert_eq!(changes(Some(&new), &new), []);
    }
}
