//! `--keep` and `--overwrite`: what the user decided of conflicts beforehand. Pure.

use std::collections::BTreeSet;

use super::fields::Field;
use crate::model::nearest;

/// What the user decided beforehand, by field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ConflictChoices {
    /// Fields whose live value stays.
    pub(crate) keep: BTreeSet<Field>,
    /// Fields whose value is the manifest's.
    pub(crate) overwrite: BTreeSet<Field>,
}

impl ConflictChoices {
    /// From paths as they were typed.
    ///
    /// # Errors
    /// In one line, where a field is to be kept and overwritten.
    pub(crate) fn parse(keep: &[String], overwrite: &[String]) -> Result<Self, String> {
        let parsed = |paths: &[String]| paths.iter().map(|path| Field::parse(path)).collect();
        let choices = Self { keep: parsed(keep), overwrite: parsed(overwrite) };
        match choices.keep.intersection(&choices.overwrite).next() {
            Some(both) => Err(format!("{both} cannot be both kept and overwritten")),
            None => Ok(choices),
        }
    }

    /// Refuses a field that no object of the run has, and one to keep that no command changed: in one line.
    pub(crate) fn check(&self, known: &BTreeSet<Field>, overridden: &BTreeSet<Field>) -> Result<(), String> {
        for field in self.keep.union(&self.overwrite) {
            if known.contains(field) {
                continue;
            }
            let names: Vec<String> = known.iter().map(ToString::to_string).collect();
            let near = nearest(&field.to_string(), names.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(format!("unknown field {field}{near}"));
        }
        match self.keep.difference(overridden).next() {
            Some(field) => Err(format!("--keep {field}: no command changed this field")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_refuses_unknown_fields_and_fields_without_override() {
        let fields = |paths: &[&str]| paths.iter().map(|path| Field::parse(path)).collect::<BTreeSet<_>>();
        let check = |keep: &[&str], overwrite: &[&str]| {
            let choices = ConflictChoices { keep: fields(keep), overwrite: fields(overwrite) };
            choices.check(&fields(&["replicas", "image"]), &fields(&["replicas"]))
        };
        assert_eq!(check(&["replicas"], &["image"]), Ok(()));
        let unknown = "unknown field spec.replica; did you mean spec.replicas?";
        assert_eq!(check(&[], &["replica"]), Err(unknown.to_owned()));
        let nothing = "--keep spec.image: no command changed this field";
        assert_eq!(check(&["image"], &[]), Err(nothing.to_owned()));
        let both = ["replicas".to_owned()];
        let contradiction = "spec.replicas cannot be both kept and overwritten";
        assert_eq!(ConflictChoices::parse(&both, &both), Err(contradiction.to_owned()));
    }
}
