//! The layout of the database: its tables, their rows, and what an opening reads from them.

use std::time::Duration;

use redb::{
    AccessGuard, Database, Error, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use crate::model::{Epoch, StoreId};
use crate::store::{LeaseId, Listing, StoreEntry, StoreError, StoreIdentity};

/// The layout below. Raise it when an older `ctl` could no longer read what is written.
pub(super) const SCHEMA: u32 = 1;

/// Create revision, revision of the last write, version, lease (0: none), value.
type EntryRow = (u64, u64, u64, i64, &'static [u8]);

pub(super) const ENTRIES: TableDefinition<&str, EntryRow> = TableDefinition::new("entries");
/// Lease and its full time in milliseconds. What is left of it is not stored: time without a daemon does not count.
pub(super) const LEASES: TableDefinition<i64, u64> = TableDefinition::new("leases");
pub(super) const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");
const TEXTS: TableDefinition<&str, &str> = TableDefinition::new("texts");

pub(super) const REVISION: &str = "revision";
pub(super) const LAST_LEASE: &str = "last-lease";
const EPOCH: &str = "epoch";
const SCHEMA_NUMBER: &str = "schema";
const STORE: &str = "store";

pub(super) fn entry(key: &str, row: &AccessGuard<'_, EntryRow>) -> StoreEntry {
    let (create_revision, mod_revision, version, lease, value) = row.value();
    StoreEntry {
        key: key.to_owned(),
        value: value.to_vec(),
        create_revision,
        mod_revision,
        version,
        lease: (lease != 0).then_some(LeaseId(lease)),
    }
}

pub(super) fn row(entry: &StoreEntry) -> (u64, u64, u64, i64, &[u8]) {
    let lease = entry.lease.map_or(0, |lease| lease.0);
    (entry.create_revision, entry.mod_revision, entry.version, lease, &entry.value)
}

/// Makes a new database a store: empty, never opened.
pub(super) fn initialise(database: &Database, id: &str) -> Result<(), Error> {
    let txn = database.begin_write()?;
    txn.open_table(ENTRIES)?;
    txn.open_table(LEASES)?;
    txn.open_table(TEXTS)?.insert(STORE, id)?;
    {
        let mut numbers = txn.open_table(NUMBERS)?;
        numbers.insert(SCHEMA_NUMBER, u64::from(SCHEMA))?;
        numbers.insert(REVISION, 0)?;
        numbers.insert(EPOCH, 0)?;
    }
    Ok(txn.commit()?)
}

/// Gives a store that was just initialised an epoch and the content of a snapshot.
pub(super) fn fill(database: &Database, epoch: Epoch, content: Option<&Listing>) -> Result<(), Error> {
    let txn = database.begin_write()?;
    {
        let mut entries = txn.open_table(ENTRIES)?;
        for entry in content.iter().flat_map(|content| &content.entries) {
            entries.insert(entry.key.as_str(), row(entry))?;
        }
    }
    {
        let mut numbers = txn.open_table(NUMBERS)?;
        numbers.insert(EPOCH, epoch.0)?;
        numbers.insert(REVISION, content.map_or(0, |content| content.revision))?;
    }
    Ok(txn.commit()?)
}

/// The UUID and the schema number, before anything is written.
pub(super) fn read_identity(database: &Database) -> Result<(String, u64), Error> {
    let txn = database.begin_read()?;
    let id = txn.open_table(TEXTS)?.get(STORE)?.map(|text| text.value().to_owned());
    let schema = txn.open_table(NUMBERS)?.get(SCHEMA_NUMBER)?.map(|n| n.value());
    match (id, schema) {
        (Some(id), Some(schema)) => Ok((id, schema)),
        _ => Err(Error::Corrupted("it does not name its store".to_owned())),
    }
}

/// What an opening starts from.
pub(super) struct StoredState {
    pub(super) identity: StoreIdentity,
    pub(super) revision: u64,
    pub(super) last_lease: i64,
    pub(super) leases: Vec<(LeaseId, Duration)>,
    /// Keys that are attached to a lease.
    pub(super) attached: Vec<(String, LeaseId)>,
}

/// Raises the epoch, durably and at least to this, and reads what the writer keeps in memory.
pub(super) fn start(database: &Database, least: Epoch) -> Result<StoredState, Error> {
    let (id, _) = read_identity(database)?;
    let txn = database.begin_write()?;
    let start = read_start(&txn, id, least)?;
    txn.open_table(NUMBERS)?.insert(EPOCH, start.identity.epoch.0)?;
    txn.commit()?;
    Ok(start)
}

fn read_start(txn: &WriteTransaction, id: String, least: Epoch) -> Result<StoredState, Error> {
    let numbers = txn.open_table(NUMBERS)?;
    let number = |name: &str| Ok::<_, Error>(numbers.get(name)?.map(|n| n.value()));
    let missing = |name: &str| Error::Corrupted(format!("its {name} is missing"));
    let epoch = Epoch(number(EPOCH)?.ok_or_else(|| missing(EPOCH))?).next().max(least);
    let revision = number(REVISION)?.ok_or_else(|| missing(REVISION))?;
    let last_lease = i64::try_from(number(LAST_LEASE)?.unwrap_or(0)).unwrap_or(i64::MAX);

    let mut leases = Vec::new();
    for row in txn.open_table(LEASES)?.iter()? {
        let (lease, millis) = row?;
        leases.push((LeaseId(lease.value()), Duration::from_millis(millis.value())));
    }
    let mut attached = Vec::new();
    for row in txn.open_table(ENTRIES)?.iter()? {
        let (key, row) = row?;
        if let lease @ 1.. = row.value().3 {
            attached.push((key.value().to_owned(), LeaseId(lease)));
        }
    }
    Ok(StoredState {
        identity: StoreIdentity { id: StoreId::new(id), epoch },
        revision,
        last_lease,
        leases,
        attached,
    })
}

/// What a failure of the database means to callers.
pub(super) fn store_error(path: &str, error: Error) -> StoreError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
    match error {
        Error::Corrupted(reason) => damaged(reason),
        Error::Io(io) if matches!(io.kind(), InvalidData | UnexpectedEof) => damaged(io.to_string()),
        Error::UpgradeRequired(_)
        | Error::RepairAborted
        | Error::TableTypeMismatch { .. }
        | Error::TableIsMultimap(_)
        | Error::TypeDefinitionChanged { .. }
        | Error::TableDoesNotExist(_) => damaged(error.to_string()),
        Error::DatabaseClosed => StoreError::Closed,
        other => StoreError::Io(format!("{path}: {other}")),
    }
}
