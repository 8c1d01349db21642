//! What users declare, as objects with a kind and a name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kinds of objects that a manifest may declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectKind {
    /// Identical replicas of an image.
    Service,
}

impl ObjectKind {
    /// Every kind, in the order in which objects are listed.
    pub const ALL: [Self; 1] = [Self::Service];

    /// The word before the slash of an address, `service/users`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
        }
    }
}

/// The `kind` of a manifest.
impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Service => "Service",
        })
    }
}

/// The address of an object: `service/users`. Its text form is what the store keeps and what `ctl` takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectRef {
    /// The kind.
    pub kind: ObjectKind,
    /// The name, unique within the kind.
    pub name: String,
}

/// The text is not `kind/name` with a known kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of an object, such as service/users")]
pub struct ObjectRefError(String);

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.word(), self.name)
    }
}

impl FromStr for ObjectRef {
    type Err = ObjectRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || ObjectRefError(text.to_owned());
        let (word, name) = text.split_once('/').ok_or_else(invalid)?;
        let kind = ObjectKind::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(invalid)?;
        if name.is_empty() {
            return Err(invalid());
        }
        Ok(Self { kind, name: name.to_owned() })
    }
}

impl TryFrom<String> for ObjectRef {
    type Error = ObjectRefError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ObjectRef> for String {
    fn from(object: ObjectRef) -> Self {
        object.to_string()
    }
}

impl From<&super::ServiceName> for ObjectRef {
    fn from(name: &super::ServiceName) -> Self {
        Self { kind: ObjectKind::Service, name: name.as_str().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_ref_parses_what_it_displays() {
        let users: ObjectRef = "service/users".parse().unwrap();
        assert_eq!(users, ObjectRef::from(&"users".into()));
        assert_eq!(users.to_string(), "service/users");
        for text in ["users", "service/", "gadget/users", "/users", ""] {
            assert!(text.parse::<ObjectRef>().is_err(), "{text}");
        }
    }
}
