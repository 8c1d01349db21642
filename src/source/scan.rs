//! One look at a directory: the texts of its manifests, or why it cannot be read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::manifest::{LIMITS, Source, is_manifest};

/// What a look at the directory saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// Its manifests, in the order of their names.
    Read(Vec<Source>),
    /// The directory itself cannot be read, and why: nothing can be said of what it declares.
    Unreadable(String),
    /// It can, and one of its files cannot.
    Broken(String),
}

/// Looks at the directory's own files; what lies in directories within it does not count.
pub fn scan(directory: &Path) -> Scan {
    let names = match names(directory) {
        Ok(names) => names,
        Err(error) => return Scan::Unreadable(format!("{}: {error}", directory.display())),
    };
    let mut sources = Vec::new();
    let mut room = LIMITS.run as u64;
    for path in names {
        // A byte more than a run may have: its parser then refuses it by name.
        match File::open(&path).and_then(|file| bounded(file, room + 1)) {
            Ok(bytes) => {
                room = room.saturating_sub(bytes.len() as u64);
                sources.push(Source::new(path.display().to_string(), bytes));
            }
            // It went between the listing and here: the next look says so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Scan::Broken(format!("{}: {error}", path.display())),
        }
    }
    Scan::Read(sources)
}

fn names(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?;
    let paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    let mut names: Vec<PathBuf> =
        paths.into_iter().filter(|path| is_manifest(path) && !path.is_dir()).collect();
    names.sort();
    Ok(names)
}

fn bounded(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_read_in_order_and_the_rest_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in
            [("b.yaml", "b"), ("a.yml", "a"), ("c.json", "c"), (".d.yaml", "d"), ("e.txt", "e")]
        {
            fs::write(dir.path().join(name), text).unwrap();
        }
        fs::create_dir(dir.path().join("f.yaml")).unwrap();
        let Scan::Read(sources) = scan(dir.path()) else { panic!("it can be read") };
        let texts: Vec<&[u8]> = sources.iter().map(|source| source.bytes.as_slice()).collect();
        assert_eq!(texts, [b"a", b"b", b"c"]);
        assert!(sources[0].name.ends_with("/a.yml"));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        fs::write(&file, "a").unwrap();
        for path in [file.clone(), dir.path().join("nowhere")] {
            let Scan::Unreadable(why) = scan(&path) else { panic!("{path:?} is no directory") };
            assert!(why.starts_with(&path.display().to_string()), "{why}");
        }
        // A file that even root cannot read.
        std::os::unix::fs::symlink("loop.yaml", dir.path().join("loop.yaml")).unwrap();
        assert!(matches!(scan(dir.path()), Scan::Broken(_)), "{:?}", scan(dir.path()));
    }
}
