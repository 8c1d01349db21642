//! The text of `ctl explain`: fields, codes, reasons. Pure.

use std::fmt::Display;

use coxswain::api::codes::Code;
use coxswain::manifest::{DefaultValue, EnumValues, Topic, ValueType};

pub(crate) fn code(Code { id, exit, title, meaning, remedy }: &Code) -> String {
    format!("{id}: {title} (exit {exit})\n\n{meaning}\n\n{remedy}")
}

/// The meaning of an event or condition reason; `None` if it is neither.
pub(crate) fn reason<E: Display, C: Display>(
    events: &[(E, &str)],
    conditions: &[(C, &str)],
    what: &str,
) -> Option<String> {
    let of_event = find(events, what).map(|(name, text)| format!("{name} (event reason)\n\n{text}"));
    let of_condition =
        find(conditions, what).map(|(name, text)| format!("{name} (condition reason)\n\n{text}"));
    let found: Vec<String> = of_event.into_iter().chain(of_condition).collect();
    (!found.is_empty()).then(|| found.join("\n\n"))
}

fn find<T: Display>(all: &[(T, &str)], what: &str) -> Option<(String, String)> {
    let found = all.iter().find(|(reason, _)| reason.to_string().eq_ignore_ascii_case(what))?;
    Some((found.0.to_string(), found.1.trim().to_owned()))
}

pub(crate) fn later(path: &str) -> String {
    format!("{path}\n\nNot supported yet: a manifest that uses it is rejected.")
}

/// A field and the keys below it.
pub(crate) fn topic(topic: &Topic) -> String {
    let Topic { path, key } = topic;
    let mut lines = vec![format!("{path}: {}", key.form.words()), String::new(), key.text.to_owned()];
    lines.push(String::new());
    match key.absent {
        DefaultValue::Required => lines.push("  required".to_owned()),
        DefaultValue::Default(value) => lines.push(format!("  default   {value}")),
        DefaultValue::Means(words) => lines.push(format!("  omitted   {words}")),
    }
    lines.push(format!("  example   {}: {}", key.name, key.example));
    lines.push(format!("  since     {}", key.since));
    if let ValueType::EnumValues(EnumValues { words, later }) = &key.form {
        lines.extend([String::new(), "Values:".to_owned()]);
        lines.extend(aligned(words));
        lines.extend(not_yet(later));
    }
    if let Some(shape) = topic.shape() {
        let fields: Vec<(&str, &str)> = shape.keys.iter().map(|key| (key.name, key.text)).collect();
        lines.extend([String::new(), "Keys:".to_owned()]);
        lines.extend(aligned(&fields));
        lines.extend(not_yet(shape.later));
    }
    lines.join("\n")
}

fn aligned(rows: &[(&str, &str)]) -> Vec<String> {
    let width = rows.iter().map(|(word, _)| word.len()).max().unwrap_or_default();
    rows.iter().map(|(word, meaning)| format!("  {word:<width$}  {meaning}")).collect()
}

fn not_yet(later: &[&str]) -> Option<String> {
    (!later.is_empty()).then(|| format!("\nNot supported yet: {}", later.join(", ")))
}
