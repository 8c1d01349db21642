//! A store in one file: to keep, and to start another store from.
//!
//! A line of JSON (format, store, revision, checksum of these and of the rest), then a line of JSON per entry. Keys with a lease are left out:
//! their holders are gone when the snapshot is used.

use serde::{Deserialize, Serialize};

use super::{Listing, StoreEntry};
use crate::model::{StoreId, sha256_hex};

const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotHeader {
    format: u32,
    store: StoreId,
    revision: u64,
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotEntry {
    key: String,
    /// Objects are stored as JSON text.
    value: String,
    create_revision: u64,
    mod_revision: u64,
    version: u64,
}

/// Of everything that a store is started from: with another id its containers would be a stranger's, with a lower revision
/// numbers would be given twice.
fn checksum(store: &StoreId, revision: u64, lines: &[u8]) -> String {
    let mut covered = format!("{store} {revision}\n").into_bytes();
    covered.extend(lines);
    sha256_hex(&covered)
}

/// Why a file is not a snapshot that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error("it is not a snapshot of a store")]
    NotSnapshot,
    #[error("the snapshot has format {0}, this ctl knows {FORMAT}")]
    Format(u32),
    #[error("the snapshot is damaged or incomplete: its checksum differs")]
    Damaged,
    #[error("{0} cannot be kept in a snapshot: its value is not text")]
    NotText(String),
}

/// The content of a store at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreCopy {
    pub store: StoreId,
    pub content: Listing,
}

impl StoreCopy {
    /// # Errors
    /// [`SnapshotError::NotText`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, SnapshotError> {
        let mut lines = Vec::new();
        for entry in self.content.entries.iter().filter(|entry| entry.lease.is_none()) {
            let not_text = || SnapshotError::NotText(entry.key.clone());
            let kept = SnapshotEntry {
                key: entry.key.clone(),
                value: String::from_utf8(entry.value.clone()).map_err(|_| not_text())?,
                create_revision: entry.create_revision,
                mod_revision: entry.mod_revision,
                version: entry.version,
            };
            serde_json::to_writer(&mut lines, &kept).map_err(|_| not_text())?;
            lines.push(b'\n');
        }
        let header = SnapshotHeader {
            format: FORMAT,
            store: self.store.clone(),
            revision: self.content.revision,
            sha256: checksum(&self.store, self.content.revision, &lines),
        };
        let mut bytes = serde_json::to_vec(&header).map_err(|_| SnapshotError::NotSnapshot)?;
        bytes.push(b'\n');
        bytes.extend(lines);
        Ok(bytes)
    }

    /// # Errors
    /// The bytes are no snapshot, or not a whole one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let line = bytes.iter().position(|byte| *byte == b'\n').ok_or(SnapshotError::NotSnapshot)?;
        let header: SnapshotHeader =
            serde_json::from_slice(&bytes[..line]).map_err(|_| SnapshotError::NotSnapshot)?;
        if header.format != FORMAT {
            return Err(SnapshotError::Format(header.format));
        }
        let rest = &bytes[line + 1..];
        if header.sha256 != checksum(&header.store, header.revision, rest) {
            return Err(SnapshotError::Damaged);
        }
        let mut entries = Vec::new();
        for line in rest.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let kept: SnapshotEntry = serde_json::from_slice(line).map_err(|_| SnapshotError::Damaged)?;
            entries.push(StoreEntry {
                key: kept.key,
                value: kept.value.into_bytes(),
                create_revision: kept.create_revision,
                mod_revision: kept.mod_revision,
                version: kept.version,
                lease: None,
            });
        }
        Ok(Self { store: header.store, content: Listing { revision: header.revision, entries } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LeaseId;

    fn snapshot() -> StoreCopy {
        let entry = |key: &str, lease| StoreEntry {
            key: key.to_owned(),
            value: b"{\"a\":\"\\n\"}".to_vec(),
            create_revision: 3,
            mod_revision: 5,
            version: 2,
            lease,
        };
        let entries = vec![entry("services/a", None), entry("leader", Some(LeaseId(1)))];
        StoreCopy { store: "s".into(), content: Listing { revision: 7, entries } }
    }

    #[test]
    fn snapshot_reads_back_without_leased_keys() {
        let mut expected = snapshot();
        expected.content.entries.pop();
        assert_eq!(StoreCopy::from_bytes(&snapshot().to_bytes().unwrap()), Ok(expected));
    }

    #[test]
    fn damaged_snapshot_is_rejected() {
        let good = snapshot().to_bytes().unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(StoreCopy::from_bytes(&bad).is_err(), "byte {at}");
            assert!(StoreCopy::from_bytes(&good[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(StoreCopy::from_bytes(b"not a snapshot\n"), Err(SnapshotError::NotSnapshot));
    }

    #[test]
    fn value_that_is_not_text_is_named() {
        let mut snapshot = snapshot();
        snapshot.content.entries[0].value = vec![0xff];
        assert_eq!(snapshot.to_bytes(), Err(SnapshotError::NotText("services/a".to_owned())));
    }
}
