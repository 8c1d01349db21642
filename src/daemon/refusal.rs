//! The refusal of a child to start.

/// Why a child refuses to serve although nothing is broken that a restart could mend, such as a store of another
/// version. Before any child of its role was through with its start it ends the daemon; later the child is started again, more
/// and more slowly, because the other one still serves.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);
