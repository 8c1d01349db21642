//! What answers of several kinds have in common.

use serde::{Deserialize, Serialize};

/// Version of the objects that are shown and applied.
pub const API_VERSION: &str = "coxswain/v1";

/// Several objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// Always `List`.
    pub kind: String,
    /// In the order of their names.
    pub items: Vec<T>,
}

impl<T> List<T> {
    /// A list of these.
    pub fn of(items: Vec<T>) -> Self {
        Self { kind: "List".to_owned(), items }
    }
}
