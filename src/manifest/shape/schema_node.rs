//! Describes a block of the manifest: its keys with value type, default, example and text. Pure.

use super::foreign_key::ForeignKey;

/// The keys of a block.
#[derive(Debug)]
pub struct SchemaNode {
    /// Keys that are read.
    pub keys: &'static [SchemaKey],
    /// Keys that `ctl get` prints and apply ignores.
    pub ignored: &'static [&'static str],
    /// Keys that a later version brings.
    pub later: &'static [&'static str],
    /// Keys of other tools, in tables by tool.
    pub elsewhere: &'static [&'static [ForeignKey]],
    /// Rules that join several keys.
    pub rules: &'static [KeyRule],
}

/// A rule that joins several keys of a block.
#[derive(Debug)]
pub enum KeyRule {
    /// At least one of these.
    Any(&'static [&'static str]),
    /// At most one of these.
    One(&'static [&'static str]),
    /// Exactly one of these.
    Exactly(&'static [&'static str]),
    /// The first only together with the second.
    Needs(&'static str, &'static str),
}

/// A key of a block.
#[derive(Debug)]
pub struct SchemaKey {
    pub name: &'static str,
    pub form: ValueType,
    pub absent: DefaultValue,
    /// A value, as YAML on one line.
    pub example: &'static str,
    /// Description in sentences, with units.
    pub text: &'static str,
    /// The first version of `ctl` that reads it.
    pub since: &'static str,
}

/// The default of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// The key is required.
    Required,
    /// This value, as YAML on one line.
    Default(&'static str),
    /// A default that no value expresses, in words.
    Means(&'static str),
}

/// The type of a value.
#[derive(Debug)]
pub enum ValueType {
    /// Text exactly as written; with a pattern (ECMA-262, as in JSON Schema) it must match.
    Text(Option<&'static str>),
    /// Text that cannot be mistaken for a number or boolean, such as a path; it matches this pattern.
    Path(&'static str),
    /// One of a few words.
    EnumValues(&'static EnumValues),
    /// Name of a signal, with or without `SIG`.
    Signal,
    /// A whole number within these bounds.
    Number(u32, u32),
    /// `true` or `false`.
    Flag,
    /// `true`; the key is left out instead of `false`.
    True,
    /// A duration; `0s` is allowed.
    Duration,
    /// A duration of more than `0s`.
    Span,
    /// An amount of cpu.
    Cpu,
    /// An amount of memory.
    Memory,
    /// An amount of memory, also in Docker's spelling.
    LogSize,
    /// A count, or a percentage of the replicas.
    Count,
    /// A list with at most this many items.
    List(&'static ValueType, Option<usize>),
    /// A command as a list of at least one text.
    Command,
    /// A map whose names the user chooses; they match this pattern.
    Map(&'static str, &'static ValueType, Option<usize>),
    /// A map with these keys.
    Block(&'static SchemaNode),
    /// Any of these; the short form first.
    Either(&'static [ValueType]),
}

/// The words that a key accepts; each is the serde name of a variant in the model.
#[derive(Debug)]
pub struct EnumValues {
    /// Each word with its meaning.
    pub words: &'static [(&'static str, &'static str)],
    /// Words that a later version brings.
    pub later: &'static [&'static str],
}

pub(super) const NONE: SchemaNode =
    SchemaNode { keys: &[], ignored: &[], later: &[], elsewhere: &[], rules: &[] };

/// The first version.
const FIRST: &str = "0.1.0";

/// A key of the first version; a key of a later version overrides `since` by struct update.
pub(super) const fn key(
    name: &'static str,
    form: ValueType,
    absent: DefaultValue,
    example: &'static str,
    text: &'static str,
) -> SchemaKey {
    SchemaKey { name, form, absent, example, text, since: FIRST }
}

/// Text of any kind.
pub(in crate::manifest) const TEXT: ValueType = ValueType::Text(None);
/// A list of texts, such as a command.
pub(super) const TEXTS: ValueType = ValueType::List(&TEXT, None);
/// A DNS label; the length is that of `model`'s names.
pub(super) const LABEL: ValueType = ValueType::Text(Some("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"));

impl SchemaNode {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static SchemaKey> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Keys of other tools.
    pub fn foreign_keys(&self) -> impl Iterator<Item = &'static ForeignKey> {
        self.elsewhere.iter().copied().flatten()
    }

    /// The key of another tool with this name.
    pub fn foreign_key(&self, word: &str) -> Option<&'static ForeignKey> {
        self.foreign_keys().find(|key| key.word == word)
    }

    /// The names of its keys.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}
