//! What a watch delivers.

use super::StoreEntry;

/// One change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Set; the new entry.
    Put(StoreEntry),
    /// Gone, by a delete or a lapsed lease.
    Delete { key: String },
}

impl Change {
    /// The key that changed.
    pub fn key(&self) -> &str {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key } => key,
        }
    }
}

/// What a watch delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// All changes of one transaction under the watched prefix.
    Changes { revision: u64, changes: Vec<Change> },
    /// The history from there is no longer known (compacted, from before a restart, or the reader was too slow). The
    /// stream ends; the reader lists again and watches from the listing's revision + 1.
    Resync,
}
