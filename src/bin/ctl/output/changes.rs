//! What a write did, or would do, as lines. PURE.

use coxswain::api::types::{Action, FieldChange, WriteResult};
use coxswain::model::ResolvedImage;

use super::plain::plain;

/// `+ users  created  users:1.5.0 @ c0ffee123456`, then a line per changed field and per note.
pub(crate) fn result(result: &WriteResult, dry_run: bool) -> Vec<String> {
    let WriteResult { name, action, generation: _, image, changes, notes } = result;
    let (mark, done, would) = match action {
        Action::Created => ('+', "created", "would be created"),
        Action::Changed => ('~', "changed", "would be changed"),
        Action::Unchanged => ('=', "unchanged", "unchanged"),
        Action::Deleted => ('-', "deleting", "would be deleted"),
    };
    let word = if dry_run { would } else { done };
    let image = if *action == Action::Deleted { String::new() } else { format!("  {}", pinned(image)) };
    let head = format!("{mark} {name}  {word}{image}");
    let fields = changes.iter().map(|change| format!("    {}", field(change)));
    let notes = notes.iter().map(|note| format!("    {}", plain(note)));
    std::iter::once(head).chain(fields).chain(notes).collect()
}

/// `users:1.5.0 @ c0ffee123456`.
fn pinned(image: &ResolvedImage) -> String {
    format!("{} @ {}", image.reference, image.short())
}

/// `~ spec.env.LOG_LEVEL: "info" → "debug"`.
pub(crate) fn field(change: &FieldChange) -> String {
    let FieldChange { path, old, new } = change;
    match (old, new) {
        (Some(old), Some(new)) => format!("~ {path}: {} → {}", plain(old), plain(new)),
        (None, Some(new)) => format!("+ {path}: {}", plain(new)),
        (Some(old), None) => format!("- {path}: {}", plain(old)),
        (None, None) => format!("~ {path}"),
    }
}
