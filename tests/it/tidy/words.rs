//! The words of the field: those that took the place of a precise one are not used, and no comment is one word long.

use super::Complaint;

/// Words and phrases that say less than the field's own word does.
const BANNED: [&str; 14] = [
    "told",
    "anew",
    "whoever",
    "somebody",
    "nobody",
    "goes on",
    "go on",
    "stands",
    "stand still",
    "beside",
    "let go of",
    "a look at",
    "for want of",
    "is not to be had",
];
/// Places where one of them is the right word.
const ALLOWED: [(&str, &str); 1] = [("src/model/user.rs", "nobody")];
/// Contains every one of them.
const THIS_FILE: &str = "tests/it/tidy/words.rs";
/// Comments that only repeat a name, as a question.
const EMPTY_DOCS: [&str; 8] = ["Which.", "What.", "Who.", "Why.", "Where.", "When.", "How.", "Its name."];

pub(super) fn check(path: &str, text: &str) -> Vec<Complaint> {
    if path == THIS_FILE {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        for word in
            BANNED.into_iter().filter(|word| !ALLOWED.contains(&(path, word)) && contains(&lower, word))
        {
            complaints.push(Complaint::new(path, format!("`{word}`: use the field's word")).at(n + 1));
        }
        let comment = line.trim_start().strip_prefix("///").map(str::trim);
        if let Some(empty) = comment.filter(|comment| EMPTY_DOCS.contains(comment)) {
            complaints.push(Complaint::new(path, format!("`/// {empty}` says nothing")).at(n + 1));
        }
    }
    complaints
}

/// Whether a line has the words, not as a part of others.
fn contains(line: &str, words: &str) -> bool {
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    line.match_indices(words).any(|(at, _)| {
        is_edge(line[..at].chars().next_back()) && is_edge(line[at + words.len()..].chars().next())
    })
}

#[test]
fn banned_words_are_reported() {
    for (text, wanted) in [
        ("// The agent is told so.", 1),
        ("let x = \"Nobody answers\";", 1),
        ("A rollout that stands still goes on.", 2),
        ("// Standstill, scolded, stands_for, bystands", 0),
        ("/// Which.", 1),
        ("/// Which replica.", 0),
    ] {
        assert_eq!(check("src/agent/plan.rs", text).len(), wanted, "{text}");
    }
    let (path, word) = ALLOWED[0];
    assert_eq!(check(path, word).len(), 0);
    assert_eq!(check("tests/plans/agent/first_container/script.txt", "# made anew").len(), 1);
}
