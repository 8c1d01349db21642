//! The context of a client command: terminal, API client, author.

use coxswain::api::client::{ApiClient, CommandDeadline};
use coxswain::model::Author;

use crate::output::Ui;

pub(crate) struct Session<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) client: ApiClient,
    /// The user and the command line without `ctl`; the daemon records both with each change.
    pub(crate) author: Author,
    /// When the whole command times out: `--timeout`.
    pub(crate) deadline: CommandDeadline,
}

/// Arguments as one line, quoted where a shell needs quotes. Leaves out `--socket`: it says how this user reaches the daemon,
/// and the daemon shows the line to others.
pub(crate) fn typed(mut arguments: impl Iterator<Item = String>) -> String {
    let mut line = Vec::new();
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--socket" => drop(arguments.next()),
            joined if joined.starts_with("--socket=") => {}
            _ => line.push(quoted(word)),
        }
    }
    line.join(" ")
}

fn quoted(word: String) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_safe) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn typed_quotes_words_a_shell_would_split() {
        let line_of = |words: &[&str]| super::typed(words.iter().map(|w| (*w).to_owned()));
        assert_eq!(line_of(&["scale", "users=3"]), "scale users=3");
        assert_eq!(line_of(&["apply", "-f", "my app.yaml", ""]), "apply -f 'my app.yaml' ''");
        assert_eq!(line_of(&["it's"]), r"'it'\''s'");
    }

    #[test]
    fn typed_leaves_out_socket() {
        let line_of = |words: &[&str]| super::typed(words.iter().map(|w| (*w).to_owned()));
        assert_eq!(line_of(&["--socket", "/tmp/ctl.sock", "scale", "users=3"]), "scale users=3");
        assert_eq!(line_of(&["scale", "users=3", "--socket=/tmp/ctl.sock"]), "scale users=3");
        assert_eq!(line_of(&["scale", "--socket"]), "scale");
    }
}
