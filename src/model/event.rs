//! What happened, for people: capped per object, never read by a decision.

use serde::{Deserialize, Serialize};

/// How an event should strike the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// As it should be.
    Normal,
    /// Worth a look.
    Warning,
}

/// Something that happened to a service: `events/<service>/<sequence>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When.
    pub at: jiff::Timestamp,
    /// `service/users` or `replica/users-9-a`.
    pub object: String,
    /// How it should strike the reader.
    pub kind: EventKind,
    /// One word in CamelCase: `RolloutStarted`, `ReplicaReady`, `ContainerExited` …
    pub reason: String,
    /// One line.
    pub message: String,
}
