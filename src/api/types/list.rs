//! What answers of several kinds have in common.

use serde::{Deserialize, Serialize};

/// Several objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// In the order of their names.
    pub items: Vec<T>,
}

impl<T> List<T> {
    /// A list of these.
    pub fn of(items: Vec<T>) -> Self {
        Self { items }
    }
}
