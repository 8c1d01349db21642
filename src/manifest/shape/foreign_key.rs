//! A key of another tool in the place of one of ours, and the answer to it. Pure.
//!
//! Docker Compose and Kubernetes name most things that a Service has, by other words and in other places. A word that is in
//! no table gets the nearest key as a guess; one that is gets its answer: `ulimits` is not a misspelt `limits`.

/// A key of another tool.
#[derive(Debug)]
pub struct ForeignKey {
    pub word: &'static str,
    pub answer: ForeignAnswer,
}

/// What to write instead of a key of another tool.
#[derive(Debug, Clone, Copy)]
pub enum ForeignAnswer {
    /// It is written under this key, a path from the block where the word was found.
    Under {
        key: &'static str,
        /// How its value is written, where the key alone does not say it.
        say: &'static str,
    },
    /// A later version brings it.
    Later {
        /// What helps until then; empty if nothing does.
        until: &'static str,
    },
    /// It will not be supported, for this reason.
    Never { why: &'static str },
}

impl ForeignKey {
    /// The message for the word.
    pub fn message(&self) -> String {
        match self.answer {
            ForeignAnswer::Under { key, say: "" } => format!("write `{key}`"),
            ForeignAnswer::Under { say, .. } => say.to_owned(),
            ForeignAnswer::Later { until: "" } => format!("`{}` is not supported yet", self.word),
            ForeignAnswer::Later { until } => format!("`{}` is not supported yet; {until}", self.word),
            ForeignAnswer::Never { why } => why.to_owned(),
        }
    }

    /// The key to use instead, as a path from the block.
    pub fn instead(&self) -> Option<&'static str> {
        match self.answer {
            ForeignAnswer::Under { key, .. } => Some(key),
            ForeignAnswer::Later { .. } | ForeignAnswer::Never { .. } => None,
        }
    }
}

/// The same under another name.
pub(super) const fn renamed(word: &'static str, key: &'static str) -> ForeignKey {
    ForeignKey { word, answer: ForeignAnswer::Under { key, say: "" } }
}

/// The same in another form.
pub(super) const fn under(word: &'static str, key: &'static str, say: &'static str) -> ForeignKey {
    ForeignKey { word, answer: ForeignAnswer::Under { key, say } }
}

/// Not supported yet, with what helps until then.
pub(super) const fn later(word: &'static str, until: &'static str) -> ForeignKey {
    ForeignKey { word, answer: ForeignAnswer::Later { until } }
}

/// Not supported, with the reason.
pub(super) const fn never(word: &'static str, why: &'static str) -> ForeignKey {
    ForeignKey { word, answer: ForeignAnswer::Never { why } }
}
