//! The refusal of a child to start.

/// Why a child refuses to serve for a reason that a restart cannot fix, such as a store of another version. Before a child of
/// its role has started once, a refusal ends the daemon; later the child is restarted with back-off, because the other
/// child still serves.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);
