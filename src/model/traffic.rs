//! How the requests of one service are shared between its revisions.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{RevisionNumber, RouteCondition, ServiceName};

/// Sends the requests that meet all conditions to one revision, whatever the shares are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionPin {
    pub conditions: BTreeSet<RouteCondition>,
    pub revision: RevisionNumber,
}

/// The traffic record of a service: `traffic/<service>`. Written by the orchestrator alone, in the transaction of the move
/// that it belongs to; routing tables are built from it.
///
/// Without shares every ready endpoint counts alike, whatever its revision: that is what a rolling update does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    pub service: ServiceName,
    /// Weights of revisions, in parts of [`Traffic::WHOLE`]; empty, or summing up to it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<RevisionNumber, u32>,
    /// The first that holds decides before the shares do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<RevisionPin>,
}

impl Traffic {
    /// The sum of all weights: a weight is a hundredth of a per cent.
    pub const WHOLE: u32 = 10_000;

    /// All ready endpoints of the service count alike.
    pub fn even(service: ServiceName) -> Self {
        Self { service, shares: BTreeMap::new(), pins: Vec::new() }
    }
}
