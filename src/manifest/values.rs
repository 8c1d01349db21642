//! Reads single values and lists of text: the field decides what a text means. Pure.

use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::{Error as UnknownVariant, StrDeserializer};

use super::reader::{ManifestReader, YamlField};
use super::shape::EnumValues;
use super::tree::YamlValue;
use super::{disguise, quotes};
use crate::model::command_form::{command_of_line, flow_list, split_words};
use crate::model::{Problem, QuantityError, lookalike_name, nearest};

/// Why a command is a list.
const NO_SHELL: &str = ": the command is not run through a shell";

impl ManifestReader<'_, '_> {
    /// The text of a scalar, exactly as written. Text with characters that cannot be seen, or with curly quotes, is refused:
    /// it would be another name than the one that was meant.
    pub(super) fn text(&mut self, field: &YamlField<'_>) -> Option<String> {
        let text = self.free_text(field)?;
        if let Some(name) = disguise::first(&text).and_then(lookalike_name) {
            self.wrong(field, format!("`{text}` contains a {name}"));
            return None;
        }
        Some(text)
    }

    /// The text of a scalar, exactly as written, with any characters.
    pub(super) fn free_text(&mut self, field: &YamlField<'_>) -> Option<String> {
        match (&field.node.value, field.node.is_null()) {
            (YamlValue::Scalar { text, .. }, false) => Some(text.clone()),
            (YamlValue::Scalar { .. }, true) => {
                self.wrong(field, format!("`{}` has no value", field.name()));
                None
            }
            _ => {
                self.wrong(field, format!("expected a single value, found {}", field.node.kind()));
                None
            }
        }
    }

    /// A text that may be empty only in quotes.
    pub(super) fn text_or_quotes(&mut self, field: &YamlField<'_>) -> Option<String> {
        if field.node.is_null() {
            let message = format!("`{}` has no value; an empty text needs quotes", field.name());
            self.wrong_but(field, message, "\"\"");
            return None;
        }
        if let (YamlValue::List(_) | YamlValue::Map(_), Some(written)) =
            (&field.node.value, &field.node.written)
        {
            let message = format!("expected a single value, found {}; put it in quotes", field.node.kind());
            self.wrong_but(field, message, quotes::quoted(written));
            return None;
        }
        self.free_text(field)
    }

    pub(super) fn texts(&mut self, field: &YamlField<'_>) -> Option<Vec<String>> {
        self.list_of_texts(field, "", split_words, Self::text)
    }

    /// Arguments of a program. Whether a shell reads them depends on the program.
    pub(super) fn arguments(&mut self, field: &YamlField<'_>) -> Option<Vec<String>> {
        self.list_of_texts(field, NO_SHELL, split_words, Self::free_text)
    }

    /// A command with its arguments; a line that only a shell can read is suggested in one.
    pub(super) fn shell_command(&mut self, field: &YamlField<'_>) -> Option<Vec<String>> {
        self.list_of_texts(field, NO_SHELL, |line| Some(command_of_line(line)), Self::free_text)
    }

    /// `why` is the reason for a list; `split` makes one of a text, for the suggestion.
    fn list_of_texts(
        &mut self,
        field: &YamlField<'_>,
        why: &str,
        split: impl Fn(&str) -> Option<Vec<String>>,
        read: impl Fn(&mut Self, &YamlField<'_>) -> Option<String>,
    ) -> Option<Vec<String>> {
        let Some(items) = self.items(field) else {
            let Some(line) = field.node.text().filter(|line| !line.trim().is_empty()) else {
                self.wrong(field, format!("expected a list, found {}", field.node.kind()));
                return None;
            };
            match split(line) {
                Some(words) => self.wrong_but(field, format!("expected a list{why}"), flow_list(&words)),
                None => self.wrong(field, format!("expected a list{why}")),
            }
            return None;
        };
        let texts: Vec<Option<String>> = items.iter().map(|item| read(self, item)).collect();
        texts.into_iter().collect()
    }

    /// A quantity, from text with or without quotes.
    pub(super) fn quantity<T: FromStr<Err = QuantityError>>(&mut self, field: &YamlField<'_>) -> Option<T> {
        let text = self.text(field)?;
        let QuantityError { message, suggestion } = match text.parse() {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        self.report(field.span, Problem { path: field.path.clone(), message, suggestion });
        None
    }

    /// A whole number without quotes, signs, leading zeros or other bases.
    pub(super) fn number<T: FromStr>(&mut self, field: &YamlField<'_>) -> Option<T> {
        let text = self.text(field)?;
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let plain = matches!(field.node.value, YamlValue::Scalar { plain: true, .. });
        if digits && !plain {
            self.wrong_but(field, format!("expected a number, found the text `\"{text}\"`"), text);
            return None;
        }
        if !digits || (text.len() > 1 && text.starts_with('0')) {
            self.wrong(field, format!("expected a whole number, found `{text}`"));
            return None;
        }
        let value = text.parse().ok();
        if value.is_none() {
            self.wrong(field, format!("the number `{text}` is too large"));
        }
        value
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, field: &YamlField<'_>) -> Option<bool> {
        let text = self.text(field)?;
        let plain = matches!(field.node.value, YamlValue::Scalar { plain: true, .. });
        match text.as_str() {
            "true" if plain => return Some(true),
            "false" if plain => return Some(false),
            _ => {}
        }
        let message = format!("expected `true` or `false`, found `{text}`");
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "1" => self.wrong_but(field, message, "true"),
            "false" | "no" | "off" | "n" | "0" => self.wrong_but(field, message, "false"),
            _ => self.wrong(field, message),
        }
        None
    }

    /// One of a few words, as serde calls the variant.
    pub(super) fn choice<'de, T: Deserialize<'de>>(
        &mut self,
        field: &YamlField<'_>,
        EnumValues { words, later }: &'static EnumValues,
    ) -> Option<T> {
        let text = self.text(field)?;
        if let Some((word, _)) = words.iter().find(|(word, _)| *word == text) {
            return T::deserialize(StrDeserializer::<UnknownVariant>::new(word)).ok();
        }
        if later.contains(&text.as_str()) {
            self.not_yet(field, &text);
            return None;
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{text}` is not one of {}", names.join(", "));
        match nearest(&text, names.iter().copied()) {
            Some(guess) => self.wrong_but(field, message, guess),
            None => self.wrong(field, message),
        }
        None
    }
}
