//! Puts another store in the place of a directory's present one, without ever being without one.
//!
//! The new database is written in full and flushed under the name `store.redb.staged`. The next opening, which holds the lock,
//! sets the present database aside under a name of its own and puts the staged one in place. A crash between any two steps
//! leaves a directory that the next opening completes. What was set aside is never deleted here.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::paths::{StoreFiles, exists, io_error};
use crate::store::StoreError;

/// How many stores may lie aside; more than anyone keeps.
const ASIDE_MAX: u32 = 1000;

/// Completes a replacement that was staged; the caller holds the lock.
pub(super) fn complete(files: &StoreFiles) -> Result<(), StoreError> {
    let staged = files.staged();
    if !exists(&staged)? {
        return Ok(());
    }
    // First, so that no crash leaves a database with the id of another.
    match fs::remove_file(files.id()) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error(&files.id(), &error)),
        _ => {}
    }
    files.sync_dir()?;
    let path = files.database();
    if exists(&path)? {
        let aside = free_name(files)?;
        fs::rename(&path, &aside).map_err(|e| io_error(&path, &e))?;
        tracing::warn!(store = %path.display(), aside = %aside.display(), "set the store aside");
    }
    fs::rename(&staged, &path).map_err(|e| io_error(&staged, &e))?;
    files.sync_dir()
}

fn free_name(files: &StoreFiles) -> Result<PathBuf, StoreError> {
    for number in 1..=ASIDE_MAX {
        let path = files.dir.join(format!("store.redb.aside-{number}"));
        if !exists(&path)? {
            return Ok(path);
        }
    }
    let dir = files.dir.display();
    Err(StoreError::Io(format!(
        "{dir}: {ASIDE_MAX} stores were set aside here; remove some `store.redb.aside-*`"
    )))
}
