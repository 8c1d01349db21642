//! The context of a client command: terminal, API client, author.

use coxswain::api::client::ApiClient;
use coxswain::model::Author;

use crate::output::Ui;

pub(crate) struct Session<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) client: ApiClient,
    /// The user and the command line without `ctl`; the daemon records both with each change.
    pub(crate) author: Author,
}

/// Arguments as one line, quoted where a shell needs quotes.
pub(crate) fn typed(arguments: impl Iterator<Item = String>) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    let quoted = |word: String| {
        if !word.is_empty() && word.chars().all(is_safe) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    arguments.map(quoted).collect::<Vec<_>>().join(" ")
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
}
