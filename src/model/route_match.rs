//! Which requests a route matches.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::is_host_name;

/// The hosts that a route matches, ordered from the most specific to the least. Text form: `shop.example`,
/// `*.shop.example` or `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostPattern {
    /// One host, in lower case.
    Exact(String),
    /// Hosts with one label before this one.
    Wildcard(String),
    /// Every host.
    Any,
}

/// A text that is not a host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid host pattern `{0}`: expected a host name, `*.` before a host name, or `*`")]
pub struct HostPatternError(String);

impl HostPattern {
    /// This host, or every host for `None`.
    pub fn of(host: Option<&str>) -> Self {
        host.map_or(Self::Any, |host| Self::Exact(host.to_owned()))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.pad(host),
            Self::Wildcard(parent) => f.pad(&format!("*.{parent}")),
            Self::Any => f.pad("*"),
        }
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || HostPatternError(text.to_owned());
        if text == "*" {
            return Ok(Self::Any);
        }
        let (host, wrap): (&str, fn(String) -> Self) = match text.strip_prefix("*.") {
            Some(parent) => (parent, Self::Wildcard),
            None => (text, Self::Exact),
        };
        is_host_name(host).then(|| wrap(host.to_owned())).ok_or_else(invalid)
    }
}

impl TryFrom<String> for HostPattern {
    type Error = HostPatternError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

/// The paths that a route matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathMatch {
    /// This path alone.
    Exact(String),
    /// This path and every path below it.
    Prefix(String),
}

impl PathMatch {
    /// The path, exact or prefix.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(path) | Self::Prefix(path) => path,
        }
    }
}

/// A further condition on a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RouteCondition {
    /// This method.
    Method(String),
    /// A header line with this name, in lower case, and just this value.
    Header { name: String, value: String },
    /// A cookie with this name and just this value.
    Cookie { name: String, value: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_pattern_parses_what_it_displays() {
        for text in ["*", "*.shop.example", "shop.example", "localhost"] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
        }
        for text in ["", "*.", "**", "a.*.b", "*a.b", "*.*.b", "A.b", "a b", "*.b:80"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn host_patterns_sort_from_specific_to_general() {
        let mut patterns: Vec<HostPattern> =
            ["*", "*.a", "b.a", "a.a"].iter().map(|text| text.parse().unwrap()).collect();
        patterns.sort();
        assert_eq!(patterns.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a.a", "b.a", "*.a", "*"]);
    }
}
