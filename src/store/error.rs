//! Errors of the store.

/// A failure of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The state directory is in use by another daemon.
    #[error("{dir} is in use by another daemon{}", pid.map(|p| format!(" (pid {p})")).unwrap_or_default())]
    Locked {
        dir: String,
        /// The other daemon's process, where known.
        pid: Option<u32>,
    },
    /// The file is damaged or missing. Never treated as empty.
    #[error("the store {path} is damaged: {reason}")]
    Damaged { path: String, reason: String },
    /// The file was written by a later version.
    #[error("the store {path} has schema {found}, this ctl knows up to {known}")]
    TooNew {
        path: String,
        found: u32,
        /// The highest that this version reads.
        known: u32,
    },
    /// No answer by the deadline: the disk hangs. The write may still take effect.
    #[error("the store did not answer within {seconds} s; the write may still take effect")]
    Unanswered { seconds: u64 },
    /// The transaction is larger than either backend takes.
    #[error("the transaction is too large: {0}")]
    TooLarge(String),
    /// The transaction makes no sense: an empty key, or a key written twice.
    #[error("the transaction is refused: {0}")]
    Invalid(String),
    /// Reading or writing failed. After a failed write the store takes no more writes.
    #[error("the store failed: {0}")]
    Io(String),
    /// An object cannot be written as JSON.
    #[error("cannot encode {key}: {reason}")]
    Encode {
        key: String,
        /// What the encoder reported.
        reason: String,
    },
    /// The holder's lease has lapsed, or another holder has taken over: nothing it asks for is written.
    #[error("this process lost its lease: {key} has changed")]
    Fenced {
        /// The key that the holder wrote with its lease.
        key: String,
    },
    /// A stored value does not have the type that its key promises.
    #[error("cannot decode {key}: {reason}")]
    Decode { key: String, reason: String },
    /// A stored object was written by a later version.
    #[error("{key} has schema {found}, this ctl knows up to {known}")]
    ObjectTooNew {
        key: String,
        found: u32,
        /// The highest that this version reads.
        known: u32,
    },
    /// No such lease, or it has lapsed.
    #[error("lease {0} does not exist or has lapsed")]
    NoLease(i64),
    #[error("the store is closed")]
    Closed,
}
