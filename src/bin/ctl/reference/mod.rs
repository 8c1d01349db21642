//! The pages under `docs/reference/`, made from the code. `UPDATE_REFERENCE=1 cargo test --bin ctl` writes them; without
//! it, a page that is not what the code says fails.

mod commands;
mod lists;
mod manifest;

use std::path::Path;

/// Compares a page with the file, or writes it.
fn check(name: &str, page: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        return std::fs::write(&file, page).expect("the page is written");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let first = kept.lines().zip(page.lines()).find(|(kept, made)| kept != made);
    assert!(kept == page, "{name} is not what the code says: run with UPDATE_REFERENCE=1\n{first:#?}");
}

/// The head of a page that nobody edits.
fn head(title: &str, about: &str) -> String {
    format!(
        "# {title}\n\n<!-- Made from the code by `UPDATE_REFERENCE=1 cargo test --bin ctl`; not edited. -->\n\n{about}\n"
    )
}

/// A table; `|` within a cell does not end it.
fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let mut out = line(&header) + &line(&vec!["---".to_owned(); header.len()]);
    for row in rows {
        assert_eq!(row.len(), header.len(), "{row:?}");
        out += &line(&row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect::<Vec<_>>());
    }
    out
}

/// A sentence: what starts with a word begins with a capital and ends with a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
