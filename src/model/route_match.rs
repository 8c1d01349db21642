//! Which requests a route matches.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::header_text::is_token;
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
    /// The first line of the header with this name, in lower case, has just this value.
    Header { name: String, value: String },
    /// The first cookie with this name has just this value.
    Cookie { name: String, value: String },
    /// The first query parameter with this name has just this value, both decoded.
    Query { name: String, value: String },
}

impl RouteCondition {
    /// Whether no request can meet both.
    pub fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Method(one), Self::Method(other)) => one != other,
            (Self::Header { name, value }, Self::Header { name: same, value: other })
            | (Self::Cookie { name, value }, Self::Cookie { name: same, value: other })
            | (Self::Query { name, value }, Self::Query { name: same, value: other }) => {
                name == same && value != other
            }
            _ => false,
        }
    }
}

/// As claims and messages show it. A value is quoted, and so is a name that is no token, so that different conditions have different
/// texts, one after the other too.
impl fmt::Display for RouteCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(method) => write!(f, "method={method}"),
            Self::Header { name, value } => write!(f, "header.{name}={value:?}"),
            Self::Cookie { name, value } => write!(f, "cookie.{name}={value:?}"),
            Self::Query { name, value } if is_token(name) => write!(f, "query.{name}={value:?}"),
            Self::Query { name, value } => write!(f, "query.{name:?}={value:?}"),
        }
    }
}

/// Conditions of a route as its manifest has them: all must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteMatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Values by name, which may be in upper case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cookie: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
}

impl RouteMatch {
    /// Whether every request meets it.
    pub fn is_empty(&self) -> bool {
        self.conditions().is_empty()
    }

    /// The conditions, one for each method and name.
    pub fn conditions(&self) -> BTreeSet<RouteCondition> {
        let Self { method, header, cookie, query } = self;
        let methods = method.iter().cloned().map(RouteCondition::Method);
        let headers = header.iter().map(|(name, value)| RouteCondition::Header {
            name: name.to_ascii_lowercase(),
            value: value.clone(),
        });
        let cookies = cookie
            .iter()
            .map(|(name, value)| RouteCondition::Cookie { name: name.clone(), value: value.clone() });
        let parameters = query
            .iter()
            .map(|(name, value)| RouteCondition::Query { name: name.clone(), value: value.clone() });
        methods.chain(headers).chain(cookies).chain(parameters).collect()
    }
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
    fn conditions_exclude_each_other_on_the_same_name_alone() {
        let header =
            |name: &str, value: &str| RouteCondition::Header { name: name.into(), value: value.into() };
        let query =
            |name: &str, value: &str| RouteCondition::Query { name: name.into(), value: value.into() };
        let method = |name: &str| RouteCondition::Method(name.to_owned());
        for (one, other, excludes) in [
            (method("GET"), method("POST"), true),
            (method("GET"), method("GET"), false),
            (header("a", "1"), header("a", "2"), true),
            (header("a", "1"), header("b", "2"), false),
            (header("a", "1"), query("a", "2"), false),
            (query("a", "1"), query("a", "2"), true),
        ] {
            assert_eq!((one.excludes(&other), other.excludes(&one)), (excludes, excludes), "{one} {other}");
        }
    }

    #[test]
    fn match_block_becomes_one_condition_for_each_name() {
        let block: RouteMatch = serde_json::from_str(
            r#"{"method": "POST", "header": {"X-Beta": "1"}, "cookie": {"Arm": "b"}, "query": {"v": "a \"b\""}}"#,
        )
        .unwrap();
        let texts: Vec<String> = block.conditions().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["method=POST", "header.x-beta=\"1\"", "cookie.Arm=\"b\"", "query.v=\"a \\\"b\\\"\""]
        );
        assert!(RouteMatch::default().is_empty() && !block.is_empty());
    }

    #[test]
    fn different_conditions_have_different_texts() {
        let text = |query: &[(&str, &str)]| {
            let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let conditions = RouteMatch { query, ..RouteMatch::default() }.conditions();
            conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(text(&[("a", "1"), ("b", "2")]), "query.a=\"1\" query.b=\"2\"");
        assert_eq!(text(&[("a=\"1\" query.b", "2")]), "query.\"a=\\\"1\\\" query.b\"=\"2\"");
        assert_eq!(text(&[("\"a\"", "1")]), "query.\"\\\"a\\\"\"=\"1\"");
    }

    #[test]
    fn host_patterns_sort_from_specific_to_general() {
        let mut patterns: Vec<HostPattern> =
            ["*", "*.a", "b.a", "a.a"].iter().map(|text| text.parse().unwrap()).collect();
        patterns.sort();
        assert_eq!(patterns.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a.a", "b.a", "*.a", "*"]);
    }
}
