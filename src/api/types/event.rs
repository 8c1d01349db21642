//! Events.

use serde::{Deserialize, Serialize};

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
}

impl From<Event> for EventObject {
    fn from(event: Event) -> Self {
        let Event { at, object, kind, reason, message } = event;
        Self { at, object, kind, reason, message }
    }
}
