//! The description of a field: found by its path for `ctl explain`, and listed for the reference page. Pure.

use super::shape::{DOCUMENT, KINDS, SchemaKey, SchemaNode, ValueType};
use crate::model::nearest;

/// A field with its path.
#[derive(Debug, Clone)]
pub struct Topic {
    /// `service.spec.ports[].name`; a name that the user chooses is `NAME`.
    pub path: String,
    pub key: &'static SchemaKey,
}

/// Why a path is not explained as a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unexplained {
    /// A later version brings it.
    Later { path: String },
    /// It does not exist.
    Unknown {
        /// The path above it; empty if the first word is unknown.
        at: String,
        word: String,
        /// The message for a key of another tool.
        say: Option<String>,
        /// Paths that were probably meant.
        meant: Vec<String>,
    },
}

impl Topic {
    /// The keys of its long form; `None` for a value.
    pub fn shape(&self) -> Option<&'static SchemaNode> {
        shape_of(&self.key.form)
    }

    /// Its keys as topics.
    pub fn fields(&self) -> Vec<Topic> {
        let below = format!("{}{}", self.path, steps(&self.key.form));
        let keys = self.shape().map_or(&[][..], |shape| shape.keys);
        keys.iter().map(|key| Topic { path: format!("{below}.{}", key.name), key }).collect()
    }
}

/// The kinds of documents.
pub fn kinds() -> Vec<Topic> {
    KINDS.keys.iter().map(|key| Topic { path: key.name.to_ascii_lowercase(), key }).collect()
}

/// Finds a field by its path: `service.spec.rollout`, with or without the kind, `[…]` and names that the user chooses.
///
/// # Errors
/// What the path probably means.
pub fn explain(path: &str) -> Result<Topic, Unexplained> {
    let mut words = path.split('.').map(|word| word.split('[').next().unwrap_or(word)).peekable();
    let first = words.peek().copied().unwrap_or_default();
    let mut topic = match kind(first) {
        Some(kind) => {
            words.next();
            kind
        }
        None if is_of(&DOCUMENT, first) => kinds().remove(0),
        None => return Err(no_kind(first)),
    };
    while let Some(word) = words.next() {
        match topic.fields().into_iter().find(|field| field.key.name == word) {
            Some(field) => topic = field,
            // A name that the user chooses, such as an environment variable; the word below it is a key again.
            None if is_map(&topic.key.form) => {
                let below = words.peek().copied().unwrap_or_default();
                if !below.is_empty() && !topic.shape().is_some_and(|shape| is_of(shape, below)) {
                    return Err(no_key(&topic, below));
                }
            }
            None => return Err(no_key(&topic, word)),
        }
    }
    Ok(topic)
}

fn kind(word: &str) -> Option<Topic> {
    let word = word.to_ascii_lowercase();
    kinds().into_iter().find(|kind| kind.path == word || Some(&*kind.path) == word.strip_suffix('s'))
}

fn is_of(shape: &SchemaNode, word: &str) -> bool {
    let foreign = shape.foreign_keys().map(|key| key.word);
    shape.names().chain(shape.later.iter().copied()).chain(foreign).any(|name| name == word)
}

fn no_kind(word: &str) -> Unexplained {
    if let Some(later) = KINDS.later.iter().find(|later| later.eq_ignore_ascii_case(word)) {
        return Unexplained::Later { path: later.to_ascii_lowercase() };
    }
    let kinds = KINDS.names().map(str::to_ascii_lowercase).collect::<Vec<_>>();
    let near = nearest(word, kinds.iter().map(String::as_str)).map(str::to_owned);
    let meant = near.map_or_else(|| anywhere(word), |near| vec![near]);
    Unexplained::Unknown { at: String::new(), word: word.to_owned(), say: None, meant }
}

fn no_key(topic: &Topic, word: &str) -> Unexplained {
    let at = format!("{}{}", topic.path, steps(&topic.key.form));
    let below = |name: &str| format!("{at}.{name}");
    let unknown =
        |say, meant| Unexplained::Unknown { at: topic.path.clone(), word: word.to_owned(), say, meant };
    let Some(shape) = topic.shape() else { return unknown(None, anywhere(word)) };
    if shape.later.contains(&word) {
        return Unexplained::Later { path: below(word) };
    }
    if let Some(foreign) = shape.foreign_key(word) {
        return unknown(Some(foreign.message()), foreign.instead().map(below).into_iter().collect());
    }
    match nearest(word, shape.names().chain(shape.later.iter().copied())) {
        Some(near) => unknown(None, vec![below(near)]),
        None => unknown(None, anywhere(word)),
    }
}

/// Most paths that are suggested.
const MEANT_MAX: usize = 3;

/// The fields of a service with this name, or with the nearest one.
fn anywhere(word: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut open = vec![kinds().remove(0)];
    while let Some(topic) = open.pop() {
        open.extend(topic.fields());
        all.push(topic);
    }
    let Some(near) = nearest(word, all.iter().map(|topic| topic.key.name)) else { return Vec::new() };
    let mut paths: Vec<String> =
        all.iter().filter(|topic| topic.key.name == near).map(|topic| topic.path.clone()).collect();
    paths.sort();
    paths.truncate(MEANT_MAX);
    paths
}

fn is_map(form: &ValueType) -> bool {
    matches!(form, ValueType::Map(..))
}

/// The block that a value is or contains, in its long form.
fn shape_of(form: &ValueType) -> Option<&'static SchemaNode> {
    match form {
        ValueType::Block(shape) => Some(shape),
        ValueType::List(of, _) | ValueType::Map(_, of, _) => shape_of(of),
        ValueType::Either(forms) => forms.iter().find_map(shape_of),
        _ => None,
    }
}

/// The part between the path of a field and the keys below it.
fn steps(form: &ValueType) -> &'static str {
    match form {
        ValueType::List(..) => "[]",
        ValueType::Map(..) => ".NAME",
        ValueType::Either(forms) => forms.iter().find(|form| shape_of(form).is_some()).map_or("", steps),
        _ => "",
    }
}

impl ValueType {
    /// The type in words.
    pub fn words(&self) -> String {
        match self {
            ValueType::Text(_) => "text".to_owned(),
            ValueType::Path(_) => "a path".to_owned(),
            ValueType::EnumValues(words) => {
                words.words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(" | ")
            }
            ValueType::Signal => "a signal name".to_owned(),
            ValueType::Number(0, u32::MAX) => "a whole number".to_owned(),
            ValueType::Number(least, u32::MAX) => format!("a whole number, at least {least}"),
            ValueType::Number(least, most) => format!("a whole number from {least} to {most}"),
            ValueType::Flag => "`true` | `false`".to_owned(),
            ValueType::True => "`true`".to_owned(),
            ValueType::Duration => "a duration".to_owned(),
            ValueType::Span => "a duration greater than `0s`".to_owned(),
            ValueType::Cpu => "a CPU quantity".to_owned(),
            ValueType::Memory | ValueType::LogSize => "a memory quantity".to_owned(),
            ValueType::Count => "a whole number or a percentage".to_owned(),
            ValueType::List(of, most) => format!("a list{}: {}", at_most(*most), of.words()),
            ValueType::Command => "a list: text".to_owned(),
            ValueType::Map(_, of, most) => format!("a map of names{}: {}", at_most(*most), of.words()),
            ValueType::Block(_) => "a map".to_owned(),
            ValueType::Either(forms) => forms.iter().map(ValueType::words).collect::<Vec<_>>().join(" or "),
        }
    }
}

fn at_most(most: Option<usize>) -> String {
    most.map_or_else(String::new, |most| format!(" of at most {most}"))
}
