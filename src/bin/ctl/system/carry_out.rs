//! Carries out the steps of a plan, one after the other, each printed when it is done.
//!
//! Invariants: a file is never half written (a reader sees the old or the new text); every program has a deadline; after a
//! failed step nothing more is done, and running the command again continues.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use coxswain::api::codes;
use coxswain::api::types::ErrorDetail;
use coxswain::model::io_error_text;

use super::step::{Step, StepMode, command, group_line, groups};
use crate::error::CliError;
use crate::output::Ui;

/// `systemctl start` waits until the daemon is ready (at most TimeoutStartSec of the unit, five minutes), `stop` until requests
/// in flight have finished.
const PROGRAM_MAX: Duration = Duration::from_secs(330);
/// Mode of files that everyone may read.
const FILE_MODE: u32 = 0o644;
/// The end of a program's output that a message shows.
const OUTPUT_LINES: usize = 5;

/// Carries out and prints each step; a dry run only prints.
pub(crate) async fn carry_out(ui: &Ui, steps: &[Step], mode: StepMode) -> Result<(), CliError> {
    for group in groups(steps) {
        if mode == StepMode::CarryOut {
            for step in group {
                one(step).await?;
            }
        }
        ui.out(&group_line(group, mode))?;
    }
    Ok(())
}

async fn one(step: &Step) -> Result<(), CliError> {
    if let Some(words) = command(step) {
        return run(step, &words).await;
    }
    let done = match step {
        Step::CreateDirectory { path, mode } => {
            DirBuilder::new().recursive(true).mode(*mode).create(path).map_err(|error| (path, error))
        }
        Step::WriteFile { path, text, .. } => write(path, text).map_err(|error| (path, error)),
        Step::RemoveFile { path } => gone(fs::remove_file(path)).map_err(|error| (path, error)),
        Step::RemoveDirectory { path } => gone(fs::remove_dir_all(path)).map_err(|error| (path, error)),
        _ => Ok(()),
    };
    done.map_err(|(path, error)| {
        let why = vec![format!("{}: {}", path.display(), io_error_text(&error))];
        failed(step, why)
    })
}

/// What was removed meanwhile need not be removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Writes next to the file and renames, so that the old text stays if the disk is full.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.new"));
    let written = fs::write(&new, text)
        .and_then(|()| fs::set_permissions(&new, fs::Permissions::from_mode(FILE_MODE)))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let cleaned = fs::remove_file(&new);
        // the first error is the one to report
        drop(cleaned);
    }
    written
}

async fn run(step: &Step, words: &[String]) -> Result<(), CliError> {
    let [program, arguments @ ..] = words else { return Ok(()) };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let line = words.join(" ");
    let output = match tokio::time::timeout(PROGRAM_MAX, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Err(failed(step, vec![format!("cannot run `{line}`: {}", io_error_text(&error))]));
        }
        Err(_) => return Err(failed(step, vec![format!("`{line}` did not end within {PROGRAM_MAX:?}")])),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().collect();
    let end = said[said.len().saturating_sub(OUTPUT_LINES)..].iter().map(|line| (*line).to_owned());
    let why = std::iter::once(format!("`{line}` failed ({})", output.status)).chain(end).collect();
    Err(failed(step, why))
}

fn failed(step: &Step, why: Vec<String>) -> CliError {
    let line = step.line(StepMode::DryRun);
    let what = line.trim_start_matches(['+', '-', '~', '=', ' ']).trim_start_matches("would ");
    let now = Some("the steps printed above were done; running the command again continues".to_owned());
    let next = match step {
        Step::Systemctl { .. } => {
            vec!["systemctl status coxswain".to_owned(), "journalctl -u coxswain -n 50".to_owned()]
        }
        _ => Vec::new(),
    };
    ErrorDetail { why, now, next, ..codes::INSTALL_FAILED.detail(format!("cannot {what}")) }.into()
}
