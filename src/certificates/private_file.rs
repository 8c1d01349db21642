//! Files that only their owner can read, written whole or not at all.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// Creates a directory that only its owner can enter, and its parents, where they are missing.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}

/// Puts a file in place, on disk when this returns.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let spare = path.with_extension("new");
    // one of an earlier attempt may have another mode
    match fs::remove_file(&spare) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(FILE_MODE).open(&spare)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&spare, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
