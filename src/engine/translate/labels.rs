//! Labels in Docker's requests. Pure.

use std::collections::{BTreeMap, HashMap};

pub(super) fn unordered(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}
