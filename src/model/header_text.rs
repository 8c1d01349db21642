//! Names and values that headers and cookies can have. Pure.

/// Whether a text is a token, as names of headers, cookies and methods are (RFC 9110, section 5.6.2).
pub fn is_token(name: &str) -> bool {
    let is_token_byte = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(is_token_byte)
}

/// Why a text cannot be the value of a header.
pub(super) fn value_problem(value: &str) -> Option<&'static str> {
    if value.bytes().any(|b| !b.is_ascii() || b.is_ascii_control()) {
        Some("must be ASCII without control characters")
    } else if value.trim() != value {
        Some("must not begin or end with a space")
    } else {
        None
    }
}
