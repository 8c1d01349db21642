//! The last good table on disk, so that a balancer serves without a controller.
//!
//! A line of JSON (format, boot id, length and checksum of what follows), then the table as JSON, then unused space.
//!
//! Two files of the same size take turns: the next table is written over the one before the last, whose space is there already, and
//! the two change names. So a table can be saved on a full disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, FallocateFlags, RenameFlags, fallocate, renameat2};
use serde::{Deserialize, Serialize};

use crate::model::{OriginName, RoutingTable};

const FORMAT: u32 = 3;
/// Least size of a file; a table that may grow to twice its size still fits.
const LEAST_CAPACITY: u64 = 64 << 10;

/// Why a table file is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("cannot read or write {path}")]
    Io {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error("{0} is damaged")]
    Damaged(PathBuf),
    #[error("{path} has format {format}, this program knows {FORMAT}")]
    Format { path: PathBuf, format: u32 },
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    boot: String,
    length: usize,
    sha256: String,
}

/// A table as it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Saved {
    /// Written since the machine started: containers are where they were.
    ThisBoot(RoutingTable),
    /// Written before the machine started: no container of it runs any more, so managed endpoints were left out. The routes
    /// still distinguish "not ready" from "not known".
    OtherBoot(RoutingTable),
}

/// The file of the last good table.
#[derive(Debug, Clone)]
pub(super) struct TableFile {
    path: PathBuf,
    boot: String,
}

impl TableFile {
    pub(super) fn new(path: PathBuf, boot: String) -> Self {
        Self { path, boot }
    }

    /// Puts a table in place: written to the spare file, flushed to disk, exchanged with the last one, and the exchange flushed.
    pub(super) fn save(&self, table: &RoutingTable) -> Result<(), FileError> {
        let failed = |error| FileError::Io { path: self.path.clone(), error };
        let json = serde_json::to_vec(table).map_err(|e| failed(e.into()))?;
        let sha256 = checksum(&json);
        let header = Header { format: FORMAT, boot: self.boot.clone(), length: json.len(), sha256 };
        let header = serde_json::to_vec(&header).map_err(|e| failed(e.into()))?;
        self.replace(&[&header, b"\n", &json]).map_err(failed)
    }

    fn replace(&self, parts: &[&[u8]]) -> io::Result<()> {
        let spare = self.path.with_extension("tmp");
        if fs::symlink_metadata(&spare).is_ok_and(|found| !found.is_file()) {
            fs::remove_file(&spare)?;
        }
        let mut file = File::options().write(true).create(true).truncate(false).open(&spare)?;
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let capacity = (2 * length as u64).next_power_of_two().max(LEAST_CAPACITY);
        if file.metadata()?.len() < capacity {
            // Without space for more the table itself may still fit.
            let _ = fallocate(&file, FallocateFlags::empty(), 0, i64::try_from(capacity).unwrap_or(i64::MAX));
        }
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_all()?;
        if !exchange(&spare, &self.path) {
            fs::rename(&spare, &self.path)?;
        }
        let directory = self.path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }

    /// The table in place; `None` where there is no file.
    pub(super) fn load(&self) -> Result<Option<Saved>, FileError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::Io { path: self.path.clone(), error }),
        };
        let damaged = || FileError::Damaged(self.path.clone());
        let line = bytes.iter().position(|b| *b == b'\n').ok_or_else(damaged)?;
        let header: Header = serde_json::from_slice(&bytes[..line]).map_err(|_| damaged())?;
        if header.format != FORMAT {
            return Err(FileError::Format { path: self.path.clone(), format: header.format });
        }
        let json = bytes[line + 1..].get(..header.length).ok_or_else(damaged)?;
        if header.sha256 != checksum(json) {
            return Err(damaged());
        }
        let mut table: RoutingTable = serde_json::from_slice(json).map_err(|_| damaged())?;
        if header.boot == self.boot {
            return Ok(Some(Saved::ThisBoot(table)));
        }
        for service in table.services.values_mut() {
            service.endpoints.retain(|endpoint| endpoint.origin != OriginName::Managed);
        }
        Ok(Some(Saved::OtherBoot(table)))
    }
}

/// Exchanges the names of two files; `false` where that is impossible, as for the first table.
fn exchange(one: &Path, other: &Path) -> bool {
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE).is_ok()
}

fn checksum(bytes: &[u8]) -> String {
    crate::model::sha256_hex(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::arbitrary::table_name;
    use crate::model::{EndpointId, RevisionNumber, TableEndpoint, TableService};

    fn table() -> RoutingTable {
        let id = EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
        let ports = [("http".to_owned(), 80)].into();
        let managed = TableEndpoint::managed(id, "r".into(), RevisionNumber(1), [10, 0, 0, 1].into(), ports);
        let external = TableEndpoint {
            id: EndpointId::external(&"s".into(), ([10, 0, 0, 2], 80).into()),
            replica: None,
            origin: OriginName::External,
            ..managed.clone()
        };
        let service = TableService {
            shares: [(RevisionNumber(1), 10_000)].into(),
            endpoints: vec![managed, external],
            ..TableService::default()
        };
        let services = [("s".into(), service)].into();
        RoutingTable { services, ..RoutingTable::empty(table_name(1)) }
    }

    #[test]
    fn load_returns_saved_table() {
        let dir = tempfile::tempdir().unwrap();
        let file = |boot: &str| TableFile::new(dir.path().join("table"), boot.into());
        assert_eq!(file("a").load().unwrap(), None);
        file("a").save(&RoutingTable::empty(table().name)).unwrap();
        file("a").save(&table()).unwrap();
        assert_eq!(file("a").load().unwrap(), Some(Saved::ThisBoot(table())));
        let Some(Saved::OtherBoot(emptied)) = file("b").load().unwrap() else { panic!("another boot") };
        let origins = emptied.endpoints().map(|endpoint| endpoint.origin);
        assert_eq!(origins.collect::<Vec<_>>(), [OriginName::External]);
    }

    #[test]
    fn tables_take_turns_in_two_files_whatever_their_sizes() {
        let dir = tempfile::tempdir().unwrap();
        let file = TableFile::new(dir.path().join("table"), "a".into());
        for number in 1..6 {
            let table = match number % 2 {
                0 => table(),
                _ => RoutingTable::empty(table_name(number)),
            };
            file.save(&table).unwrap();
            assert_eq!(file.load().unwrap(), Some(Saved::ThisBoot(table)));
        }
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, ["table", "table.tmp"]);
    }

    #[test]
    fn load_rejects_any_flipped_bit() {
        let dir = tempfile::tempdir().unwrap();
        let file = TableFile::new(dir.path().join("table"), "a".into());
        file.save(&table()).unwrap();
        let mut good = fs::read(&file.path).unwrap();
        assert_eq!(good.len() as u64, LEAST_CAPACITY);
        // What follows the table is unused.
        good.truncate(good.iter().rposition(|byte| *byte != 0).unwrap() + 1);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&file.path, &bad).unwrap();
            let loaded = file.load();
            let is_used = matches!(&loaded, Ok(Some(Saved::ThisBoot(_))));
            assert!(!is_used, "byte {at}: {loaded:?}");
            fs::write(&file.path, &good[..at]).unwrap();
            assert!(file.load().is_err(), "cut at {at}");
        }
    }
}
