//! Runs `ctl` without a terminal and an environment, and writes down what came of it.

use std::time::Duration;

use assert_cmd::Command;

use super::stub::Stub;

/// For a command that takes milliseconds, on a machine that is busy with other tests.
pub(super) const BOUND: Duration = Duration::from_secs(60);

/// What one command did.
pub(super) struct Ran {
    pub(super) exit: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// `ctl` with these arguments, in the directory of the stub.
pub(super) fn command(stub: &Stub, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctl"));
    command.args(arguments.split_whitespace()).current_dir(stub.directory()).timeout(BOUND);
    command.env_clear().env("LANG", "C.UTF-8").env("CTL_SOCKET", stub.socket());
    command
}

/// Runs it to its end.
pub(super) fn run(stub: &Stub, arguments: &str) -> Ran {
    finish(stub, &mut command(stub, arguments))
}

/// Runs a command to its end. Nothing that goes to a pipe ever has an escape byte.
pub(super) fn finish(stub: &Stub, command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains('\x1b'), "{text:?}");
        text.replace(&stub.directory().display().to_string(), "[dir]").lines().map(settled).collect()
    };
    Ran { exit: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The line without the seconds that a last line ends with: a busy machine may need more than one.
fn settled(line: &str) -> String {
    let line = match line.rsplit_once("  ") {
        Some((head, tail)) if head.starts_with(['✓', 'o']) && tail.ends_with('s') && tail.len() < 4 => {
            format!("{head}  0s")
        }
        _ => line.to_owned(),
    };
    line + "\n"
}

/// The commands, one after the other, as one text.
pub(super) fn transcript(stub: &Stub, commands: &[&str]) -> String {
    commands.iter().map(|arguments| shown(arguments, &run(stub, arguments))).collect::<Vec<_>>().join("\n")
}

/// A command and what came of it.
pub(super) fn shown(arguments: &str, ran: &Ran) -> String {
    let indent =
        |mark: &str, text: &str| text.lines().map(|line| format!("{mark}{line}\n")).collect::<String>();
    format!(
        "$ ctl {arguments}\n{}{}exit {}\n",
        indent("1│", &ran.stdout),
        indent("2│", &ran.stderr),
        ran.exit
    )
}
