//! `ctl completion`: a script that completes commands and flags in a shell.

use clap::CommandFactory;
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
    generate(shell, &mut crate::args::Args::command(), "ctl", &mut script);
    session.ui.raw(String::from_utf8_lossy(&script).trim_end())
}
