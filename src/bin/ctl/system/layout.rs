//! Where the files of the service are, below the root directory of a machine. Pure.

use std::path::{Path, PathBuf};

use super::unit::UNIT;

/// The group of the API's socket.
pub(crate) const API_GROUP: &str = "coxswain";
/// The user of the balancer, by name; the daemon only uses its number.
pub(crate) const BALANCER_USER: &str = "coxswain-balancer";

/// The paths below a root directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SystemLayout {
    root: PathBuf,
}

impl SystemLayout {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether these are the files of the running machine, and not of a directory that will become another's.
    pub(crate) fn is_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    pub(crate) fn unit(&self) -> PathBuf {
        self.root.join("etc/systemd/system").join(UNIT)
    }

    /// Where packages put the unit.
    pub(crate) fn packaged_units(&self) -> [PathBuf; 2] {
        ["usr/lib/systemd/system", "lib/systemd/system"].map(|place| self.root.join(place).join(UNIT))
    }

    /// Options of the daemon.
    pub(crate) fn options(&self) -> PathBuf {
        self.root.join("etc/default/coxswain")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("var/lib/coxswain")
    }

    /// Where completions and man pages go that do not belong to a package.
    pub(crate) fn share(&self) -> PathBuf {
        self.root.join("usr/local/share")
    }
}
