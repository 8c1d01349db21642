//! The store of the daemon.

use serde::{Deserialize, Serialize};

use crate::controller::StoreCheck;
use crate::model::StoreId;

/// Largest snapshot that is written or read: 5,000 services with all their objects take 50 MB.
pub const SNAPSHOT_MAX_BYTES: usize = 512 << 20;

/// The state of the daemon's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// The state directory.
    pub directory: String,
    /// `None` if the store cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreId>,
    pub revision: u64,
    /// Number of stored keys.
    pub entries: usize,
    /// Why it cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl From<StoreCheck> for StoreStatus {
    fn from(check: StoreCheck) -> Self {
        let StoreCheck { directory, store, revision, entries, problem } = check;
        Self { directory, store, revision, entries, problem }
    }
}

/// The store was replaced; the daemon starts over from the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreReplaced {
    /// The store of the snapshot; `None` for a new one, whose id is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreId>,
}
