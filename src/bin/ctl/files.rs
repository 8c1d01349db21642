//! The manifests that `-f` names: files, directories and standard input, as texts.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use coxswain::api::codes;
use coxswain::api::types::ApiError;
use coxswain::manifest::{LIMITS, Source, is_manifest};

use crate::error::CliError;

/// Directories within directories with `-R`; deeper is a mistake or a loop of links.
const MAX_DEPTH: usize = 16;
/// What stands for standard input, and what it is called in messages.
const STDIN: (&str, &str) = ("-", "<stdin>");

/// Which manifests to read.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FileArgs {
    /// A file, a directory (its *.yaml, *.yml and *.json) or `-` for standard input; may be repeated
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR|-", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Read directories with what lies under them
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
}

impl FileArgs {
    /// Reads them all, in the order they were named; everything that cannot be read is reported at once.
    pub(crate) fn read(&self) -> Result<Vec<Source>, CliError> {
        let mut sources = Vec::new();
        let mut why = Vec::new();
        for path in &self.files {
            let found =
                if path.as_os_str() == STDIN.0 { Ok(vec![path.clone()]) } else { self.expand(path, 0) };
            for path in found.unwrap_or_else(|reason| {
                why.push(reason);
                Vec::new()
            }) {
                match read(&path) {
                    Ok(source) => sources.push(source),
                    Err(reason) => why.push(reason),
                }
            }
        }
        if why.is_empty() {
            return Ok(sources);
        }
        Err(ApiError { why, ..codes::FILE_UNREADABLE.error("the manifests cannot be read") }.into())
    }

    /// The files that a path stands for: itself, or what a directory holds, in the order of the names.
    fn expand(&self, path: &Path, depth: usize) -> Result<Vec<PathBuf>, String> {
        let said = |error: io::Error| format!("{}: {}", path.display(), spoken(&error));
        if !fs::metadata(path).map_err(said)?.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        if depth > MAX_DEPTH {
            return Err(format!("{}: more than {MAX_DEPTH} directories deep", path.display()));
        }
        let entries = fs::read_dir(path).map_err(said)?;
        let mut entries: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>().map_err(said)?;
        entries.sort();
        let mut files = Vec::new();
        for entry in entries {
            if entry.is_dir() {
                if self.recursive {
                    files.extend(self.expand(&entry, depth + 1)?);
                }
            } else if is_manifest(&entry) {
                files.push(entry);
            }
        }
        if files.is_empty() && depth == 0 {
            return Err(format!("{}: the directory has no *.yaml, *.yml or *.json", path.display()));
        }
        Ok(files)
    }
}

fn read(path: &Path) -> Result<Source, String> {
    let (name, bytes) = if path.as_os_str() == STDIN.0 {
        (STDIN.1.to_owned(), bounded(io::stdin().lock()))
    } else {
        (path.display().to_string(), File::open(path).and_then(bounded))
    };
    match bytes {
        Ok(bytes) if bytes.len() > LIMITS.run => {
            Err(format!("{name}: larger than {} MiB, the most a run may have", LIMITS.run >> 20))
        }
        Ok(bytes) => Ok(Source::new(name, bytes)),
        Err(error) => Err(format!("{name}: {}", spoken(&error))),
    }
}

/// At most one byte more than a run may have, whatever the file claims to be.
fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(LIMITS.run as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The reason without the number of the system call's error.
pub(crate) fn spoken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "is not a directory".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => error.to_string(),
    }
}
