//! One scan of a directory: the texts of its manifests, or why it cannot be read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::manifest::{LIMITS, ManifestSource, is_manifest};

/// Files that are read of a directory: several for each document that a run may have.
const FILES_MAX: usize = 4 * LIMITS.documents;

/// The result of one scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scan {
    /// Its manifests, in the order of their names.
    Read(Vec<ManifestSource>),
    /// The directory itself cannot be read, and why: what it declares is unknown.
    Unreadable(String),
    /// One of its files cannot be read, and why.
    Broken(String),
}

/// Reads the directory's own files; subdirectories do not count, whatever they are called.
pub(super) fn scan(directory: &Path) -> Scan {
    let names = match names(directory) {
        Ok(names) => names,
        Err(error) => return Scan::Unreadable(format!("{}: {error}", directory.display())),
    };
    if names.len() > FILES_MAX {
        return Scan::Broken(format!("{}: more than the {FILES_MAX} manifests allowed", directory.display()));
    }
    let mut sources = Vec::new();
    let mut room = LIMITS.run as u64;
    for path in names {
        // A byte more than a run may have: its parser then refuses it by name.
        match read(&path, room + 1) {
            Ok(Some(bytes)) => {
                let length = bytes.len() as u64;
                sources.push(ManifestSource::new(path.display().to_string(), bytes));
                if length > room {
                    break;
                }
                room -= length;
            }
            Ok(None) => {}
            Err(error) => return Scan::Broken(format!("{}: {error}", path.display())),
        }
    }
    Scan::Read(sources)
}

/// The manifests by name, one more than there may be at most.
fn names(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let manifests = paths.filter(|path| path.as_ref().map_or(true, |path| is_manifest(path)));
    let mut names: Vec<PathBuf> = manifests.take(FILES_MAX + 1).collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// The beginning of a file; `None` for a directory, and for a file that is gone since it was listed.
fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let kind = match fs::metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) if path.is_symlink() => return Err(io::Error::other("is a dangling link")),
        Err(_) => return Ok(None),
    };
    if kind.is_dir() {
        return Ok(None);
    }
    if !kind.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    // Should a pipe have taken its place by now, opening it does not wait for a writer.
    let file = match File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn scan_reads_manifests_in_order_and_ignores_other_files() {
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
    fn scan_of_an_unreadable_file_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        fs::write(&file, "a").unwrap();
        for path in [file.clone(), dir.path().join("nowhere")] {
            let Scan::Unreadable(why) = scan(&path) else { panic!("{path:?} is no directory") };
            assert!(why.starts_with(&path.display().to_string()), "{why}");
        }
    }

    #[test]
    fn scan_names_what_is_not_a_regular_file() {
        let pipe = |path: &Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).unwrap());
        let link = |to: &'static str| move |path: &Path| symlink(to, path).unwrap();
        type Make<'a> = &'a dyn Fn(&Path);
        let rows: [(Make<'_>, &str); 5] = [
            (&pipe, "is not a regular file"),
            (&socket, "is not a regular file"),
            (&link("/dev/zero"), "is not a regular file"),
            (&link("nowhere"), "is a dangling link"),
            // A file that even root cannot read.
            (&link("x.yaml"), "levels of symbolic links"),
        ];
        for (make, expected) in rows {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x.yaml");
            make(&path);
            let Scan::Broken(why) = scan(dir.path()) else { panic!("{expected}: {:?}", scan(dir.path())) };
            assert!(why.starts_with(&path.display().to_string()) && why.contains(expected), "{why}");
        }
    }

    #[test]
    fn scan_follows_links() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (version, text) in [("..1", "a: 1"), ("..2", "a: 2")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("a.yaml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/a.yaml", at("a.yaml")).unwrap();
        let text = || match scan(dir.path()) {
            Scan::Read(sources) => sources.into_iter().map(|source| source.bytes).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(), [b"a: 1"]);
        symlink("..2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        assert_eq!(text(), [b"a: 2"]);
    }

    #[test]
    fn scan_stops_at_limits_of_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let huge = File::create(dir.path().join("a.yaml")).unwrap();
        huge.set_len(1 << 40).unwrap();
        fs::write(dir.path().join("b.yaml"), "b").unwrap();
        let Scan::Read(sources) = scan(dir.path()) else { panic!("it can be read") };
        let lengths: Vec<usize> = sources.iter().map(|source| source.bytes.len()).collect();
        assert_eq!(lengths, [LIMITS.run + 1]);
        assert!(crate::manifest::parse(&sources).unwrap_err()[0].to_string().contains("more than 16 MiB"));

        let dir = tempfile::tempdir().unwrap();
        for n in 0..=FILES_MAX {
            File::create(dir.path().join(format!("{n}.yaml"))).unwrap();
        }
        assert!(matches!(scan(dir.path()), Scan::Broken(_)));
    }
}
