//! The program of the supervisor, by the path that it was started with: where an upgrade puts the next version.
//!
//! `/proc/self/exe` names the old file, which is deleted by then. A link in the path is kept, because an upgrade may point it
//! elsewhere.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The running program, whatever became of its file.
const RUNNING: &str = "/proc/self/exe";

/// The path of this process's program. Call it at the start: later the file may be another one.
pub(super) fn own_path() -> Option<PathBuf> {
    let typed = std::env::args_os().next().unwrap_or_default();
    let search = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = candidates(&typed, &search).into_iter();
    candidates.find(|path| is_same_file(path, Path::new(RUNNING))).or_else(linked_path)
}

/// What a shell or a service manager may have started when this was typed.
fn candidates(typed: &OsStr, search: &OsStr) -> Vec<PathBuf> {
    if typed.is_empty() {
        return Vec::new();
    }
    if typed.as_bytes().contains(&b'/') {
        return std::path::absolute(typed).into_iter().collect();
    }
    std::env::split_paths(search)
        .map(|directory| directory.join(typed))
        .filter(|path| path.is_absolute())
        .collect()
}

/// Where the kernel found it, with all links resolved.
fn linked_path() -> Option<PathBuf> {
    let path = fs::read_link(RUNNING).ok()?;
    is_same_file(&path, Path::new(RUNNING)).then_some(path)
}

/// A file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// Of the file at this path.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    FileIdentity::of(one).is_ok_and(|one| FileIdentity::of(other).is_ok_and(|other| one == other))
}

/// The command line of this process, without its program.
pub(super) fn own_arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_path_is_made_absolute_and_a_name_is_searched() {
        let here = std::env::current_dir().unwrap();
        for (typed, search, expected) in [
            ("/usr/bin/ctl", "/bin", vec![PathBuf::from("/usr/bin/ctl")]),
            ("target/ctl", "/bin", vec![here.join("target/ctl")]),
            ("ctl", "/bin:/usr/bin", vec!["/bin/ctl".into(), "/usr/bin/ctl".into()]),
            ("ctl", "", vec![]),
            ("", "/bin", vec![]),
        ] {
            assert_eq!(candidates(typed.as_ref(), search.as_ref()), expected, "{typed}");
        }
    }

    #[test]
    fn own_path_leads_to_the_running_program() {
        assert!(is_same_file(&own_path().unwrap(), &std::env::current_exe().unwrap()));
    }
}
