//! What a command works with.

use coxswain::api::client::ApiClient;
use coxswain::model::Author;

use crate::output::Ui;

/// One run of a client command.
pub(crate) struct Session<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) client: ApiClient,
    /// Who works, and the command as it was typed, without `ctl`: the daemon records it with what it changed.
    pub(crate) author: Author,
}

/// The arguments of this process in one line, quoted where a shell would need it.
pub(crate) fn typed(arguments: impl Iterator<Item = String>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    let quoted = |word: String| {
        if !word.is_empty() && word.chars().all(plain) {
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
    fn words_are_quoted_where_a_shell_needs_it() {
        let typed = |words: &[&str]| super::typed(words.iter().map(|w| (*w).to_owned()));
        assert_eq!(typed(&["scale", "users=3"]), "scale users=3");
        assert_eq!(typed(&["apply", "-f", "my app.yaml", ""]), "apply -f 'my app.yaml' ''");
        assert_eq!(typed(&["it's"]), r"'it'\''s'");
    }
}
