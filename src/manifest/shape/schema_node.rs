//! What a block of the manifest is described by: its keys, with value type, default, example and text.

/// The keys of a block.
#[derive(Debug)]
pub struct SchemaNode {
    /// What is read.
    pub keys: &'static [SchemaKey],
    /// What `ctl get` prints of the system's own: accepted and left out.
    pub ignored: &'static [&'static str],
    /// What the format has and this version does not.
    pub later: &'static [&'static str],
    /// Words from elsewhere: the key of this block that says it here (or none), and what to say to them.
    pub elsewhere: &'static [(&'static str, &'static str, &'static str)],
    /// What its keys ask of one another.
    pub rules: &'static [KeyRule],
}

/// What the keys of a block ask of one another.
#[derive(Debug)]
pub enum KeyRule {
    /// One of these at least.
    Any(&'static [&'static str]),
    /// One of these at most.
    One(&'static [&'static str]),
}

/// A key of a block.
#[derive(Debug)]
pub struct SchemaKey {
    /// As it is written.
    pub name: &'static str,
    /// What may be written under it.
    pub form: ValueType,
    /// What holds where it is left out.
    pub absent: DefaultValue,
    /// A value, as YAML on one line.
    pub example: &'static str,
    /// What it means: sentences, with units.
    pub text: &'static str,
    /// The first version of `ctl` that reads it.
    pub since: &'static str,
}

/// What holds where a key is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// It cannot be left out.
    Required,
    /// The same as this value, as YAML on one line.
    Default(&'static str),
    /// Something that no value says.
    Means(&'static str),
}

/// What may be written under a key.
#[derive(Debug)]
pub enum ValueType {
    /// Text exactly as written; it matches this pattern (of ECMA-262, as in JSON Schema), where there is one.
    Text(Option<&'static str>),
    /// Text that no number or truth value can be taken for, such as a path; it matches this pattern.
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
    /// A duration; `0s` is one of them.
    Duration,
    /// A duration of more than `0s`.
    Span,
    /// An amount of cpu.
    Cpu,
    /// An amount of memory.
    Memory,
    /// The same, and Docker's spelling of it.
    LogSize,
    /// A count, or a percentage of the replicas.
    Count,
    /// A list of at most so many.
    List(&'static ValueType, Option<usize>),
    /// A command as a list of at least one text.
    Command,
    /// A map of names that the user gives and that match this pattern.
    Map(&'static str, &'static ValueType, Option<usize>),
    /// A map with these keys.
    Block(&'static SchemaNode),
    /// Any of these; the short form first.
    Either(&'static [ValueType]),
}

/// The words that a key takes; each is what serde calls a variant of the model.
#[derive(Debug)]
pub struct EnumValues {
    /// Each with what it means.
    pub words: &'static [(&'static str, &'static str)],
    /// What the format has and this version does not.
    pub later: &'static [&'static str],
}

pub(super) const NONE: SchemaNode =
    SchemaNode { keys: &[], ignored: &[], later: &[], elsewhere: &[], rules: &[] };

/// The first version.
const FIRST: &str = "0.1.0";

/// A key of the first version; one of a later version says so by struct update.
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

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}
