//! A file that has its name only once it is whole and on disk.

use std::fs::{File, hard_link, remove_file, rename};
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Written as `NAME.partial`, which is removed where it is not kept.
pub(crate) struct NewFile {
    name: PathBuf,
    partial: PathBuf,
    file: File,
}

impl NewFile {
    /// For its user alone: it may hold secrets.
    ///
    /// # Errors
    /// There is such a file, or it cannot be made.
    pub(crate) fn create(name: &Path) -> Result<Self> {
        if name.symlink_metadata().is_ok() {
            return Err(Error::from(ErrorKind::AlreadyExists));
        }
        let mut partial = name.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        // What an interrupted command has left; never written to, because it may be a link to anywhere.
        drop(remove_file(&partial));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&partial)?;
        Ok(Self { name: name.to_owned(), partial, file })
    }

    /// # Errors
    /// The disk's.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes)
    }

    /// Gives it its name; never that of a file that came meanwhile.
    ///
    /// # Errors
    /// The disk's, or there is such a file.
    pub(crate) fn keep(self) -> Result<()> {
        self.file.sync_all()?;
        match hard_link(&self.partial, &self.name) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
            // A file system without links.
            Err(_) => rename(&self.partial, &self.name)?,
            Ok(()) => {}
        }
        let directory = self.name.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // The whole file has its other name by now; half of one is none.
        drop(remove_file(&self.partial));
    }
}
