//! Stores whose containers are left alone for good: the user started over, or went back to another store.
//!
//! A file of the state directory, because it must outlive every store: an id a line. While a replacement is on its way, a second
//! file says that whatever other stores have containers here is to be added.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::model::StoreId;

/// The record of one state directory.
#[derive(Debug, Clone)]
pub struct LeftStores {
    dir: PathBuf,
}

impl LeftStores {
    /// The record of this directory; nothing is read yet.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    fn file(&self) -> PathBuf {
        self.dir.join("left-stores")
    }

    fn announced(&self) -> PathBuf {
        self.dir.join("left-stores.all")
    }

    /// The next start leaves the containers of all other stores alone.
    ///
    /// # Errors
    /// The file system's.
    pub fn announce(&self) -> Result<(), StoreError> {
        let path = self.announced();
        File::create(&path).and_then(|file| file.sync_all()).map_err(|error| failed(&path, &error))
    }

    /// The replacement did not come about.
    ///
    /// # Errors
    /// The file system's.
    pub fn withdraw(&self) -> Result<(), StoreError> {
        match fs::remove_file(self.announced()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&self.announced(), &error)),
            _ => Ok(()),
        }
    }

    /// Whether that was announced.
    pub fn is_announced(&self) -> bool {
        self.announced().exists()
    }

    /// The stores that are left.
    ///
    /// # Errors
    /// The file system's.
    pub fn read(&self) -> Result<BTreeSet<StoreId>, StoreError> {
        let path = self.file();
        match fs::read_to_string(&path) {
            Ok(text) => {
                Ok(text.lines().map(str::trim).filter(|id| !id.is_empty()).map(StoreId::new).collect())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    /// Adds stores, and ends an announcement.
    ///
    /// # Errors
    /// The file system's.
    pub fn add(&self, stores: &BTreeSet<StoreId>) -> Result<(), StoreError> {
        let known = self.read()?;
        let path = self.file();
        let append = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            for store in stores.difference(&known) {
                writeln!(file, "{store}")?;
            }
            file.sync_all()
        };
        if !stores.is_subset(&known) {
            append().map_err(|error| failed(&path, &error))?;
        }
        self.withdraw()
    }

    /// Takes a store off the record: it is the present one again, and its containers are watched over.
    ///
    /// # Errors
    /// The file system's.
    pub fn remove(&self, store: &StoreId) -> Result<(), StoreError> {
        let mut known = self.read()?;
        if !known.remove(store) {
            return Ok(());
        }
        let path = self.file();
        let unfinished = self.dir.join("left-stores.new");
        let write = || -> io::Result<()> {
            let mut file = File::create(&unfinished)?;
            for store in &known {
                writeln!(file, "{store}")?;
            }
            file.sync_all()?;
            fs::rename(&unfinished, &path)
        };
        write().map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Io(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_added_once_and_an_announcement_ends() {
        let dir = tempfile::tempdir().unwrap();
        let left = LeftStores::new(dir.path());
        assert_eq!((left.read().unwrap(), left.is_announced()), ([].into(), false));
        left.announce().unwrap();
        assert!(left.is_announced());
        left.add(&["a".into()].into()).unwrap();
        left.add(&["a".into(), "b".into()].into()).unwrap();
        assert_eq!((left.read().unwrap(), left.is_announced()), (["a".into(), "b".into()].into(), false));
        assert_eq!(fs::read_to_string(dir.path().join("left-stores")).unwrap(), "a\nb\n");
        left.remove(&"a".into()).unwrap();
        left.remove(&"c".into()).unwrap();
        assert_eq!(left.read().unwrap(), ["b".into()].into());
    }
}
