//! Reads a certificate and its key from files of the node.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use jiff::Timestamp;
use nix::libc::O_NONBLOCK;

use super::pair::{CertificatePair, PairPaths};
use super::problem::CertificateProblem;
use crate::model::{HostPattern, io_error_text};

/// A chain of ten certificates with large keys has 20 KiB.
const FILE_MAX_BYTES: u64 = 256 << 10;

/// The text of both files.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PairText {
    chain: String,
    key: String,
}

impl PairText {
    /// Reads both files.
    ///
    /// # Errors
    /// One cannot be read.
    pub(super) fn read(paths: PairPaths<'_>) -> Result<Self, CertificateProblem> {
        Ok(Self { chain: read(paths.cert)?, key: read(paths.key)? })
    }

    pub(super) fn pair(&self, paths: PairPaths<'_>) -> Result<CertificatePair, CertificateProblem> {
        CertificatePair::read(&self.chain, &self.key, paths)
    }
}

/// Whether the certificate in these files can serve a host now.
///
/// # Errors
/// Why it cannot.
pub fn check_files(
    cert: &str,
    key: &str,
    host: &HostPattern,
    now: Timestamp,
) -> Result<(), CertificateProblem> {
    let paths = PairPaths { cert, key };
    let pair = PairText::read(paths)?.pair(paths)?;
    pair.facts.fault(host, cert, now).map_or(Ok(()), Err)
}

fn read(path: &str) -> Result<String, CertificateProblem> {
    read_text(path)
        .map_err(|error| CertificateProblem::Unreadable { path: path.to_owned(), why: io_error_text(&error) })
}

/// A file of another kind than a regular one would keep the reader waiting, or never end.
fn read_text(path: &str) -> io::Result<String> {
    let file = File::options().read(true).custom_flags(O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {} KiB", FILE_MAX_BYTES >> 10)));
    }
    Ok(text)
}
