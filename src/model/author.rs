//! The author of a change, as history shows it. Pure.

use serde::{Deserialize, Serialize};

/// Most bytes of a command that are kept; a command that names a hundred files is cut after its beginning.
const COMMAND_MAX_BYTES: usize = 512;
/// Most bytes of a user's name; Linux takes 32.
const USER_MAX_BYTES: usize = 64;

/// The author of a change. Self-reported and not authenticated: every user of the socket is fully trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Author {
    /// The command as typed, without `ctl`: `scale users=3`.
    #[serde(default)]
    pub command: String,
    /// The user's name; empty where the client did not send it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
}

impl Author {
    /// The author with texts no longer than what is kept.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self { command: bounded(self.command, COMMAND_MAX_BYTES), user: bounded(self.user, USER_MAX_BYTES) }
    }

    /// `ann with "pause users"`, for a sentence.
    pub fn summary(&self) -> String {
        let user = if self.user.is_empty() { "an unknown user" } else { &self.user };
        format!("{user} with `{}`", self.command)
    }
}

/// A command of an unnamed user.
impl From<&str> for Author {
    fn from(command: &str) -> Self {
        Self { command: command.to_owned(), user: String::new() }
    }
}

fn bounded(mut text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let end = (0..=most.saturating_sub('…'.len_utf8())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    text.push('…');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_letters() {
        let author = Author { command: "ü".repeat(400), user: "ann".to_owned() }.bounded();
        assert!(author.command.len() <= COMMAND_MAX_BYTES && author.command.ends_with("ü…"));
        assert_eq!(author.user, "ann");
        let short = Author::from("scale users=3");
        assert_eq!(short.clone().bounded(), short);
    }
}
