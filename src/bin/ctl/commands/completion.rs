//! `ctl completion`: a script that completes commands and flags in a shell.

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

use crate::error::CliError;
use crate::session::Session;

/// Print a script that completes commands and flags in your shell
///
/// bash: `ctl completion bash > ~/.local/share/bash-completion/completions/ctl`
/// zsh:  `ctl completion zsh > _ctl`, in a folder of `$fpath`
/// fish: `ctl completion fish > ~/.config/fish/completions/ctl.fish`
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The shell
    shell: For,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum For {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    let shell = match args.shell {
        For::Bash => Shell::Bash,
        For::Zsh => Shell::Zsh,
        For::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut shown(&crate::args::Args::command()), "ctl", &mut script);
    session.ui.raw(String::from_utf8_lossy(&script).trim_end())
}

/// A command without what its help hides: the generators would offer that too.
fn shown(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    let copy = Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .args(arguments)
        .subcommands(commands.map(shown));
    match command.get_version() {
        Some(version) => copy.version(version.to_owned()),
        None => copy,
    }
}
