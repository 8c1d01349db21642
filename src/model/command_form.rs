//! Commands as they are pasted: a line for a shell, or a list with Docker's words in front, and the list to write instead.
//! Pure.

/// The words with which a health check of Compose begins.
const DOCKER_WORDS: [&str; 3] = ["CMD", "CMD-SHELL", "NONE"];

/// Words that only a shell understands. `|`, `>` and `;` may be arguments of a program as well.
const OPERATORS: [&str; 2] = ["||", "&&"];

/// What has a meaning to a shell outside quotes.
const SHELL_CHARACTERS: &[char] =
    &['|', '&', ';', '<', '>', '(', ')', '$', '`', '*', '?', '[', '{', '~', '#', '!', '='];

/// The words of a line that a shell would only split; `None` if it would do more with it, or if a quote is not closed.
pub fn split_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\' | '$' | '`') => return None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().push(chars.next()?),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            // `--name=x` is a word, `NAME=x` in front of a command is a variable.
            (None, '=') if !words.is_empty() || word.as_ref().is_some_and(|word| word.starts_with('-')) => {
                word.get_or_insert_default().push(c);
            }
            (None, c) if SHELL_CHARACTERS.contains(&c) => return None,
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// A command in a shell, as a list.
pub fn in_shell(line: &str) -> Vec<String> {
    ["/bin/sh", "-c", line].map(str::to_owned).to_vec()
}

/// The list for a line: its words, or the line in a shell.
pub fn command_of_line(line: &str) -> Vec<String> {
    split_words(line).filter(|words| !words.is_empty()).unwrap_or_else(|| in_shell(line))
}

/// A list as YAML on one line.
pub fn flow_list(words: &[String]) -> String {
    let quoted = |word: &String| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
    format!("[{}]", words.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// A check that Docker or a shell would read otherwise than it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PastedCheck {
    /// What is wrong, and the command to write.
    Command { wrong: String, instead: Vec<String> },
    /// `NONE`: no check.
    None,
}

/// What is wrong with the command of a check, if it was pasted from a Compose file or a shell.
pub fn pasted_check(command: &[String]) -> Option<PastedCheck> {
    let first = command.first()?;
    // Compose writes a dollar sign as two.
    let rest: Vec<String> = command[1..].iter().map(|word| word.replace("$$", "$")).collect();
    match first.as_str() {
        "NONE" => return Some(PastedCheck::None),
        "CMD" | "CMD-SHELL" if rest.is_empty() => return None,
        "CMD-SHELL" => {
            let wrong = "`CMD-SHELL` is Docker's word for a shell; write the shell".to_owned();
            return Some(PastedCheck::Command { wrong, instead: in_shell(&rest.join(" ")) });
        }
        "CMD" => {
            let wrong = "`CMD` is Docker's word for a command; leave it out".to_owned();
            return Some(PastedCheck::Command { wrong, instead: corrected(&rest) });
        }
        _ => {}
    }
    let instead = corrected(command);
    if instead == command {
        return None;
    }
    let wrong = match command.iter().find(|word| OPERATORS.contains(&word.as_str())) {
        Some(operator) => format!("`{operator}` needs a shell"),
        None => format!("`{first}` is one word: no shell splits it"),
    };
    Some(PastedCheck::Command { wrong, instead })
}

/// Whether a command begins with a word that Docker takes for itself and has nothing else.
pub fn is_only_docker_word(command: &[String]) -> bool {
    matches!(command, [word] if DOCKER_WORDS.contains(&word.as_str()))
}

/// The same command in a shell where it needs one, and split where it is one word.
fn corrected(command: &[String]) -> Vec<String> {
    let runs_a_shell = command.get(1).is_some_and(|word| word.starts_with('-') && word.ends_with('c'));
    if command.iter().any(|word| OPERATORS.contains(&word.as_str())) && !runs_a_shell {
        return in_shell(&shell_line(command));
    }
    match command {
        [line] if line.trim().contains(char::is_whitespace) => command_of_line(line.trim()),
        command => command.to_vec(),
    }
}

/// The words as a line for a shell: operators bare, and words that a shell would change in quotes.
fn shell_line(command: &[String]) -> String {
    let shown = |word: &String| {
        let is_plain = OPERATORS.contains(&word.as_str())
            || !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || is_special(c));
        if is_plain { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    command.iter().map(shown).collect::<Vec<_>>().join(" ")
}

fn is_special(c: char) -> bool {
    matches!(c, '\'' | '"' | '\\') || (SHELL_CHARACTERS.contains(&c) && c != '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn split_words_splits_as_a_shell_or_not_at_all() {
        for (line, words) in [
            ("serve --fast", Some(&["serve", "--fast"][..])),
            ("  serve  a ", Some(&["serve", "a"])),
            ("serve --name 'a b' \"c d\"", Some(&["serve", "--name", "a b", "c d"])),
            ("serve --name=\"a b\"", Some(&["serve", "--name=a b"])),
            (r"a\ b c", Some(&["a b", "c"])),
            ("a ''", Some(&["a", ""])),
            ("a || b", None),
            ("A=1 b", None),
            ("echo $HOME", None),
            ("echo \"$HOME\"", None),
            ("ls *.txt", None),
            ("echo 'open", None),
        ] {
            assert_eq!(split_words(line), words.map(list), "{line}");
        }
    }

    #[test]
    fn pasted_check_names_the_command_to_write() {
        for (pasted, instead) in [
            (&["CMD", "curl", "-f", "http://x"][..], Some(&["curl", "-f", "http://x"][..])),
            (&["CMD-SHELL", "curl -f x || exit 1"], Some(&["/bin/sh", "-c", "curl -f x || exit 1"])),
            (&["CMD-SHELL", "pg_isready -U $${PGUSER}"], Some(&["/bin/sh", "-c", "pg_isready -U ${PGUSER}"])),
            (&["CMD", "curl -f x"], Some(&["curl", "-f", "x"])),
            (&["CMD", "a", "||", "exit", "1"], Some(&["/bin/sh", "-c", "a || exit 1"])),
            (&["curl -f http://x"], Some(&["curl", "-f", "http://x"])),
            (&["curl -f x || exit 1"], Some(&["/bin/sh", "-c", "curl -f x || exit 1"])),
            (&["curl", "a b", "||", "exit", "1"], Some(&["/bin/sh", "-c", "curl 'a b' || exit 1"])),
            (&["test", "it's", "&&", "true"], Some(&["/bin/sh", "-c", r"test 'it'\''s' && true"])),
            (&["/bin/sh", "-c", "a || b"], None),
            (&["bash", "-ec", "||"], None),
            (&["/app", "check"], None),
            (&["find", ".", "-exec", "x", ";"], None),
            (&["/app"], None),
        ] {
            let found = pasted_check(&list(pasted));
            let instead = instead.map(list);
            match found {
                Some(PastedCheck::Command { instead: found, .. }) => {
                    assert_eq!(Some(&found), instead.as_ref(), "{pasted:?}");
                    assert_eq!(pasted_check(&found), None, "a suggestion is sound: {found:?}");
                }
                found => assert_eq!((found, instead), (None, None), "{pasted:?}"),
            }
        }
        assert_eq!(pasted_check(&list(&["NONE"])), Some(PastedCheck::None));
        assert!(is_only_docker_word(&list(&["CMD"])));
    }

    #[test]
    fn flow_list_is_read_back_as_written() {
        let words = list(&["/bin/sh", "-c", r#"echo "a\b" 'c'"#]);
        let read: Vec<String> = serde_json::from_str(&flow_list(&words)).unwrap();
        assert_eq!(read, words);
    }
}
