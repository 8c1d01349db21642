//! The last good table on disk, so that a balancer serves without a controller.
//!
//! A line of JSON (format, boot id, length and checksum of what follows), then the table as JSON, then unused space.
//!
//! Two files of the same size take turns: the next table is written over the one before the last, whose space is there already, and
//! the two change names. So a table can be saved on a full disk.
//!
//! Several balancers may save, each the table that it serves: one that drains, and its successor. Invariants: one writes at a
//! time, with the directory locked; a table is not replaced by an older one of its store, whose epochs never repeat. So a balancer
//! that saves late, and may end then, cannot undo what its successor has acknowledged.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{AT_FDCWD, FallocateFlags, RenameFlags, fallocate, renameat2};
use serde::{Deserialize, Serialize};

use crate::model::{OriginName, RoutingTable, TableName};

/// A program of an earlier format would leave out what it does not know of a route, such as who may use it.
const FORMAT: u32 = 4;
/// The earliest format that is read: what it lacks has defaults.
const OLDEST_FORMAT: u32 = 3;
/// Least size of a file; a table that may grow to twice its size still fits.
const LEAST_CAPACITY: u64 = 64 << 10;
/// A header is a few hundred bytes.
const HEADER_MAX: u64 = 4 << 10;
/// The file holds the private keys of certificates.
const PRIVATE_MODE: u32 = 0o600;
/// Between two tries to lock the directory.
const LOCK_TRY_EVERY: Duration = Duration::from_millis(5);
/// Tries to lock it: two seconds. Another balancer writes for milliseconds, unless it or the disk hangs.
const LOCK_TRIES: u32 = 400;

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
    #[error("{path} has format {format}, this program knows {OLDEST_FORMAT} to {FORMAT}")]
    Format { path: PathBuf, format: u32 },
    #[error("another balancer is writing {0}")]
    Busy(PathBuf),
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    boot: String,
    /// The table's name. Earlier versions did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<TableName>,
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
    /// Nothing is written if another balancer has put this table or a later one in place.
    pub(super) fn save(&self, table: &RoutingTable) -> Result<(), FileError> {
        let failed = |error| FileError::Io { path: self.path.clone(), error };
        let _lock = self.lock()?;
        if self.has(&table.name) {
            return Ok(());
        }
        let json = serde_json::to_vec(table).map_err(|e| failed(e.into()))?;
        let sha256 = checksum(&json);
        let name = Some(table.name.clone());
        let header =
            Header { format: FORMAT, boot: self.boot.clone(), table: name, length: json.len(), sha256 };
        let header = serde_json::to_vec(&header).map_err(|e| failed(e.into()))?;
        self.replace(&[&header, b"\n", &json]).map_err(failed)
    }

    /// The directory, locked until it is dropped.
    fn lock(&self) -> Result<File, FileError> {
        let failed = |error| FileError::Io { path: self.path.clone(), error };
        let directory = File::open(self.directory()).map_err(failed)?;
        for _ in 0..LOCK_TRIES {
            match directory.try_lock() {
                Ok(()) => return Ok(directory),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_TRY_EVERY),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Err(FileError::Busy(self.path.clone()))
    }

    fn directory(&self) -> &Path {
        self.path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Whether this table or a later one is in place, undamaged. The whole file is read only if its header says so.
    fn has(&self, table: &TableName) -> bool {
        // To open a pipe would wait for its writer.
        if !fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_file()) {
            return false;
        }
        let mut line = Vec::new();
        let read = File::open(&self.path)
            .and_then(|file| BufReader::new(file.take(HEADER_MAX)).read_until(b'\n', &mut line));
        let header = read.ok().and_then(|_| serde_json::from_slice::<Header>(&line).ok());
        let named = header.and_then(|header| header.table);
        named.is_some_and(|named| is_as_new(&named, table))
            && matches!(self.load(), Ok(Some(Saved::ThisBoot(found))) if is_as_new(&found.name, table))
    }

    fn replace(&self, parts: &[&[u8]]) -> io::Result<()> {
        let spare = self.path.with_extension("tmp");
        if fs::symlink_metadata(&spare).is_ok_and(|found| !found.is_file()) {
            fs::remove_file(&spare)?;
        }
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(PRIVATE_MODE);
        let mut file = options.open(&spare)?;
        // one of an earlier version
        file.set_permissions(fs::Permissions::from_mode(PRIVATE_MODE))?;
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
        File::open(self.directory())?.sync_all()
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
        if !(OLDEST_FORMAT..=FORMAT).contains(&header.format) {
            return Err(FileError::Format { path: self.path.clone(), format: header.format });
        }
        let json = bytes[line + 1..].get(..header.length).ok_or_else(damaged)?;
        if header.sha256 != checksum(json) {
            return Err(damaged());
        }
        let mut table: RoutingTable = serde_json::from_slice(json).map_err(|_| damaged())?;
        if header.table.is_some_and(|name| name != table.name) {
            return Err(damaged());
        }
        if header.boot == self.boot {
            return Ok(Some(Saved::ThisBoot(table)));
        }
        for service in table.services.values_mut() {
            service.endpoints.retain(|endpoint| endpoint.origin != OriginName::Managed);
        }
        Ok(Some(Saved::OtherBoot(table)))
    }
}

/// Whether a table is the other one, or a later one of its store.
fn is_as_new(table: &TableName, other: &TableName) -> bool {
    table.store == other.store && (table.epoch, table.revision) >= (other.epoch, other.revision)
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
    use crate::model::{EndpointId, Epoch, RevisionNumber, TableEndpoint, TableService};

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
        file("a").save(&RoutingTable::empty(table_name(0))).unwrap();
        file("a").save(&table()).unwrap();
        assert_eq!(file("a").load().unwrap(), Some(Saved::ThisBoot(table())));
        let Some(Saved::OtherBoot(emptied)) = file("b").load().unwrap() else { panic!("another boot") };
        let origins = emptied.endpoints().map(|endpoint| endpoint.origin);
        assert_eq!(origins.collect::<Vec<_>>(), [OriginName::External]);
    }

    #[test]
    fn earlier_format_is_read_and_a_later_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = TableFile::new(dir.path().join("table"), "a".into());
        // as a program of format 3 writes it, without filters
        let route = serde_json::json!({
            "listeners": ["http"], "hosts": ["*"], "path": {"prefix": "/"},
            "action": {"forward": {"backends": [{"service": "s", "port": "http", "weight": 1}], "timeout": "1s"}},
        });
        let mut written = serde_json::to_value(table()).unwrap();
        written["routes"] = serde_json::json!([route]);
        let json = written.to_string();
        for (format, is_read) in [(2, false), (3, true), (4, true), (5, false)] {
            let header = serde_json::json!({
                "format": format, "boot": "a", "length": json.len(), "sha256": checksum(json.as_bytes()),
            });
            fs::write(&file.path, format!("{header}\n{json}")).unwrap();
            match file.load() {
                Ok(Some(Saved::ThisBoot(found))) => assert!(is_read && found.routes.len() == 1, "{format}"),
                Err(FileError::Format { format: named, .. }) => assert!(!is_read && named == format),
                other => panic!("{other:?}"),
            }
        }
        file.save(&RoutingTable::empty(table_name(9))).unwrap();
        assert!(fs::read_to_string(&file.path).unwrap().starts_with("{\"format\":4,"));
    }

    #[test]
    fn tables_take_turns_in_two_files_whatever_their_sizes() {
        let dir = tempfile::tempdir().unwrap();
        let file = TableFile::new(dir.path().join("table"), "a".into());
        for number in 1..6 {
            let table = match number % 2 {
                0 => RoutingTable { name: table_name(number), ..table() },
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

    /// What is in place after these are saved one after the other.
    fn in_place_after(file: &TableFile, tables: &[TableName]) -> TableName {
        tables.iter().for_each(|name| file.save(&RoutingTable::empty(name.clone())).unwrap());
        match file.load() {
            Ok(Some(Saved::ThisBoot(table))) => table.name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn table_is_not_replaced_by_an_older_one_of_its_store_but_by_any_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = TableFile::new(dir.path().join("table"), "a".into());
        let later = |revision| TableName { epoch: Epoch(9), ..table_name(revision) };
        let other_store = |revision| TableName { store: "other".into(), ..table_name(revision) };
        assert_eq!(in_place_after(&file, &[table_name(3), table_name(2), table_name(3)]), table_name(3));
        assert_eq!(in_place_after(&file, &[later(1)]), later(1));
        assert_eq!(in_place_after(&file, &[table_name(4)]), later(1), "of an earlier epoch");
        assert_eq!(in_place_after(&file, &[other_store(1)]), other_store(1));
        let other_boot = TableFile { boot: "b".to_owned(), ..file.clone() };
        assert_eq!(in_place_after(&other_boot, &[table_name(1)]), table_name(1), "the other is of no use");
        fs::write(&file.path, "damaged").unwrap();
        assert_eq!(in_place_after(&file, &[table_name(1)]), table_name(1));
        let header_only = fs::read(&file.path).unwrap();
        let line = header_only.iter().position(|byte| *byte == b'\n').unwrap();
        fs::write(&file.path, &header_only[..=line]).unwrap();
        assert_eq!(in_place_after(&file, &[table_name(1)]), table_name(1), "its header is not believed");
    }

    #[test]
    fn balancers_that_save_at_the_same_time_leave_the_newest_table_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = TableFile::new(dir.path().join("table"), "a".into());
        std::thread::scope(|scope| {
            for first in 1..=4 {
                let file = &file;
                scope.spawn(move || {
                    for revision in (first..=40).step_by(4) {
                        file.save(&RoutingTable { name: table_name(revision), ..table() }).unwrap();
                    }
                });
            }
        });
        assert_eq!(in_place_after(&file, &[]), table_name(40));
        let _held = file.lock().unwrap();
        let saved = std::thread::scope(|scope| {
            scope.spawn(|| file.save(&RoutingTable::empty(table_name(41)))).join().unwrap()
        });
        assert!(matches!(saved, Err(FileError::Busy(_))), "{saved:?}");
    }

    #[test]
    fn load_takes_no_flipped_bit_for_a_table() {
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
            // The name in the header may be missing: earlier versions did not write it.
            let is_other = matches!(&loaded, Ok(Some(Saved::ThisBoot(found))) if *found != table());
            assert!(!is_other, "byte {at}: {loaded:?}");
            fs::write(&file.path, &good[..at]).unwrap();
            assert!(file.load().is_err(), "cut at {at}");
        }
    }
}
