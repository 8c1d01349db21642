//! Overrides: what commands changed since the manifest was applied, recorded with the object. Pure.

use std::collections::BTreeSet;

use super::fields::{Field, Fields};
use crate::model::{Author, Override};

/// The overrides after a command: the earlier ones, and one for each field that it changed. One that takes back what an
/// earlier one did leaves none.
pub(crate) fn record(
    earlier: &[Override],
    old: &Fields,
    new: &Fields,
    by: &Author,
    at: jiff::Timestamp,
) -> Vec<Override> {
    let mut overrides = earlier.to_vec();
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
