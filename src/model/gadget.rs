//! An object kind for tests: it has routes and a size, and no containers. It shows what a second kind takes, and that
//! nothing about objects is true of services alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Author, Metadata, Override, Route};

/// What a test asks of a gadget.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GadgetSpec {
    /// A field that keeps its live value where a manifest leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// A block that is merged as one field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub action: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

/// A gadget as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gadget {
    pub metadata: Metadata,
    pub spec: GadgetSpec,
    pub overrides: Vec<Override>,
    pub source: Option<String>,
    pub written_by: Author,
    pub is_being_deleted: bool,
}
