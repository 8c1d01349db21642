//! Quantities as users write them: durations, cpu, memory, counts or percentages. Pure.
//!
//! Each parses from text, prints the shortest text that parses back, and serialises as that text.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not a quantity. The message gives examples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QuantityError {
    pub message: String,
    /// The text that was probably meant.
    pub suggestion: Option<String>,
}

fn wrong<T>(message: impl Into<String>, suggestion: Option<String>) -> Result<T, QuantityError> {
    Err(QuantityError { message: message.into(), suggestion })
}

macro_rules! serde_as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// A length of time in whole milliseconds; written `500ms`, `10s`, `1m30s`, `2h`, `14d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Millis {
    /// That many seconds.
    pub const fn secs(n: u64) -> Self {
        Self(n * 1_000)
    }

    /// As the standard library's type.
    pub const fn std(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// The sum, at most the largest value.
    #[must_use]
    pub fn plus(self, other: Millis) -> Millis {
        Millis(self.0.saturating_add(other.0))
    }
}

impl From<Duration> for Millis {
    fn from(d: Duration) -> Self {
        Self(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }
}

impl FromStr for Millis {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return wrong(format!("duration `{text}` needs a unit"), Some(format!("{text}s")));
        }
        let invalid =
            || format!("invalid duration `{text}`: expected `500ms`, `10s`, `1m30s`, `2h` or `14d`");
        let mut rest = text;
        let mut total = 0u64;
        let mut last_unit = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let unit_len = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
            let number = &rest[..digits];
            let unit = &rest[digits..digits + unit_len];
            let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
                return wrong(invalid(), None);
            };
            let Some(part) = number.parse::<u64>().ok().and_then(|n| n.checked_mul(*size)) else {
                return wrong(invalid(), None);
            };
            if *size >= last_unit {
                return wrong(invalid(), None);
            }
            last_unit = *size;
            let Some(sum) = total.checked_add(part) else { return wrong(invalid(), None) };
            total = sum;
            rest = &rest[digits + unit_len..];
        }
        if last_unit == u64::MAX { wrong(invalid(), None) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("0s");
        }
        let mut text = String::new();
        let mut rest = self.0;
        for (name, size) in UNITS {
            if rest / size > 0 {
                text += &format!("{}{name}", rest / size);
                rest %= size;
            }
        }
        f.pad(&text)
    }
}
serde_as_text!(Millis);

/// Processor time in thousandths of a core; written `250m`, `0.5`, `2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cpu(pub u32);

impl FromStr for Cpu {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let invalid = || format!("invalid cpu quantity `{text}`: expected `500m`, `0.5` or `2`");
        let millis = match text.strip_suffix('m') {
            Some(whole) if whole.bytes().all(|b| b.is_ascii_digit()) => whole.parse::<u32>().ok(),
            Some(_) => None,
            None => {
                let (whole, part) = text.split_once('.').unwrap_or((text, ""));
                let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
                if whole.is_empty()
                    || !digits(whole)
                    || !digits(part)
                    || part.len() > 3
                    || text.ends_with('.')
                {
                    None
                } else {
                    let part = format!("{part:0<3}").parse::<u32>().unwrap_or(0);
                    whole.parse::<u32>().ok().and_then(|w| w.checked_mul(1_000)?.checked_add(part))
                }
            }
        };
        match millis {
            Some(m) if m > 0 => Ok(Self(m)),
            Some(_) => wrong("cpu must be greater than 0", None),
            None => wrong(invalid(), None),
        }
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1_000) {
            f.pad(&(self.0 / 1_000).to_string())
        } else {
            f.pad(&format!("{}m", self.0))
        }
    }
}
serde_as_text!(Cpu);

/// An amount of memory in bytes; written `256Mi`, `1Gi`, `512M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MemorySize(pub u64);

const MEMORY_UNITS: [(&str, u64); 8] = [
    ("Ti", 1 << 40),
    ("T", 1_000_000_000_000),
    ("Gi", 1 << 30),
    ("G", 1_000_000_000),
    ("Mi", 1 << 20),
    ("M", 1_000_000),
    ("Ki", 1 << 10),
    ("k", 1_000),
];

impl FromStr for MemorySize {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        if unit == "m" && digits > 0 {
            let message = format!("`{text}` means thousandths of a byte");
            return wrong(message, Some(format!("{number}Mi")));
        }
        let size = if unit.is_empty() {
            Some(1)
        } else {
            MEMORY_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size)
        };
        match size.zip(number.parse::<u64>().ok()).and_then(|(s, n)| n.checked_mul(s)) {
            Some(0) => wrong("memory must be greater than 0", None),
            Some(bytes) => Ok(Self(bytes)),
            None => {
                wrong(format!("invalid memory quantity `{text}`: expected `256Mi`, `1Gi` or `512M`"), None)
            }
        }
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = MEMORY_UNITS.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        match unit {
            Some((name, size)) => f.pad(&format!("{}{name}", self.0 / size)),
            None => f.pad(&self.0.to_string()),
        }
    }
}
serde_as_text!(MemorySize);

/// A count, or a percentage of the replica count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NumberOrPercent {
    Number(u32),
    /// That part of the replica count, in per cent.
    Percent(u32),
}

impl NumberOrPercent {
    /// Of `total`, rounded up (a surge of 10 % of 3 is 1).
    pub fn of_rounded_up(self, total: u32) -> u32 {
        match self {
            Self::Number(n) => n,
            Self::Percent(p) => {
                u32::try_from((u64::from(total) * u64::from(p)).div_ceil(100)).unwrap_or(u32::MAX)
            }
        }
    }

    /// Of `total`, rounded down (10 % of 3 may be unavailable: none).
    pub fn of_rounded_down(self, total: u32) -> u32 {
        match self {
            Self::Number(n) => n,
            Self::Percent(p) => u32::try_from(u64::from(total) * u64::from(p) / 100).unwrap_or(u32::MAX),
        }
    }
}

impl FromStr for NumberOrPercent {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let digits =
            |t: &str| if t.bytes().all(|b| b.is_ascii_digit()) { t.parse::<u32>().ok() } else { None };
        let parsed = match text.strip_suffix('%') {
            Some(p) => digits(p).filter(|p| *p <= 1_000).map(Self::Percent),
            None => digits(text).map(Self::Number),
        };
        parsed.map_or_else(
            || wrong(format!("expected a whole number or a percentage, found `{text}`"), None),
            Ok,
        )
    }
}

impl fmt::Display for NumberOrPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Percent(p) => write!(f, "{p}%"),
        }
    }
}

impl Serialize for NumberOrPercent {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(n) => s.serialize_u32(*n),
            Self::Percent(_) => s.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for NumberOrPercent {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u32),
            Text(String),
        }
        match Either::deserialize(d)? {
            Either::Number(n) => Ok(Self::Number(n)),
            Either::Text(t) => t.parse().map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = QuantityError> + fmt::Display + PartialEq + fmt::Debug>(
        good: &[(&str, T, &str)],
        bad: &[(&str, Option<&str>)],
    ) {
        for (text, value, printed) in good {
            assert_eq!(text.parse::<T>().as_ref(), Ok(value), "{text}");
            assert_eq!(value.to_string(), *printed, "{text}");
            assert_eq!(printed.parse::<T>().as_ref(), Ok(value), "{printed}");
        }
        for (text, suggestion) in bad {
            let error = text.parse::<T>().expect_err(text);
            assert_eq!(error.suggestion.as_deref(), *suggestion, "{text}");
        }
    }

    #[test]
    fn millis_parses_what_it_prints_and_rejects_other_texts() {
        check(
            &[
                ("500ms", Millis(500), "500ms"),
                ("10s", Millis(10_000), "10s"),
                ("1m30s", Millis(90_000), "1m30s"),
                ("90s", Millis(90_000), "1m30s"),
                ("2h", Millis(7_200_000), "2h"),
                ("14d", Millis(1_209_600_000), "14d"),
                ("0s", Millis(0), "0s"),
            ],
            &[
                ("10", Some("10s")),
                ("", None),
                ("s", None),
                ("1.5h", None),
                ("1s1m", None),
                ("1s1s", None),
                ("-1s", None),
                ("99999999999999d", None),
                ("1y", None),
            ],
        );
    }

    #[test]
    fn cpu_parses_what_it_prints_and_rejects_other_texts() {
        check(
            &[
                ("500m", Cpu(500), "500m"),
                ("0.5", Cpu(500), "500m"),
                ("2", Cpu(2_000), "2"),
                ("1.25", Cpu(1_250), "1250m"),
            ],
            &[
                ("0", None),
                ("", None),
                ("1.", None),
                (".5", None),
                ("1.2345", None),
                ("-1", None),
                ("+1m", None),
            ],
        );
    }

    #[test]
    fn memory_size_parses_what_it_prints_and_rejects_other_texts() {
        check(
            &[
                ("256Mi", MemorySize(256 << 20), "256Mi"),
                ("1Gi", MemorySize(1 << 30), "1Gi"),
                ("512M", MemorySize(512_000_000), "512M"),
                ("1000", MemorySize(1_000), "1k"),
                ("1001", MemorySize(1_001), "1001"),
            ],
            &[("256m", Some("256Mi")), ("0", None), ("", None), ("Mi", None), ("1.5Gi", None), ("1gb", None)],
        );
    }

    #[test]
    fn number_or_percent_parses_what_it_prints_and_rounds_both_ways() {
        check(
            &[("1", NumberOrPercent::Number(1), "1"), ("25%", NumberOrPercent::Percent(25), "25%")],
            &[("", None), ("%", None), ("-1", None), ("1.5", None), ("+5%", None)],
        );
        let quarter = NumberOrPercent::Percent(25);
        assert_eq!((quarter.of_rounded_up(3), quarter.of_rounded_down(3)), (1, 0));
        assert_eq!((quarter.of_rounded_up(8), quarter.of_rounded_down(8)), (2, 2));
    }
}
