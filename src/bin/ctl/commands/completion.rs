//! `ctl completion`: prints a shell completion script.

use clap::Command;
use clap_complete::{Shell, generate};

use crate::error::CliError;
use crate::session::Session;

/// Print a shell completion script for commands and flags
///
/// bash: `ctl completion bash > ~/.local/share/bash-completion/completions/ctl`
/// zsh:  `ctl completion zsh > _ctl`, in a directory of `$fpath`
/// fish: `ctl completion fish > ~/.config/fish/completions/ctl.fish`
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Shell to complete for
    shell: CompletionShell,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum CompletionShell {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(session: &Session<'_>, args: &Args, root: &Command) -> Result<(), CliError> {
    let shell = match args.shell {
        CompletionShell::Bash => Shell::Bash,
        CompletionShell::Zsh => Shell::Zsh,
        CompletionShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut without_hidden(root), "ctl", &mut script);
    session.ui.raw(String::from_utf8_lossy(&script).trim_end())
}

/// A copy without hidden arguments and commands, which the generators of clap_complete would offer.
fn without_hidden(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    let copy = Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .args(arguments)
        .subcommands(commands.map(without_hidden));
    match command.get_version() {
        Some(version) => copy.version(version.to_owned()),
        None => copy,
    }
}
