//! How a message's body is delimited (RFC 9112, section 6). Pure.
//!
//! Servers differ in how they read a message with two lengths, or with a length in an unusual form. Between two such servers
//! a part of one request becomes a request of its own (request smuggling), so these messages are refused.

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{StatusCode, Version};

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::balancer::http) enum BodyFraming {
    /// There is none.
    Empty,
    /// After this many bytes.
    Length(u64),
    /// After a chunk of no bytes, and trailers.
    Chunked,
    /// With the connection: only a response.
    UntilClose,
}

/// Why it cannot be said where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::balancer::http) enum FramingError {
    #[error("Content-Length must be one decimal number without a sign or leading zeros")]
    Length,
    #[error("Content-Length and Transfer-Encoding exclude each other")]
    TwoLengths,
    #[error("Transfer-Encoding needs HTTP/1.1")]
    OldVersion,
    #[error("the transfer coding is not supported; only `chunked` alone is")]
    Coding,
}

/// Where the body of a request ends.
pub(super) fn request_framing(headers: &HeaderMap, version: Version) -> Result<BodyFraming, FramingError> {
    if headers.contains_key(TRANSFER_ENCODING) {
        if headers.contains_key(CONTENT_LENGTH) {
            return Err(FramingError::TwoLengths);
        }
        if version == Version::HTTP_10 {
            return Err(FramingError::OldVersion);
        }
        return chunked(headers);
    }
    Ok(match content_length(headers)? {
        None | Some(0) => BodyFraming::Empty,
        Some(length) => BodyFraming::Length(length),
    })
}

/// Where the body of a response ends. A length next to a transfer coding does not count, and is removed.
pub(super) fn response_framing(
    headers: &mut HeaderMap,
    status: StatusCode,
    answers_head: bool,
) -> Result<BodyFraming, FramingError> {
    let has_body = !answers_head
        && !status.is_informational()
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED;
    if !has_body {
        return Ok(BodyFraming::Empty);
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
        return chunked(headers);
    }
    let length = content_length(headers)?;
    if let Some(length) = length {
        // one line, where there were several that agreed
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(length.map_or(BodyFraming::UntilClose, BodyFraming::Length))
}

fn chunked(headers: &HeaderMap) -> Result<BodyFraming, FramingError> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |line: &HeaderValue| line.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    match (lines.next(), lines.next()) {
        (Some(line), None) if is_chunked(line) => Ok(BodyFraming::Chunked),
        _ => Err(FramingError::Coding),
    }
}

/// All lines must have the same number.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, FramingError> {
    let mut length = None;
    for line in headers.get_all(CONTENT_LENGTH) {
        let number = decimal(line.as_bytes()).ok_or(FramingError::Length)?;
        if length.is_some_and(|earlier| earlier != number) {
            return Err(FramingError::Length);
        }
        length = Some(number);
    }
    Ok(length)
}

fn decimal(text: &[u8]) -> Option<u64> {
    let is_plain = text == b"0" || (text.iter().all(u8::is_ascii_digit) && !text.starts_with(b"0"));
    is_plain.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// Whether a header frames a message for servers that read `_` as `-` (CGI, WSGI), without being a framing header.
pub(in crate::balancer::http) fn mimics_framing(name: &HeaderName) -> bool {
    matches!(name.as_str(), "content_length" | "transfer_encoding")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = [(&'static str, &'static str)];

    fn headers(lines: &Lines) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn request_framing_refuses_what_servers_read_differently() {
        let length = "content-length";
        let coding = "transfer-encoding";
        let rows: &[(&Lines, Result<BodyFraming, FramingError>)] = &[
            (&[], Ok(BodyFraming::Empty)),
            (&[(length, "0")], Ok(BodyFraming::Empty)),
            (&[(length, "12")], Ok(BodyFraming::Length(12))),
            (&[(length, "18446744073709551615")], Ok(BodyFraming::Length(u64::MAX))),
            (&[(length, "18446744073709551616")], Err(FramingError::Length)),
            (&[(length, "012")], Err(FramingError::Length)),
            (&[(length, "+12")], Err(FramingError::Length)),
            (&[(length, "0x1")], Err(FramingError::Length)),
            (&[(length, "")], Err(FramingError::Length)),
            (&[(length, "1,1")], Err(FramingError::Length)),
            (&[(length, "1"), (length, "1")], Ok(BodyFraming::Length(1))),
            (&[(length, "1"), (length, "2")], Err(FramingError::Length)),
            (&[(coding, "chunked")], Ok(BodyFraming::Chunked)),
            (&[(coding, "Chunked")], Ok(BodyFraming::Chunked)),
            (&[(coding, "gzip, chunked")], Err(FramingError::Coding)),
            (&[(coding, "chunked, chunked")], Err(FramingError::Coding)),
            (&[(coding, "chunked"), (coding, "chunked")], Err(FramingError::Coding)),
            (&[(coding, "identity")], Err(FramingError::Coding)),
            (&[(coding, "chunked"), (length, "3")], Err(FramingError::TwoLengths)),
        ];
        for (lines, wanted) in rows {
            assert_eq!(request_framing(&headers(lines), Version::HTTP_11), *wanted, "{lines:?}");
        }
        let old = request_framing(&headers(&[(coding, "chunked")]), Version::HTTP_10);
        assert_eq!(old, Err(FramingError::OldVersion));
    }

    #[test]
    fn response_framing_ignores_a_length_beside_a_transfer_coding() {
        let mut both = headers(&[("content-length", "10"), ("transfer-encoding", "chunked")]);
        assert_eq!(response_framing(&mut both, StatusCode::OK, false), Ok(BodyFraming::Chunked));
        assert!(!both.contains_key(CONTENT_LENGTH));
        let mut twice = headers(&[("content-length", "10"), ("content-length", "10")]);
        assert_eq!(response_framing(&mut twice, StatusCode::OK, false), Ok(BodyFraming::Length(10)));
        assert_eq!(twice.get_all(CONTENT_LENGTH).iter().count(), 1);
    }

    #[test]
    fn response_framing_knows_responses_without_a_body() {
        let rows =
            [(StatusCode::NO_CONTENT, false), (StatusCode::NOT_MODIFIED, false), (StatusCode::OK, true)];
        for (status, answers_head) in rows {
            let mut length = headers(&[("content-length", "10")]);
            assert_eq!(response_framing(&mut length, status, answers_head), Ok(BodyFraming::Empty));
            assert!(length.contains_key(CONTENT_LENGTH), "a HEAD says how long the body would be");
        }
        let unknown = response_framing(&mut HeaderMap::new(), StatusCode::OK, false);
        assert_eq!(unknown, Ok(BodyFraming::UntilClose));
    }
}
