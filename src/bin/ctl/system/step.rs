//! The steps of an install or uninstall, and how each is printed before or after it is done. Pure.

use std::path::PathBuf;

/// A change to the machine, or something that is deliberately left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    CreateGroup {
        name: &'static str,
        id: Option<u32>,
    },
    CreateUser {
        name: &'static str,
        id: u32,
        group: &'static str,
    },
    DeleteUser {
        name: &'static str,
    },
    DeleteGroup {
        name: &'static str,
    },
    CreateDirectory {
        path: PathBuf,
        mode: u32,
    },
    WriteFile {
        path: PathBuf,
        text: String,
        replaces: bool,
    },
    RemoveFile {
        path: PathBuf,
    },
    RemoveDirectory {
        path: PathBuf,
    },
    /// Arguments of `systemctl`, and what they do.
    Systemctl {
        arguments: &'static [&'static str],
        done: &'static str,
        planned: &'static str,
    },
    /// Nothing to do, and why.
    Keep {
        what: String,
        reason: &'static str,
    },
}

/// Whether the steps are carried out or only shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepMode {
    CarryOut,
    DryRun,
}

impl Step {
    /// One line about the step.
    pub(crate) fn line(&self, mode: StepMode) -> String {
        let verb = |done: &'static str, planned: &'static str| match mode {
            StepMode::CarryOut => done.to_owned(),
            StepMode::DryRun => format!("would {planned}"),
        };
        match self {
            Self::CreateGroup { name, id: None } => format!("+ {} group {name}", verb("created", "create")),
            Self::CreateGroup { name, id: Some(id) } => {
                format!("+ {} group {name} (id {id})", verb("created", "create"))
            }
            Self::CreateUser { name, id, .. } => {
                format!("+ {} user {name} (id {id})", verb("created", "create"))
            }
            Self::DeleteUser { name } => format!("- {} user {name}", verb("deleted", "delete")),
            Self::DeleteGroup { name } => format!("- {} group {name}", verb("deleted", "delete")),
            Self::CreateDirectory { path, mode } => {
                format!("+ {} directory {} (mode {mode:04o})", verb("created", "create"), path.display())
            }
            Self::WriteFile { path, replaces: false, .. } => {
                format!("+ {} {}", verb("wrote", "write"), path.display())
            }
            Self::WriteFile { path, replaces: true, .. } => {
                format!("~ {} {}", verb("replaced", "replace"), path.display())
            }
            Self::RemoveFile { path } => format!("- {} {}", verb("removed", "remove"), path.display()),
            Self::RemoveDirectory { path } => {
                format!("- {} {} and all that is in it", verb("removed", "remove"), path.display())
            }
            Self::Systemctl { done, planned, .. } => format!("~ {}", verb(done, planned)),
            Self::Keep { what, reason } => format!("= {what}  {reason}"),
        }
    }
}

/// `useradd`, `systemctl` and the like, as a program with its arguments; `None` for a step that changes files only.
pub(crate) fn command(step: &Step) -> Option<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    match step {
        Step::CreateGroup { name, id: None } => Some(words(&["groupadd", "--system", name])),
        Step::CreateGroup { name, id: Some(id) } => {
            Some(words(&["groupadd", "--system", "--gid", &id.to_string(), name]))
        }
        Step::CreateUser { name, id, group } => Some(words(&[
            "useradd",
            "--system",
            "--uid",
            &id.to_string(),
            "--gid",
            group,
            "--home-dir",
            "/nonexistent",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            name,
        ])),
        Step::DeleteUser { name } => Some(words(&["userdel", name])),
        Step::DeleteGroup { name } => Some(words(&["groupdel", name])),
        Step::Systemctl { arguments, .. } => {
            Some(std::iter::once("systemctl").chain(arguments.iter().copied()).map(str::to_owned).collect())
        }
        Step::CreateDirectory { .. }
        | Step::WriteFile { .. }
        | Step::RemoveFile { .. }
        | Step::RemoveDirectory { .. }
        | Step::Keep { .. } => None,
    }
}
