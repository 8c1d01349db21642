//! Reads the manifests that `-f` names: files, directories and standard input.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use coxswain::api::codes;
use coxswain::api::types::ErrorDetail;
use coxswain::manifest::{LIMITS, ManifestSource, is_manifest};
use coxswain::model::io_error_text;

use crate::error::CliError;

/// Nesting limit for `-R`; deeper is a mistake or a symlink loop.
const MAX_DEPTH: usize = 16;
const STDIN_ARGUMENT: &str = "-";
/// How messages call standard input.
const STDIN_NAME: &str = "<stdin>";

/// `-f` and `-R`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FileArgs {
    /// Manifest file, directory (its *.yaml, *.yml and *.json) or `-` for standard input; may be repeated
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR|-", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Read directories recursively
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
}

impl FileArgs {
    /// Reads all of them in the order given and reports every unreadable one at once.
    pub(crate) fn read(&self) -> Result<Vec<ManifestSource>, CliError> {
        let mut sources = Vec::new();
        let mut why = Vec::new();
        for path in &self.files {
            let found = if path.as_os_str() == STDIN_ARGUMENT {
                Ok(vec![path.clone()])
            } else {
                self.expand(path, 0)
            };
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
        Err(ErrorDetail { why, ..codes::FILE_UNREADABLE.detail("the manifests cannot be read") }.into())
    }

    /// The path itself, or the manifests in the directory, sorted by name.
    fn expand(&self, path: &Path, depth: usize) -> Result<Vec<PathBuf>, String> {
        let reason = |error: io::Error| format!("{}: {}", path.display(), io_error_text(&error));
        if !fs::metadata(path).map_err(reason)?.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        if depth > MAX_DEPTH {
            return Err(format!("{}: more than {MAX_DEPTH} directories deep", path.display()));
        }
        let entries = fs::read_dir(path).map_err(reason)?;
        let mut entries: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()
            .map_err(reason)?;
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
            return Err(format!("{}: no *.yaml, *.yml or *.json in this directory", path.display()));
        }
        Ok(files)
    }
}

fn read(path: &Path) -> Result<ManifestSource, String> {
    let (name, bytes) = if path.as_os_str() == STDIN_ARGUMENT {
        (STDIN_NAME.to_owned(), bounded(io::stdin().lock()))
    } else {
        (path.display().to_string(), File::open(path).and_then(bounded))
    };
    match bytes {
        Ok(bytes) if bytes.len() > LIMITS.run => {
            Err(format!("{name}: larger than {} MiB, the limit per run", LIMITS.run >> 20))
        }
        Ok(bytes) => Ok(ManifestSource::new(name, bytes)),
        Err(error) => Err(format!("{name}: {}", io_error_text(&error))),
    }
}

/// Reads at most one byte more than the limit: a pipe or device may never end.
fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(LIMITS.run as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
