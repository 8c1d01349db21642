//! An entry of the registry of error codes. Pure.

use super::types::{ApiError, ErrorDetail};

/// Defines codes, and a list of them.
macro_rules! codes {
    ($all:ident $($(#[$doc:meta])* $name:ident = $id:literal, $exit:literal, $title:literal, $meaning:literal, $remedy:literal;)*) => {
        $(
            $(#[$doc])*
            pub const $name: Code =
                Code { id: $id, exit: $exit, title: $title, meaning: $meaning, remedy: $remedy };
        )*

        /// These codes, in the order of the numbers.
        pub(super) const $all: &[Code] = &[$($name),*];
    };
}
pub(super) use codes;

/// An entry of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `CTL-0412`.
    pub id: &'static str,
    /// Exit code of `ctl`.
    pub exit: u8,
    /// One line, without a full stop.
    pub title: &'static str,
    pub meaning: &'static str,
    pub remedy: &'static str,
}

impl Code {
    /// An error of this code.
    pub fn error(&self, what: impl Into<String>) -> ApiError {
        self.detail(what).into()
    }

    /// The content of an error of this code. Callers fill further fields with struct update syntax.
    pub fn detail(&self, what: impl Into<String>) -> ErrorDetail {
        ErrorDetail {
            code: self.id.to_owned(),
            exit: self.exit,
            what: what.into(),
            why: Vec::new(),
            log: Vec::new(),
            kept: None,
            class: None,
            now: None,
            next: Vec::new(),
            problems: Vec::new(),
        }
    }
}

/// Whether a text looks like a code, known or not.
pub fn is_code(text: &str) -> bool {
    let number = text.get(4..).filter(|_| text[..4].eq_ignore_ascii_case("CTL-")).unwrap_or(text);
    !text.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}
