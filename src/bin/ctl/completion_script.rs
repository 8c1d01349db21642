//! The text of a completion script, without hidden commands and arguments. Pure.

use clap::Command;
use clap_complete::{Shell, generate};

/// The script for a shell.
pub(crate) fn completion_script(root: &Command, shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut without_hidden(root), "ctl", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// A copy without hidden arguments and commands, which the generators of clap's crates would offer.
pub(crate) fn without_hidden(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    let copy = Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .args(arguments)
        .subcommands(commands.map(without_hidden));
    let copy = match command.get_long_about() {
        Some(text) => copy.long_about(text.clone()),
        None => copy,
    };
    match command.get_version() {
        Some(version) => copy.version(version.to_owned()),
        None => copy,
    }
}
