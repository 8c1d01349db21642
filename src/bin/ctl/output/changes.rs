//! The result of a write, or of a dry run, as lines. Pure.

use coxswain::api::types::{FieldChange, OverriddenField, WriteAction, WrittenObject};
use jiff::Timestamp;

use super::age::ago;
use crate::names;
use coxswain::model::sanitize;

/// `+ users  created  users:1.5.0 @ c0ffee123456`, then a line per changed field, override, conflict and note.
pub(crate) fn result(result: &WrittenObject, dry_run: bool, now: Timestamp) -> Vec<String> {
    let WrittenObject { object, action, generation: _, image, changes, notes, kept, conflicts } = result;
    let (mark, done, would) = match action {
        WriteAction::Created => ('+', "created", "would be created"),
        WriteAction::Changed => ('~', "changed", "would be changed"),
        WriteAction::Unchanged => ('=', "unchanged", "unchanged"),
        WriteAction::Deleted => ('-', "deleting", "would be deleted"),
    };
    let word = if dry_run { would } else { done };
    let image = image.as_ref().filter(|_| *action != WriteAction::Deleted);
    let image = image.map(|image| format!("  {}", image.summary())).unwrap_or_default();
    let head = format!("{mark} {}  {word}{image}", names::short(object));
    let fields = changes.iter().map(|change| format!("    {}", field(change)));
    let notes = notes.iter().map(|note| format!("    {}", sanitize(note)));
    let kept = kept.iter().map(|over| format!("    {}", overridden('=', over, now)));
    let conflicts = conflicts.iter().map(|over| format!("    {}", overridden('!', over, now)));
    std::iter::once(head).chain(fields).chain(kept).chain(conflicts).chain(notes).collect()
}

/// The field of an image reference.
const IMAGE: &str = "spec.image";

/// `= spec.replicas: keeping live value 5; the manifest says 3. Set by ann with `scale users=5`, 2m ago`.
fn overridden(mark: char, over: &OverriddenField, now: Timestamp) -> String {
    let OverriddenField { field, file, applied, live, by, at } = over;
    let value = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), sanitize);
    let file = value(file);
    let live = value(live);
    let text = match mark {
        '!' => {
            format!(
                "conflict: live value {live}; the manifest says {file}, and said {} before",
                value(applied)
            )
        }
        // The text may be the same, and mean another image by now.
        _ if field == IMAGE => {
            format!("keeping live value {live}; the manifest says {file}, which `--overwrite {IMAGE}` takes")
        }
        _ => format!("keeping live value {live}; the manifest says {file}"),
    };
    format!("{mark} {field}: {text}. Set by {}, {}", sanitize(&by.summary()), ago(*at, now))
}

/// `~ spec.env.LOG_LEVEL: "info" → "debug"`.
pub(crate) fn field(change: &FieldChange) -> String {
    let FieldChange { path, old, new } = change;
    match (old, new) {
        (Some(old), Some(new)) => format!("~ {path}: {} → {}", sanitize(old), sanitize(new)),
        (None, Some(new)) => format!("+ {path}: {}", sanitize(new)),
        (Some(old), None) => format!("- {path}: {}", sanitize(old)),
        (None, None) => format!("~ {path}"),
    }
}
