//! A spec as fields: what a file, a command and `--keep` speak of, for objects of every kind. Pure.
//!
//! A field is a key of the spec, or of one of its blocks (`spec.env.LOG_LEVEL`, `spec.rollout.drain`). Lists are one
//! field: half of one list and half of another is what no one wrote. So are the blocks that [`FieldRules`] names.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{ObjectKind, ObjectSpec};

/// The key that every path of a field begins with, and that users may leave out.
const ROOT: &str = "spec.";

/// What merging needs to know of the fields of a kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FieldRules {
    /// Blocks that are one field, because their keys exclude one another.
    pub(crate) whole_blocks: &'static [&'static str],
    /// Fields that keep their live value where the manifest leaves them out, with the value of a new object.
    pub(crate) live_if_unset: &'static [(&'static str, u64)],
    /// The field with an image reference, which means more than its text: a digest.
    pub(crate) image: Option<&'static str>,
}

impl FieldRules {
    pub(crate) fn is_image(&self, field: &Field) -> bool {
        self.image.is_some_and(|image| Field::parse(image) == *field)
    }
}

/// The name of a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Field {
    key: String,
    within: Option<String>,
}

/// A spec that cannot be taken apart into fields, or put together from them. No sound spec is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the spec has no JSON form: {0}")]
pub struct FieldsError(String);

impl FieldsError {
    pub(super) fn new(why: &str) -> Self {
        Self(why.to_owned())
    }
}

impl Field {
    /// From a path, with or without `spec.`. Keys of `env` and `labels` may have dots in them.
    pub(crate) fn parse(path: &str) -> Self {
        let path = path.strip_prefix(ROOT).unwrap_or(path);
        match path.split_once('.') {
            Some((key, within)) => Self { key: key.to_owned(), within: Some(within.to_owned()) },
            None => Self { key: path.to_owned(), within: None },
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ROOT}{}", self.key)?;
        self.within.as_ref().map_or(Ok(()), |within| write!(f, ".{within}"))
    }
}

/// The fields of a spec that are set or have a default.
pub(crate) type Fields = BTreeMap<Field, Value>;

/// A spec in its JSON form.
pub(crate) fn tree(spec: &impl Serialize) -> Result<Value, FieldsError> {
    serde_json::to_value(spec).map_err(|error| FieldsError(error.to_string()))
}

/// Takes a spec apart.
pub(crate) fn fields(spec: &impl Serialize, rules: &FieldRules) -> Result<Fields, FieldsError> {
    split(tree(spec)?, rules)
}

/// Takes the spec of an object apart.
pub(crate) fn object_fields(spec: &ObjectSpec, rules: &FieldRules) -> Result<Fields, FieldsError> {
    let mut object = tree(spec)?;
    split(object["spec"].take(), rules)
}

fn split(spec: Value, rules: &FieldRules) -> Result<Fields, FieldsError> {
    let Value::Object(keys) = spec else {
        return Err(FieldsError::new("it is not a map"));
    };
    let mut found = Fields::new();
    for (key, value) in keys {
        match value {
            Value::Object(block) if !rules.whole_blocks.contains(&key.as_str()) => {
                let name = |within| Field { key: key.clone(), within: Some(within) };
                found.extend(block.into_iter().map(|(within, value)| (name(within), value)));
            }
            value => {
                found.insert(Field { key, within: None }, value);
            }
        }
    }
    Ok(found)
}

/// Puts the spec of an object together.
pub(crate) fn assemble(kind: ObjectKind, fields: Fields) -> Result<ObjectSpec, FieldsError> {
    let mut keys = Map::new();
    for (Field { key, within }, value) in fields {
        let Some(within) = within else {
            keys.insert(key, value);
            continue;
        };
        if let Value::Object(block) = keys.entry(key).or_insert_with(|| Value::Object(Map::new())) {
            block.insert(within, value);
        }
    }
    let object = serde_json::json!({ "kind": kind, "spec": keys });
    serde_json::from_value(object).map_err(|error| FieldsError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::kinds::service::RULES;
    use super::*;
    use crate::model::{EnvField, EnvValue, GadgetSpec, Health, HealthCheck, Route, ServiceSpec};

    #[test]
    fn assemble_restores_the_spec_that_fields_took_apart() {
        let apart = |spec: &ObjectSpec| object_fields(spec, &RULES).unwrap();
        let mut spec = ServiceSpec::of_image("users:1");
        spec.env.insert("A.B".into(), EnvValue::Field { field: EnvField::NodeName });
        spec.health = Health::with(HealthCheck::Http("/healthz".into()));
        spec.command = Some(vec!["serve".into()]);
        let found = apart(&spec.clone().into());
        assert_eq!(found, fields(&spec, &RULES).unwrap());
        assert!(found.contains_key(&Field::parse("env.A.B")), "{found:?}");
        assert!(found.contains_key(&Field::parse("health")), "{found:?}");
        let gadget = GadgetSpec {
            size: Some(3),
            action: [("a.b".to_owned(), "c".to_owned())].into(),
            routes: vec![Route::to(None, "/a")],
        };
        for object in [spec.into(), ServiceSpec::of_image("users:1").into(), ObjectSpec::Gadget(gadget)] {
            assert_eq!(assemble(object.kind(), apart(&object)), Ok(object));
        }
    }

    #[test]
    fn fields_of_a_spec_without_json_form_are_an_error() {
        let keys_are_no_text = BTreeMap::from([((1, 2), 3)]);
        assert!(fields(&keys_are_no_text, &RULES).is_err());
        assert!(fields(&7, &RULES).is_err());
    }

    #[test]
    fn field_displays_as_its_path() {
        for (path, full) in [
            ("replicas", "spec.replicas"),
            ("spec.image", "spec.image"),
            ("env.A.B", "spec.env.A.B"),
            ("spec.rollout.drain", "spec.rollout.drain"),
        ] {
            assert_eq!(Field::parse(path).to_string(), full);
            assert_eq!(Field::parse(full), Field::parse(path));
        }
        assert!(RULES.is_image(&Field::parse("image")) && !RULES.is_image(&Field::parse("image.x")));
    }
}
