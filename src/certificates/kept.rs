//! The last good pair of each host on disk: files may be broken when the daemon starts, and what served must continue to serve.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::pair::{CertificatePair, PairPaths};
use super::private_file;
use crate::model::HostPattern;

/// A directory with a file for each host, which has key and certificates.
#[derive(Debug)]
pub(super) struct KeptPairs {
    directory: PathBuf,
}

impl KeptPairs {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The pair of a host, if there is a sound file.
    pub(super) fn load(&self, host: &HostPattern) -> Option<CertificatePair> {
        let path = self.path(host);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read a kept certificate");
                return None;
            }
        };
        let shown = path.display().to_string();
        // without the boundary there is no key in the first part, and the error says so
        let (key, chain) = text.split_once(BOUNDARY).unwrap_or(("", &text));
        match CertificatePair::read(chain, key, PairPaths { cert: &shown, key: &shown }) {
            Ok(pair) => Some(pair),
            Err(error) => {
                tracing::warn!(%error, "a kept certificate cannot be used");
                None
            }
        }
    }

    /// Keeps a pair.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn save(&self, host: &HostPattern, pair: &CertificatePair) -> io::Result<()> {
        private_file::make_directory(&self.directory)?;
        let text = format!("{}{BOUNDARY}{}", pair.served.key.secret(), pair.served.chain);
        private_file::write(&self.path(host), &text)
    }

    /// Removes the pairs of all other hosts.
    pub(super) fn retain(&self, hosts: &[&HostPattern]) {
        let wanted: Vec<PathBuf> = hosts.iter().map(|host| self.path(host)).collect();
        let Ok(found) = fs::read_dir(&self.directory) else { return };
        for path in found.flatten().map(|entry| entry.path()) {
            if !wanted.contains(&path)
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove the certificate of a host that wants none");
            }
        }
    }

    fn path(&self, host: &HostPattern) -> PathBuf {
        let name = host.to_string().replace('*', "_");
        Path::new(&self.directory).join(format!("{name}.pem"))
    }
}

/// Between key and certificates in a file; PEM ignores text between its blocks.
const BOUNDARY: &str = "\n# certificate\n";
