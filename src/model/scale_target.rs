//! What `ctl scale` asks for: a number of replicas, or so many more or fewer than there are. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::LIMITS;

/// A number of replicas, absolute or relative to the one that is stored. In JSON a number (`3`) or a text (`"+1"`, `"-1"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ScaleTargetForm", into = "ScaleTargetForm")]
pub enum ScaleTarget {
    Count(u32),
    More(u32),
    Fewer(u32),
}

/// A count that a service may not have, or a text that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    #[error("`{text}` is not a number of replicas: write 0 to {}, or a change such as +1 or -1", LIMITS.replicas)]
    NotACount { text: String },
    #[error("{asked} is more than the {} replicas a service may have", LIMITS.replicas)]
    AboveLimit { asked: ScaleTarget },
    /// A relative one, from the stored count.
    #[error("{asked} of {stored} is more than the {} replicas a service may have", LIMITS.replicas)]
    RelativeAboveLimit { asked: ScaleTarget, stored: u32 },
    #[error("{asked} is below 0: the service has {}", replicas(*stored))]
    BelowZero { asked: ScaleTarget, stored: u32 },
}

impl ScaleTarget {
    /// The number of replicas of a service that has `stored`.
    ///
    /// # Errors
    /// [`ScaleError`] where a service may not have so many, or so few.
    pub fn of(self, stored: u32) -> Result<u32, ScaleError> {
        match self {
            Self::Count(count) if count > LIMITS.replicas => Err(ScaleError::AboveLimit { asked: self }),
            Self::Count(count) => Ok(count),
            Self::More(more) => match stored.checked_add(more) {
                Some(count) if count <= LIMITS.replicas => Ok(count),
                _ => Err(ScaleError::RelativeAboveLimit { asked: self, stored }),
            },
            Self::Fewer(fewer) => {
                stored.checked_sub(fewer).ok_or(ScaleError::BelowZero { asked: self, stored })
            }
        }
    }
}

fn replicas(count: u32) -> String {
    if count == 1 { "1 replica".to_owned() } else { format!("{count} replicas") }
}

/// `3`, `+1`, `-1`.
impl FromStr for ScaleTarget {
    type Err = ScaleError;

    fn from_str(text: &str) -> Result<Self, ScaleError> {
        let (target, digits): (fn(u32) -> Self, &str) = match text.split_at_checked(1) {
            Some(("+", digits)) => (Self::More, digits),
            Some(("-", digits)) => (Self::Fewer, digits),
            _ => (Self::Count, text),
        };
        // `parse` alone would take a second sign.
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let count = digits.parse().ok().filter(|_| is_number);
        count.map(target).ok_or_else(|| ScaleError::NotACount { text: text.to_owned() })
    }
}

impl fmt::Display for ScaleTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::More(more) => write!(f, "+{more}"),
            Self::Fewer(fewer) => write!(f, "-{fewer}"),
        }
    }
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ScaleTargetForm {
    Number(u32),
    Text(String),
}

impl TryFrom<ScaleTargetForm> for ScaleTarget {
    type Error = ScaleError;

    fn try_from(form: ScaleTargetForm) -> Result<Self, ScaleError> {
        match form {
            ScaleTargetForm::Number(count) => Ok(Self::Count(count)),
            ScaleTargetForm::Text(text) => text.parse(),
        }
    }
}

impl From<ScaleTarget> for ScaleTargetForm {
    fn from(target: ScaleTarget) -> Self {
        match target {
            ScaleTarget::Count(count) => Self::Number(count),
            relative @ (ScaleTarget::More(_) | ScaleTarget::Fewer(_)) => Self::Text(relative.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_target_of_a_stored_count_keeps_the_limits() {
        for (text, stored, expected) in [
            ("3", 1, Ok(3)),
            ("0", 1, Ok(0)),
            ("+1", 2, Ok(3)),
            ("+0", 2, Ok(2)),
            ("-1", 2, Ok(1)),
            ("-2", 2, Ok(0)),
            ("-3", 2, Err("-3 is below 0: the service has 2 replicas")),
            ("-2", 1, Err("-2 is below 0: the service has 1 replica")),
            ("201", 2, Err("201 is more than the 200 replicas a service may have")),
            ("+200", 1, Err("+200 of 1 is more than the 200 replicas a service may have")),
            ("+4294967295", 1, Err("+4294967295 of 1 is more than the 200 replicas a service may have")),
        ] {
            let found = text.parse::<ScaleTarget>().and_then(|target| target.of(stored));
            assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn scale_target_refuses_what_is_no_count() {
        for text in
            ["", "+", "-", "x", "++1", "+-1", "--1", "-+1", "1+", "1.5", " 1", "+ 1", "4294967296", "+٣"]
        {
            let error = ScaleError::NotACount { text: text.to_owned() };
            assert_eq!(text.parse::<ScaleTarget>(), Err(error));
        }
    }

    #[test]
    fn scale_target_in_json_is_a_number_or_a_signed_text() {
        for (json, target) in [
            ("3", ScaleTarget::Count(3)),
            ("\"+1\"", ScaleTarget::More(1)),
            ("\"-2\"", ScaleTarget::Fewer(2)),
        ] {
            assert_eq!(serde_json::from_str::<ScaleTarget>(json).map_err(|e| e.to_string()), Ok(target));
            assert_eq!(serde_json::to_string(&target).map_err(|e| e.to_string()), Ok(json.to_owned()));
        }
        for json in ["-1", "1.5", "\"one\"", "null", "[1]"] {
            assert!(serde_json::from_str::<ScaleTarget>(json).is_err(), "{json}");
        }
    }
}
