//! `ctl system`: the daemon as a service of this machine.

use std::path::{Path, PathBuf};

use clap::{Command, Subcommand};
use coxswain::api::codes;
use coxswain::api::types::ErrorDetail;
use coxswain::model::io_error_text;

use crate::error::CliError;
use crate::prompt::ask;
use crate::session::Session;
use crate::system::carry_out::{carry_out, write};
use crate::system::facts::SystemFacts;
use crate::system::install::{self, InstallRequest};
use crate::system::layout::SystemLayout;
use crate::system::pages::{completions, man_pages};
use crate::system::step::{Step, StepMode};
use crate::system::uninstall;
use crate::system::unit::{OPTIONS_FILE, UNIT, unit};

/// Install the daemon as a systemd service, or uninstall it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: SystemCommand,
}

#[derive(Debug, Subcommand)]
enum SystemCommand {
    Install(InstallArgs),
    Uninstall(UninstallArgs),
    Files(FilesArgs),
}

/// Install and start the daemon as a systemd service (root)
///
/// Creates the group coxswain, whose members may use the daemon, and the balancer's user; writes the unit, shell completions
/// and man pages; enables and starts the service, which starts at boot from then on. Prints each step. Running it again
/// repairs what is missing and changes nothing else. Options of `ctl serve` go into /etc/default/coxswain.
#[derive(Debug, clap::Args)]
struct InstallArgs {
    /// Print the steps without carrying them out
    #[arg(long)]
    dry_run: bool,
    /// Replace a unit file that differs from that of this version
    #[arg(long)]
    force: bool,
    /// Write the files below DIR instead, and create no users and start nothing
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
}

/// Stop the service and remove what `ctl system install` installed (root)
///
/// The containers of services keep running, but nothing routes requests to them: delete the services first if they are not
/// needed. State and options are kept unless you pass --purge.
#[derive(Debug, clap::Args)]
struct UninstallArgs {
    /// Print the steps without carrying them out
    #[arg(long)]
    dry_run: bool,
    /// Also remove the state (all services and their history), options, user and group
    #[arg(long)]
    purge: bool,
    /// Remove a unit file that `ctl system install` did not write
    #[arg(long)]
    force: bool,
    /// Do not prompt for confirmation of --purge
    #[arg(short, long)]
    yes: bool,
    /// Remove the files below DIR instead
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
}

/// Write unit, options file, completions and man pages into a directory, for packages
#[derive(Debug, clap::Args)]
#[command(hide = true)]
struct FilesArgs {
    directory: PathBuf,
    /// Path of ctl on the machine that the package is installed on
    #[arg(long, default_value = "/usr/bin/ctl")]
    executable: PathBuf,
}

pub(crate) async fn run(session: &Session<'_>, args: &Args, root: &Command) -> Result<(), CliError> {
    match &args.command {
        SystemCommand::Install(args) => install(session, args, root).await,
        SystemCommand::Uninstall(args) => uninstall(session, args, root).await,
        SystemCommand::Files(args) => files(args, root),
    }
}

fn request(directory: &Path, force: bool, root: &Command) -> InstallRequest {
    let shared = [completions(root), man_pages(root)].concat();
    InstallRequest { layout: SystemLayout::new(directory), force, shared }
}

async fn install(session: &Session<'_>, args: &InstallArgs, root: &Command) -> Result<(), CliError> {
    let request = request(&args.root, args.force, root);
    let facts = SystemFacts::collect(&request.layout, &request.files())?;
    let mode = step_mode(args.dry_run, &request, &facts, session)?;
    let steps = install::plan(&request, &facts)?;
    carry_out(session.ui, &steps, mode).await?;
    let starts = |step: &Step| matches!(step, Step::Systemctl { arguments: ["enable", ..], .. });
    if mode == StepMode::CarryOut && steps.iter().any(starts) {
        session.ui.note("members of the group coxswain control the daemon: usermod -aG coxswain USER");
        session.ui.note("next: ctl status, journalctl -u coxswain");
    }
    Ok(())
}

async fn uninstall(session: &Session<'_>, args: &UninstallArgs, root: &Command) -> Result<(), CliError> {
    let request = request(&args.root, args.force, root);
    let facts = SystemFacts::collect(&request.layout, &request.files())?;
    let mode = step_mode(args.dry_run, &request, &facts, session)?;
    let steps = uninstall::plan(&request, &facts, args.purge)?;
    if steps.is_empty() {
        return session.ui.out("= nothing is installed");
    }
    let deletes = steps.iter().any(|step| matches!(step, Step::RemoveDirectory { .. }));
    if deletes && !args.yes && mode == StepMode::CarryOut {
        let question =
            "delete all services and their history from this machine? Their containers keep running.";
        ask(session, question, "--purge", "nothing was changed")?;
    }
    carry_out(session.ui, &steps, mode).await
}

/// Only root changes the machine; everyone may see what would be done.
fn step_mode(
    dry_run: bool,
    request: &InstallRequest,
    facts: &SystemFacts,
    session: &Session<'_>,
) -> Result<StepMode, CliError> {
    match dry_run {
        true => Ok(StepMode::DryRun),
        false if facts.is_root || !request.layout.is_this_machine() => Ok(StepMode::CarryOut),
        false => {
            let command = &session.author.command;
            let next = vec![format!("sudo ctl {command}"), format!("ctl {command} --dry-run")];
            Err(ErrorDetail {
                next,
                ..codes::NEEDS_ROOT.detail("only root can change the services of this machine")
            }
            .into())
        }
    }
}

/// The layout is that of `target/package`, which `make install` and `make deb` read.
fn files(args: &FilesArgs, root: &Command) -> Result<(), CliError> {
    let FilesArgs { directory, executable } = args;
    let own = [
        (directory.join("systemd").join(UNIT), unit(executable)),
        (directory.join("default/coxswain"), OPTIONS_FILE.to_owned()),
    ];
    let shared = [completions(root), man_pages(root)].concat();
    let shared = shared.into_iter().map(|file| (directory.join("share").join(file.path), file.text));
    for (path, text) in own.into_iter().chain(shared) {
        write(&path, &text).map_err(|error| {
            let why = vec![format!("{}: {}", path.display(), io_error_text(&error))];
            CliError::from(ErrorDetail { why, ..codes::INSTALL_FAILED.detail("cannot write a file") })
        })?;
    }
    Ok(())
}
