//! A spec as fields: what a file, a command and `--keep` speak of. Pure.
//!
//! A field is a key of the spec, or of one of its blocks (`spec.env.LOG_LEVEL`, `spec.rollout.drain`). Lists are one field:
//! half of one list and half of another is what nobody wrote. So is `health`, whose checks exclude one another.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::model::ServiceSpec;

/// The key that every path of a field begins with, and that users may leave out.
const ROOT: &str = "spec.";
/// A block that is one field.
const WHOLE: &str = "health";

/// The name of a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Field {
    key: String,
    within: Option<String>,
}

impl Field {
    /// The number of replicas.
    pub(crate) const REPLICAS: &'static str = "spec.replicas";
    /// The image.
    pub(crate) const IMAGE: &'static str = "spec.image";

    /// From a path, with or without `spec.`. Keys of `env` and `labels` may have dots in them.
    pub(crate) fn parse(path: &str) -> Self {
        let path = path.strip_prefix(ROOT).unwrap_or(path);
        match path.split_once('.') {
            Some((key, within)) => Self { key: key.to_owned(), within: Some(within.to_owned()) },
            None => Self { key: path.to_owned(), within: None },
        }
    }

    /// Whether it is the image, which is more than its text: a digest.
    pub(crate) fn is_image(&self) -> bool {
        self.key == "image" && self.within.is_none()
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

/// A spec taken apart.
pub(crate) fn fields(spec: &ServiceSpec) -> Fields {
    let mut found = Fields::new();
    let Ok(Value::Object(tree)) = serde_json::to_value(spec) else { return found };
    for (key, value) in tree {
        match value {
            Value::Object(block) if key != WHOLE => {
                let name = |within| Field { key: key.clone(), within: Some(within) };
                found.extend(block.into_iter().map(|(within, value)| (name(within), value)));
            }
            value => {
                found.insert(Field { key, within: None }, value);
            }
        }
    }
    found
}

/// Puts a spec together.
///
/// # Errors
/// In one line, where the fields are no spec; those of sound specs always are.
pub(crate) fn assemble(fields: Fields) -> Result<ServiceSpec, String> {
    let mut tree = Map::new();
    for (Field { key, within }, value) in fields {
        let Some(within) = within else {
            tree.insert(key, value);
            continue;
        };
        if let Value::Object(block) = tree.entry(key).or_insert_with(|| Value::Object(Map::new())) {
            block.insert(within, value);
        }
    }
    serde_json::from_value(Value::Object(tree)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EnvField, EnvValue, Health, HealthCheck};

    #[test]
    fn taken_apart_and_put_together_a_spec_is_the_same() {
        let mut spec = ServiceSpec::of_image("users:1");
        assert_eq!(assemble(fields(&spec)), Ok(spec.clone()));
        spec.env.insert("A.B".into(), EnvValue::Field { field: EnvField::HostName });
        spec.health = Health::with(HealthCheck::Http("/healthz".into()));
        spec.command = Some(vec!["serve".into()]);
        let apart = fields(&spec);
        assert!(apart.contains_key(&Field::parse("env.A.B")), "{apart:?}");
        assert!(apart.contains_key(&Field::parse("health")), "{apart:?}");
        assert_eq!(assemble(apart), Ok(spec));
    }

    #[test]
    fn a_field_is_called_by_its_path() {
        for (path, full) in [
            ("replicas", "spec.replicas"),
            ("spec.image", "spec.image"),
            ("env.A.B", "spec.env.A.B"),
            ("spec.rollout.drain", "spec.rollout.drain"),
        ] {
            assert_eq!(Field::parse(path).to_string(), full);
            assert_eq!(Field::parse(full), Field::parse(path));
        }
        assert!(Field::parse("image").is_image() && !Field::parse("image.x").is_image());
    }
}
