//! Where a state directory is: to distinguish a copy from a directory that was moved.
//!
//! A daemon on a copy would take the other daemon's containers for its own: it has the same store.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StartError;

const FILE: &str = "location.json";

/// A directory: by its name, and by what the file system calls it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StateLocation {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl StateLocation {
    fn of(path: &Path) -> std::io::Result<Self> {
        let path = path.canonicalize()?;
        let found = fs::metadata(&path)?;
        Ok(Self { device: found.dev(), inode: found.ino(), path })
    }

    fn is_same_directory(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// Refuses a copy, and records where the directory is. One that was moved, or restored to its place, is none: the original is not
/// there any more.
///
/// # Errors
/// [`StartError::CopiedStateDir`]; or the directory cannot be read.
pub(super) fn check_location(directory: &Path) -> anyhow::Result<()> {
    let here = StateLocation::of(directory)?;
    let file = directory.join(FILE);
    let recorded: Option<StateLocation> = match fs::read(&file) {
        // One that cannot be understood says nothing.
        Ok(bytes) => serde_json::from_slice(&bytes).ok(),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let Some(recorded) = recorded else { return record(&file, &here) };
    if recorded == here {
        return Ok(());
    }
    let original = StateLocation::of(&recorded.path).ok();
    let is_there = original.is_some_and(|now| now.is_same_directory(&recorded));
    if is_there && recorded.path != here.path && !recorded.is_same_directory(&here) {
        let directory = directory.to_owned();
        return Err(StartError::CopiedStateDir { directory, original: recorded.path }.into());
    }
    tracing::info!(from = %recorded.path.display(), to = %here.path.display(), "the state directory was moved");
    record(&file, &here)
}

fn record(file: &Path, here: &StateLocation) -> anyhow::Result<()> {
    match fs::write(file, serde_json::to_vec(here)?) {
        // A full disk must not keep a daemon from starting.
        Err(error) if error.kind() != ErrorKind::StorageFull => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_is_refused_while_the_original_is_there_and_a_moved_directory_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two, three) = (dir.path().join("one"), dir.path().join("two"), dir.path().join("three"));
        fs::create_dir(&one).unwrap();
        check_location(&one).unwrap();
        check_location(&one).unwrap();
        fs::create_dir(&two).unwrap();
        fs::copy(one.join(FILE), two.join(FILE)).unwrap();
        let refused = check_location(&two).unwrap_err().to_string();
        assert!(refused.contains("/one") && refused.contains("/two"), "{refused}");

        std::os::unix::fs::symlink(&one, &three).unwrap();
        check_location(&three).unwrap();
        fs::remove_file(&three).unwrap();
        fs::rename(&one, &three).unwrap();
        check_location(&three).unwrap();
        // The copy was made of a directory that is elsewhere now.
        check_location(&two).unwrap();
        // Restored in place: another inode.
        fs::rename(&two, dir.path().join("old")).unwrap();
        fs::create_dir(&two).unwrap();
        fs::copy(dir.path().join("old").join(FILE), two.join(FILE)).unwrap();
        check_location(&two).unwrap();
    }
}
