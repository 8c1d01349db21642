//! The steps of an install or uninstall, and how each is printed before or after it is done. Pure.

use std::mem::Discriminant;
use std::path::{Path, PathBuf};

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

/// The steps in groups of one line each: what is done to man pages, of which there is one per command, is one line.
pub(crate) fn groups(steps: &[Step]) -> impl Iterator<Item = &[Step]> {
    steps.chunk_by(|one, next| page_change(one).is_some() && page_change(one) == page_change(next))
}

/// The line of a group.
pub(crate) fn group_line(group: &[Step], mode: StepMode) -> String {
    match group {
        [] => String::new(),
        [step] => step.line(mode),
        [first, ..] => {
            let path = page(first).unwrap_or(Path::new(""));
            let directory = path.parent().unwrap_or(path).display();
            let pages = format!("{} man pages in {directory}", group.len());
            first.line(mode).replacen(&path.display().to_string(), &pages, 1)
        }
    }
}

/// What is done to a man page, and whether the page was there.
fn page_change(step: &Step) -> Option<(Discriminant<Step>, bool)> {
    page(step)?;
    Some((std::mem::discriminant(step), matches!(step, Step::WriteFile { replaces: true, .. })))
}

/// The man page that a step is about.
fn page(step: &Step) -> Option<&Path> {
    let path = match step {
        Step::WriteFile { path, .. } | Step::RemoveFile { path } => path.as_path(),
        Step::Keep { what, .. } => Path::new(what),
        _ => return None,
    };
    path.parent().filter(|parent| parent.ends_with("man/man1")).map(|_| path)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_man_pages_are_one_line_each() {
        let write = |name: &str, replaces| Step::WriteFile {
            path: PathBuf::from("/share/man/man1").join(name),
            text: String::new(),
            replaces,
        };
        let kept = Step::Keep { what: "/etc/default/coxswain".to_owned(), reason: "unchanged" };
        let steps = [kept, write("ctl.1", false), write("ctl-get.1", false), write("ctl-why.1", true)];
        let lines: Vec<String> = groups(&steps).map(|group| group_line(group, StepMode::CarryOut)).collect();
        let expected = [
            "= /etc/default/coxswain  unchanged",
            "+ wrote 2 man pages in /share/man/man1",
            "~ replaced /share/man/man1/ctl-why.1",
        ];
        assert_eq!(lines, expected);
    }
}
