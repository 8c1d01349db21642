//! Conditions of routes and revision pins on a request's attributes. Pure.

use crate::model::RouteCondition;

/// What conditions ask of a request.
pub(super) trait RequestAttributes {
    fn method(&self) -> &str;
    /// Whether a line of this header, named in lower case, has just this value.
    fn has_header(&self, name: &str, value: &str) -> bool;
    fn has_cookie(&self, name: &str, value: &str) -> bool;
}

/// Whether a request meets a condition.
pub(super) fn holds(condition: &RouteCondition, request: &dyn RequestAttributes) -> bool {
    match condition {
        RouteCondition::Method(method) => request.method() == method,
        RouteCondition::Header { name, value } => request.has_header(name, value),
        RouteCondition::Cookie { name, value } => request.has_cookie(name, value),
    }
}

/// No request can meet the condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its condition on the {0} has a name or value that no request has")]
pub(super) struct BadCondition(&'static str);

/// Whether a request could meet a condition.
pub(super) fn check_condition(condition: &RouteCondition) -> Result<(), BadCondition> {
    let (what, name, value) = match condition {
        RouteCondition::Method(method) => ("method", method, ""),
        RouteCondition::Header { name, value } => ("header", name, value.as_str()),
        RouteCondition::Cookie { name, value } => ("cookie", name, value.as_str()),
    };
    let has_upper = name.bytes().any(|b| b.is_ascii_uppercase());
    let is_name = !name.is_empty() && name.bytes().all(is_token_byte) && !(what == "header" && has_upper);
    let is_value = !value.bytes().any(|b| b.is_ascii_control()) && value.trim() == value;
    if is_name && is_value { Ok(()) } else { Err(BadCondition(what)) }
}

/// RFC 9110, 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A GET without headers and cookies; or bytes, which have neither.
impl RequestAttributes for () {
    fn method(&self) -> &str {
        "GET"
    }

    fn has_header(&self, _: &str, _: &str) -> bool {
        false
    }

    fn has_cookie(&self, _: &str, _: &str) -> bool {
        false
    }
}

/// A request that meets these conditions, and GET if there is none on the method.
#[cfg(test)]
impl RequestAttributes for std::collections::BTreeSet<RouteCondition> {
    fn method(&self) -> &str {
        let mut methods = self.iter().filter_map(|condition| match condition {
            RouteCondition::Method(method) => Some(method.as_str()),
            _ => None,
        });
        methods.next().unwrap_or("GET")
    }

    fn has_header(&self, name: &str, value: &str) -> bool {
        self.contains(&RouteCondition::Header { name: name.to_owned(), value: value.to_owned() })
    }

    fn has_cookie(&self, name: &str, value: &str) -> bool {
        self.contains(&RouteCondition::Cookie { name: name.to_owned(), value: value.to_owned() })
    }
}

/// Conditions for the tests of this file and of `router`.
#[cfg(test)]
pub(super) mod samples {
    use crate::model::RouteCondition;

    pub(in crate::balancer) fn header(name: &str, value: &str) -> RouteCondition {
        RouteCondition::Header { name: name.to_owned(), value: value.to_owned() }
    }

    pub(in crate::balancer) fn cookie(name: &str, value: &str) -> RouteCondition {
        RouteCondition::Cookie { name: name.to_owned(), value: value.to_owned() }
    }

    pub(in crate::balancer) fn method(method: &str) -> RouteCondition {
        RouteCondition::Method(method.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{cookie, header, method};
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
        ];
        for (condition, what) in rows {
            assert_eq!(check_condition(&condition), Err(BadCondition(what)), "{condition:?}");
        }
        for condition in [method("PROPFIND"), header("x-beta", ""), cookie("Arm", "b")] {
            assert_eq!(check_condition(&condition), Ok(()), "{condition:?}");
        }
    }
}
