//! `ctl completion`: prints a shell completion script.

use clap::Command;
use clap_complete::Shell;

use crate::completion_script::completion_script;
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
    session.ui.raw(completion_script(root, shell).trim_end())
}
