//! Requests that were cut.

use serde::{Deserialize, Serialize};

use crate::model::{CutRequests, Millis, ReplicaName};

/// Requests of a replica that outlasted the drain and ended with its container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CutRequestsDetail {
    pub replica: ReplicaName,
    /// `None` where the balancer did not report how many there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// How long they were waited for; `None` for a container off its network, which is not drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Millis>,
}

impl From<CutRequests> for CutRequestsDetail {
    fn from(cut: CutRequests) -> Self {
        let CutRequests { replica, requests, drain } = cut;
        Self { replica, requests, drain }
    }
}
