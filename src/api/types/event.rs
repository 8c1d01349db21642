//! Events.

use serde::{Deserialize, Serialize};

use super::CutRequestsDetail;
use crate::model::{Event, EventKind, EventReason};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventObject {
    pub at: jiff::Timestamp,
    /// `replica/users-9-a`.
    pub object: String,
    pub kind: EventKind,
    pub reason: EventReason,
    pub message: String,
    /// Requests that were cut: of `DrainExceeded`, and of `ServiceDeleted` for the whole deletion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut_requests: Vec<CutRequestsDetail>,
}

impl From<Event> for EventObject {
    fn from(event: Event) -> Self {
        let Event { at, object, kind, reason, message, cut } = event;
        let cut_requests = cut.into_iter().map(CutRequestsDetail::from).collect();
        Self { at, object, kind, reason, message, cut_requests }
    }
}
