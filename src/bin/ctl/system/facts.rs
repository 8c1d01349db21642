//! What an install finds on the machine.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use coxswain::api::codes;
use coxswain::api::types::ErrorDetail;
use coxswain::daemon::BALANCER_ID;
use coxswain::model::io_error_text;
use nix::unistd::Uid;

use super::layout::{API_GROUP, BALANCER_USER, SystemLayout};
use super::unit::UNIT;
use crate::account_files::{has_name, name_of_id};
use crate::error::CliError;

/// Facts that a plan depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SystemFacts {
    /// The running program, by the path that the unit would start.
    pub(crate) executable: PathBuf,
    pub(crate) is_root: bool,
    /// Text of each file of interest that exists.
    pub(crate) files: BTreeMap<PathBuf, String>,
    pub(crate) state_exists: bool,
    pub(crate) api_group_exists: bool,
    /// Names of the user and the group that have the balancer's number.
    pub(crate) balancer_user: Option<String>,
    pub(crate) balancer_group: Option<String>,
    /// Whether systemd is the init of this machine.
    pub(crate) systemd_runs: bool,
    /// Whether the service is active.
    pub(crate) service_runs: bool,
}

impl SystemFacts {
    /// Looks at these files, and at users and groups if the layout is this machine's.
    pub(crate) fn collect(layout: &SystemLayout, files: &[PathBuf]) -> Result<Self, CliError> {
        let executable =
            std::env::current_exe().map_err(|error| failed(Path::new("/proc/self/exe"), &error))?;
        let mut found = BTreeMap::new();
        for path in files {
            match fs::read(path) {
                Ok(bytes) => drop(found.insert(path.clone(), String::from_utf8_lossy(&bytes).into_owned())),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) => return Err(failed(path, &error)),
            }
        }
        let facts = Self {
            executable,
            is_root: Uid::effective().is_root(),
            files: found,
            state_exists: layout.state().exists(),
            ..Self::default()
        };
        if !layout.is_this_machine() {
            return Ok(facts);
        }
        let read = |path: &str| fs::read_to_string(path).map_err(|error| failed(Path::new(path), &error));
        let users = read("/etc/passwd")?;
        let groups = read("/etc/group")?;
        Ok(Self {
            api_group_exists: has_name(&groups, API_GROUP),
            balancer_user: name_of_id(&users, BALANCER_ID).map(str::to_owned),
            balancer_group: name_of_id(&groups, BALANCER_ID).map(str::to_owned),
            systemd_runs: Path::new("/run/systemd/system").is_dir(),
            service_runs: is_active(),
            ..facts
        })
    }

    /// Whether the balancer's number has the name that an install gives it.
    pub(crate) fn has_balancer_user(&self) -> bool {
        self.balancer_user.as_deref() == Some(BALANCER_USER)
    }

    pub(crate) fn has_balancer_group(&self) -> bool {
        self.balancer_group.as_deref() == Some(BALANCER_USER)
    }
}

/// Without systemctl there is no active service.
fn is_active() -> bool {
    let asked = Command::new("systemctl").args(["--quiet", "is-active", UNIT]).stdin(Stdio::null()).output();
    asked.is_ok_and(|output| output.status.success())
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    let why = vec![format!("{}: {}", path.display(), io_error_text(error))];
    ErrorDetail { why, ..codes::FILE_UNREADABLE.detail("cannot look at the machine") }.into()
}
