//! Conditions of routes and revision pins on a request's attributes. Pure.
//!
//! Of a header, cookie or query parameter that a request repeats, the first one counts: two conditions on one name with
//! different values never both hold, so routes that differ in such a value can be distinguished.

use std::borrow::Cow;

use crate::model::{RouteCondition, is_token};

/// What conditions ask of a request.
pub trait RequestAttributes {
    /// The method, as it was sent.
    fn method(&self) -> &str;
    /// The first line of this header, named in lower case.
    fn header(&self, name: &str) -> Option<&[u8]>;
    /// The value of the first cookie with this name.
    fn cookie(&self, name: &str) -> Option<&str>;
    /// The value of the first query parameter with this name, decoded.
    fn query(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// Whether a request meets a condition.
pub fn holds(condition: &RouteCondition, request: &dyn RequestAttributes) -> bool {
    match condition {
        RouteCondition::Method(method) => request.method() == method,
        RouteCondition::Header { name, value } => request.header(name) == Some(value.as_bytes()),
        RouteCondition::Cookie { name, value } => request.cookie(name) == Some(value),
        RouteCondition::Query { name, value } => request.query(name).as_deref() == Some(value),
    }
}

/// What a request has where a condition asks for a value; `None` if it lacks the header, cookie or parameter.
pub fn found<'a>(condition: &RouteCondition, request: &'a dyn RequestAttributes) -> Option<Cow<'a, str>> {
    match condition {
        RouteCondition::Method(_) => Some(request.method().into()),
        RouteCondition::Header { name, .. } => request.header(name).map(String::from_utf8_lossy),
        RouteCondition::Cookie { name, .. } => request.cookie(name).map(Cow::from),
        RouteCondition::Query { name, .. } => request.query(name),
    }
}

/// The value of a cookie in the lines of `Cookie`.
pub fn cookie_value<'a>(lines: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

/// The value of a parameter in a query as it was sent: `&` separates parameters, and a name alone has the value "".
pub fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut named = pairs.filter(|(own, _)| decoded(own) == name);
    named.next().map(|(_, value)| decoded(value))
}

/// The text of a part of a query: `+` is a space, `%41` a byte. What is no encoding stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let encoded = if first == b'%' { encoded_byte(after) } else { None };
        match encoded {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn encoded_byte(digits: &[u8]) -> Option<u8> {
    let digits = str::from_utf8(digits.get(..2)?).ok()?;
    let are_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    are_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// No request can meet the condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its condition on the {0} has a name or value that no request has")]
pub struct BadCondition(&'static str);

/// Whether a request could meet a condition.
///
/// # Errors
/// If none can.
pub fn check_condition(condition: &RouteCondition) -> Result<(), BadCondition> {
    let (what, name, value) = match condition {
        RouteCondition::Method(method) => ("method", method, ""),
        RouteCondition::Header { name, value } => ("header", name, value.as_str()),
        RouteCondition::Cookie { name, value } => ("cookie", name, value.as_str()),
        // decoded, it may be any text
        RouteCondition::Query { name, .. } if !name.is_empty() => return Ok(()),
        RouteCondition::Query { .. } => return Err(BadCondition("query")),
    };
    let has_upper = name.bytes().any(|b| b.is_ascii_uppercase());
    let is_name = is_token(name) && !(what == "header" && has_upper);
    let is_value = !value.bytes().any(|b| b.is_ascii_control()) && value.trim() == value;
    if is_name && is_value { Ok(()) } else { Err(BadCondition(what)) }
}

/// A GET without headers, cookies and query; or bytes, which have none of them.
impl RequestAttributes for () {
    fn method(&self) -> &str {
        "GET"
    }

    fn header(&self, _: &str) -> Option<&[u8]> {
        None
    }

    fn cookie(&self, _: &str) -> Option<&str> {
        None
    }

    fn query(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// A request that meets these conditions, or the first of those that exclude one another; GET if there is none on the method.
#[cfg(test)]
impl RequestAttributes for std::collections::BTreeSet<RouteCondition> {
    fn method(&self) -> &str {
        let mut methods = self.iter().filter_map(|condition| match condition {
            RouteCondition::Method(method) => Some(method.as_str()),
            _ => None,
        });
        methods.next().unwrap_or("GET")
    }

    fn header(&self, wanted: &str) -> Option<&[u8]> {
        self.iter().find_map(|condition| match condition {
            RouteCondition::Header { name, value } if name == wanted => Some(value.as_bytes()),
            _ => None,
        })
    }

    fn cookie(&self, wanted: &str) -> Option<&str> {
        self.iter().find_map(|condition| match condition {
            RouteCondition::Cookie { name, value } if name == wanted => Some(value.as_str()),
            _ => None,
        })
    }

    fn query(&self, wanted: &str) -> Option<Cow<'_, str>> {
        self.iter().find_map(|condition| match condition {
            RouteCondition::Query { name, value } if name == wanted => Some(value.as_str().into()),
            _ => None,
        })
    }
}

/// Conditions for the tests of this module and of the balancer.
#[cfg(test)]
pub(crate) mod samples {
    use crate::model::RouteCondition;

    pub(crate) fn header(name: &str, value: &str) -> RouteCondition {
        RouteCondition::Header { name: name.to_owned(), value: value.to_owned() }
    }

    pub(crate) fn cookie(name: &str, value: &str) -> RouteCondition {
        RouteCondition::Cookie { name: name.to_owned(), value: value.to_owned() }
    }

    pub(crate) fn query(name: &str, value: &str) -> RouteCondition {
        RouteCondition::Query { name: name.to_owned(), value: value.to_owned() }
    }

    pub(crate) fn method(method: &str) -> RouteCondition {
        RouteCondition::Method(method.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{cookie, header, method, query};
    use super::*;

    #[test]
    fn conditions_that_no_request_can_meet_are_refused() {
        let rows = [
            (method(""), "method"),
            (method("GET "), "method"),
            (header("X-Beta", "1"), "header"),
            (header("x beta", "1"), "header"),
            (header("x-beta", "a\r\nb"), "header"),
            (header("x-beta", " 1"), "header"),
            (cookie("a=b", "1"), "cookie"),
            (query("", "1"), "query"),
        ];
        for (condition, what) in rows {
            assert_eq!(check_condition(&condition), Err(BadCondition(what)), "{condition:?}");
        }
        for condition in [method("PROPFIND"), header("x-beta", ""), cookie("Arm", "b"), query("a b", " 1")] {
            assert_eq!(check_condition(&condition), Ok(()), "{condition:?}");
        }
    }

    #[test]
    fn query_value_is_the_first_of_its_name_decoded() {
        let rows = [
            ("v=2", Some("2")),
            ("a=1&v=2&v=3", Some("2")),
            ("v", Some("")),
            ("v=", Some("")),
            ("%76=a%20b+c", Some("a b c")),
            ("v=%e4%bd%a0", Some("你")),
            ("v=100%&x=1", Some("100%")),
            ("v=%zz", Some("%zz")),
            ("v=%+", Some("% ")),
            ("v=a=b", Some("a=b")),
            ("v=%ff", Some("\u{fffd}")),
            ("V=2", None),
            ("", None),
            ("x=v", None),
        ];
        for (query, wanted) in rows {
            assert_eq!(query_value(query, "v").as_deref(), wanted, "{query}");
        }
    }

    #[test]
    fn cookie_value_is_the_first_of_its_name() {
        let value = |name| cookie_value(["a=1; arm=b", "arm=c; d=e=f; bare"].into_iter(), name);
        assert_eq!((value("arm"), value("a"), value("d")), (Some("b"), Some("1"), Some("e=f")));
        assert_eq!((value("ar"), value("bare"), value("b")), (None, None, None));
    }
}
