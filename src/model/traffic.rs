//! How the requests of one service are shared between its revisions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{RevisionNumber, ServiceName};

/// The traffic record of a service: `traffic/<service>`. Written by the orchestrator alone, in the transaction of the move
/// that it belongs to; routing tables are built from it.
///
/// Without shares every ready endpoint counts alike, whatever its revision: that is what a rolling update does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// The service.
    pub service: ServiceName,
    /// Weights of revisions, in parts of [`Traffic::WHOLE`]; empty, or summing up to it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<RevisionNumber, u32>,
}

impl Traffic {
    /// The sum of all weights: a weight is a hundredth of a per cent.
    pub const WHOLE: u32 = 10_000;

    /// All ready endpoints of the service count alike.
    pub fn even(service: ServiceName) -> Self {
        Self { service, shares: BTreeMap::new() }
    }
}
