//! `docs/reference/cli.md`: all commands and exit codes.

use clap::{Arg, Command, CommandFactory};
use coxswain::api::exits::EXITS;

use super::{check, head, sentence, table};

#[test]
fn cli_page_is_up_to_date() {
    check("cli.md", &page());
}

fn page() -> String {
    let mut root = crate::args::Args::command();
    root.build();
    let about = "All commands and their arguments, as `ctl help COMMAND` prints them. Data goes to standard output, \
                 everything else to standard error.";
    let mut out = head("The command line", about);
    out += "\n## Global options\n\n";
    out += &arguments(&root, |arg| arg.is_global_set());
    for command in root.get_subcommands() {
        section("ctl", command, &mut out);
    }
    out += "\n## Exit codes\n\n";
    out += &table(
        &["exit", "meaning"],
        EXITS.iter().map(|(exit, meaning)| vec![exit.to_string(), sentence(meaning)]),
    );
    out += "\nIf a command handles several services, the exit code is the first of 5, 4, 8, 6 that occurs.\n";
    out
}

fn section(parent: &str, command: &Command, out: &mut String) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about());
    let about = about.unwrap_or_else(|| panic!("`{name}` has no description")).to_string();
    let (first, rest) = about.split_once("\n\n").unwrap_or((&about, ""));
    *out += &format!("\n## `{name}`\n\n{}\n", sentence(&first.replace('\n', " ")));
    if !rest.is_empty() {
        *out += &format!("\n{}\n", rest.lines().map(str::trim_end).collect::<Vec<_>>().join("  \n"));
    }
    let usage = command.clone().render_usage().to_string();
    *out += &format!("\n```text\n{}\n```\n", usage.trim_start_matches("Usage: "));
    let own = |arg: &Arg| !arg.is_global_set() && arg.get_id() != "help" && arg.get_id() != "version";
    if command.get_arguments().any(own) {
        *out += &format!("\n{}", arguments(command, own));
    }
    for below in command.get_subcommands() {
        section(&name, below, out);
    }
}

fn arguments(command: &Command, wanted: impl Fn(&Arg) -> bool) -> String {
    let shown = command.get_arguments().filter(|arg| wanted(arg) && !arg.is_hide_set());
    table(&["argument", "meaning", "default"], shown.map(|arg| row(command, arg)))
}

fn row(command: &Command, arg: &Arg) -> Vec<String> {
    let takes = arg.get_num_args().is_none_or(|count| count.takes_values());
    let value = arg.get_value_names().unwrap_or_default().join(" ");
    let flags = [arg.get_short().map(|c| format!("-{c}")), arg.get_long().map(|long| format!("--{long}"))];
    let flags = flags.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let usage = if takes { format!("{flags} {value}") } else { flags };
    let help = arg.get_long_help().or(arg.get_help());
    let help =
        help.unwrap_or_else(|| panic!("{} of `{}` has no description", arg.get_id(), command.get_name()));
    let words: Vec<String> = match arg.get_possible_values() {
        values if takes && !values.is_empty() => {
            values.iter().filter(|v| !v.is_hide_set()).map(|v| format!("`{}`", v.get_name())).collect()
        }
        _ => Vec::new(),
    };
    let words = if words.is_empty() { String::new() } else { format!(" One of {}.", words.join(", ")) };
    let default: Vec<String> = arg
        .get_default_values()
        .iter()
        .filter(|_| takes)
        .map(|v| format!("`{}`", v.to_string_lossy()))
        .collect();
    vec![format!("`{}`", usage.trim()), sentence(&help.to_string()) + &words, default.join(", ")]
}

#[test]
fn cli_page_lists_every_exit_code() {
    let listed: Vec<u8> = EXITS.iter().map(|(exit, _)| *exit).collect();
    assert!(listed.is_sorted(), "{listed:?}");
    for exit in crate::error::OTHER_EXITS.into_iter().chain([crate::EXIT_BUG]) {
        assert!(listed.contains(&exit), "{exit}");
    }
}
