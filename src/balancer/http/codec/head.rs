//! Reads the head of a message: its first line and headers. Pure.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{Method, Request, Response, StatusCode, Uri, Version, request, response};
use httparse::Status;

use super::framing::{BodyFraming, FramingError, request_framing, response_framing};
use crate::balancer::limits::{HEADERS_MAX_BYTES, HEADERS_MAX_COUNT, METHOD_MAX_BYTES, URI_MAX_BYTES};

/// Headers of a message that are parsed without an allocation for them; few have more.
const COMMON_HEADERS: usize = 64;
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// How a connection in HTTP/2 begins (RFC 9113, section 3.4), as far as the parser has read when it refuses the version.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2";

/// Why a head is refused. The text is shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::balancer::http) enum HeadError {
    #[error("the request is not HTTP/1.1: {0}")]
    Syntax(httparse::Error),
    #[error("this port speaks HTTP without TLS")]
    Tls,
    #[error("a connection speaks HTTP/2 from its beginning or not at all")]
    Http2,
    #[error("the request's HTTP version is not 1.0 or 1.1")]
    Version,
    #[error("the method is longer than {METHOD_MAX_BYTES} bytes")]
    Method,
    #[error("the request target is not valid")]
    Target,
    #[error("the request target is longer than {} KiB", URI_MAX_BYTES >> 10)]
    TargetLength,
    #[error("the request line and headers exceed {} KiB", HEADERS_MAX_BYTES >> 10)]
    Length,
    #[error("the request has more than {HEADERS_MAX_COUNT} headers")]
    Count,
    #[error(transparent)]
    Framing(#[from] FramingError),
}

/// A request without its body.
#[derive(Debug)]
pub(in crate::balancer::http) struct RequestHead {
    pub(in crate::balancer::http) parts: request::Parts,
    pub(in crate::balancer::http) framing: BodyFraming,
    /// Whether the client expects to send another request on the connection.
    pub(in crate::balancer::http) keeps_alive: bool,
    /// Whether the client waits for a word before it sends the body.
    pub(in crate::balancer::http) expects_continue: bool,
}

/// A response without its body.
#[derive(Debug)]
pub(in crate::balancer::http) struct ResponseHead {
    pub(in crate::balancer::http) parts: response::Parts,
    pub(in crate::balancer::http) framing: BodyFraming,
    /// Whether the endpoint takes another request on the connection.
    pub(in crate::balancer::http) keeps_alive: bool,
}

/// What matters about a request to the one who reads its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::balancer::http) enum SentMethod {
    /// Its response has no body, whatever its headers say.
    Head,
    Other,
}

/// Takes a request's head from the buffer; `None` if it is not complete. May be called again with more bytes.
pub(in crate::balancer::http) fn parse_request(
    buffer: &mut BytesMut,
) -> Result<Option<RequestHead>, HeadError> {
    let found = match RequestSpans::find(buffer, &mut [const { MaybeUninit::uninit() }; COMMON_HEADERS]) {
        Err(HeadError::Count) => RequestSpans::find(buffer, &mut many_lines()),
        found => found,
    };
    let Some((length, spans)) = found? else { return Ok(None) };
    spans.read(buffer.split_to(length).freeze()).map(Some)
}

/// Takes a response's head from the buffer; `None` if it is not complete. May be called again with more bytes.
pub(in crate::balancer::http) fn parse_response(
    buffer: &mut BytesMut,
    sent: SentMethod,
) -> Result<Option<ResponseHead>, HeadError> {
    let found = match ResponseSpans::find(buffer, &mut [const { MaybeUninit::uninit() }; COMMON_HEADERS]) {
        Err(HeadError::Count) => ResponseSpans::find(buffer, &mut many_lines()),
        found => found,
    };
    let Some((length, spans)) = found? else { return Ok(None) };
    spans.read(buffer.split_to(length).freeze(), sent).map(Some)
}

/// Room for as many header lines as a head may have.
fn many_lines<'a>() -> Vec<HeaderLine<'a>> {
    vec![MaybeUninit::uninit(); HEADERS_MAX_COUNT]
}

/// The length of a head that is complete; `None` for one of which more may come.
fn complete(parsed: httparse::Result<usize>, buffer: &[u8]) -> Result<Option<usize>, HeadError> {
    match parsed {
        Ok(Status::Complete(length)) if length <= HEADERS_MAX_BYTES => Ok(Some(length)),
        Ok(Status::Complete(_)) => Err(HeadError::Length),
        Ok(Status::Partial) if buffer.len() >= HEADERS_MAX_BYTES => Err(HeadError::Length),
        Ok(Status::Partial) => Ok(None),
        Err(_) if buffer.first() == Some(&TLS_HANDSHAKE) => Err(HeadError::Tls),
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::Count),
        Err(httparse::Error::Version) if buffer.starts_with(HTTP2_PREFACE) => Err(HeadError::Http2),
        Err(httparse::Error::Version) => Err(HeadError::Version),
        Err(error) => Err(HeadError::Syntax(error)),
    }
}

/// Where the parser puts a header line.
type HeaderLine<'a> = MaybeUninit<httparse::Header<'a>>;
/// The place of a text in a head.
type HeadSpan = std::ops::Range<usize>;

/// The places of a request's parts.
struct RequestSpans {
    method: Method,
    target: HeadSpan,
    version: Version,
    headers: Vec<(HeadSpan, HeadSpan)>,
}

impl RequestSpans {
    /// With the length of the head; `None` if it is not complete.
    fn find<'a>(buffer: &'a [u8], lines: &mut [HeaderLine<'a>]) -> Result<Option<(usize, Self)>, HeadError> {
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(buffer, lines);
        let Some(length) = complete(parsed, buffer)? else { return Ok(None) };
        let method = request.method.unwrap_or_default();
        let target = request.path.unwrap_or_default();
        if method.len() > METHOD_MAX_BYTES {
            return Err(HeadError::Method);
        }
        if target.len() > URI_MAX_BYTES {
            return Err(HeadError::TargetLength);
        }
        let spans = Self {
            method: Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::Method)?,
            target: span(buffer, target.as_bytes()),
            version: version(request.version),
            headers: header_spans(request.headers, buffer),
        };
        Ok(Some((length, spans)))
    }

    fn read(self, head: Bytes) -> Result<RequestHead, HeadError> {
        let target = Uri::from_maybe_shared(head.slice(self.target)).map_err(|_| HeadError::Target)?;
        let headers = headers(&head, &self.headers).ok_or(HeadError::Syntax(httparse::Error::HeaderValue))?;
        let framing = request_framing(&headers, self.version)?;
        let expects_continue = self.version == Version::HTTP_11
            && headers
                .get(EXPECT)
                .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = self.method;
        parts.uri = target;
        parts.version = self.version;
        let keeps_alive = keeps_alive(&headers, self.version);
        parts.headers = headers;
        Ok(RequestHead { parts, framing, keeps_alive, expects_continue })
    }
}

/// The places of a response's parts.
struct ResponseSpans {
    status: StatusCode,
    version: Version,
    headers: Vec<(HeadSpan, HeadSpan)>,
}

impl ResponseSpans {
    /// With the length of the head; `None` if it is not complete.
    fn find<'a>(buffer: &'a [u8], lines: &mut [HeaderLine<'a>]) -> Result<Option<(usize, Self)>, HeadError> {
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let parsed = config.parse_response_with_uninit_headers(&mut response, buffer, lines);
        let Some(length) = complete(parsed, buffer)? else { return Ok(None) };
        let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
        let spans = Self {
            status: status.ok_or(HeadError::Syntax(httparse::Error::Status))?,
            version: version(response.version),
            headers: header_spans(response.headers, buffer),
        };
        Ok(Some((length, spans)))
    }

    fn read(self, head: Bytes, sent: SentMethod) -> Result<ResponseHead, HeadError> {
        let mut headers =
            headers(&head, &self.headers).ok_or(HeadError::Syntax(httparse::Error::HeaderValue))?;
        let had_two_lengths = headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH);
        let framing = response_framing(&mut headers, self.status, sent == SentMethod::Head)?;
        // an endpoint that frames one response in two ways may do so with the next
        let keeps_alive =
            keeps_alive(&headers, self.version) && framing != BodyFraming::UntilClose && !had_two_lengths;
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = self.status;
        parts.headers = headers;
        Ok(ResponseHead { parts, framing, keeps_alive })
    }
}

/// Reads a trailer section; `None` if it is not one.
pub(super) fn parse_trailers(section: &Bytes) -> Option<HeaderMap> {
    let mut few = [httparse::EMPTY_HEADER; COMMON_HEADERS];
    match httparse::parse_headers(section, &mut few) {
        Ok(Status::Complete((_, lines))) => headers(section, &header_spans(lines, section)),
        Ok(Status::Partial) | Err(_) => None,
    }
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 }
}

fn header_spans(lines: &[httparse::Header<'_>], buffer: &[u8]) -> Vec<(HeadSpan, HeadSpan)> {
    lines.iter().map(|line| (span(buffer, line.name.as_bytes()), span(buffer, line.value))).collect()
}

/// The place of a part of the buffer.
fn span(buffer: &[u8], part: &[u8]) -> HeadSpan {
    let begin = (part.as_ptr() as usize).saturating_sub(buffer.as_ptr() as usize);
    begin..begin + part.len()
}

/// The values share the memory of the head.
fn headers(head: &Bytes, spans: &[(HeadSpan, HeadSpan)]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(spans.len());
    for (name, value) in spans {
        let name = HeaderName::from_bytes(head.get(name.clone())?).ok()?;
        let value = HeaderValue::from_maybe_shared(head.slice(value.clone())).ok()?;
        headers.append(name, value);
    }
    Some(headers)
}

fn keeps_alive(headers: &HeaderMap, version: Version) -> bool {
    match version {
        Version::HTTP_10 => has_option(headers, "keep-alive"),
        _ => !has_option(headers, "close"),
    }
}

/// Whether `Connection` has an option.
pub(in crate::balancer::http) fn has_option(headers: &HeaderMap, option: &str) -> bool {
    let lines = headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<Option<RequestHead>, HeadError> {
        parse_request(&mut BytesMut::from(text))
    }

    fn response(text: &str) -> Result<Option<ResponseHead>, HeadError> {
        parse_response(&mut BytesMut::from(text), SentMethod::Other)
    }

    #[test]
    fn request_head_is_read_to_its_last_byte_and_no_further() {
        let mut buffer = BytesMut::from(
            "POST /a?b HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc",
        );
        let head = parse_request(&mut buffer).unwrap().unwrap();
        assert_eq!((head.parts.method.as_str(), head.parts.uri.to_string()), ("POST", "/a?b".to_owned()));
        let values: Vec<_> = head.parts.headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert_eq!((head.framing, head.keeps_alive), (BodyFraming::Length(3), true));
        assert_eq!(buffer, "abc");
    }

    #[test]
    fn request_head_waits_for_its_end() {
        let whole = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for length in 0..whole.len() {
            assert!(request(&whole[..length]).unwrap().is_none(), "{length}");
        }
        assert!(request(whole).unwrap().is_some());
    }

    #[test]
    fn request_head_is_refused_with_what_is_wrong() {
        let long = "a".repeat(URI_MAX_BYTES);
        let method = "M".repeat(METHOD_MAX_BYTES + 1);
        let many = "a: b\r\n".repeat(HEADERS_MAX_COUNT + 1);
        let big = format!("a: {}\r\n", "b".repeat(HEADERS_MAX_BYTES));
        let rows = [
            ("\x16\x03\x01\x02\x00\x01".to_owned(), HeadError::Tls),
            ("GET / HTTP/2.0\r\n\r\n".to_owned(), HeadError::Version),
            ("GET / HTTP/1.1\r\nA : b\r\n\r\n".to_owned(), HeadError::Syntax(httparse::Error::HeaderName)),
            (
                "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n".to_owned(),
                HeadError::Syntax(httparse::Error::HeaderName),
            ),
            ("GET / HTTP/1.1\r\nA: b\0\r\n\r\n".to_owned(), HeadError::Syntax(httparse::Error::HeaderValue)),
            (format!("GET /{long} HTTP/1.1\r\n\r\n"), HeadError::TargetLength),
            (format!("{method} / HTTP/1.1\r\n\r\n"), HeadError::Method),
            (format!("GET / HTTP/1.1\r\n{many}\r\n"), HeadError::Count),
            (format!("GET / HTTP/1.1\r\n{big}\r\n"), HeadError::Length),
            (
                "GET / HTTP/1.1\r\nContent-Length: 010\r\n\r\n".to_owned(),
                HeadError::Framing(FramingError::Length),
            ),
        ];
        for (text, wanted) in rows {
            assert_eq!(request(&text).map(|_| ()), Err(wanted), "{:?}", &text[..text.len().min(60)]);
        }
    }

    #[test]
    fn heads_may_have_more_headers_than_most() {
        let lines: String = (0..HEADERS_MAX_COUNT).map(|n| format!("h{n}: v\r\n")).collect();
        let of_request = request(&format!("GET / HTTP/1.1\r\n{lines}\r\n")).unwrap().unwrap();
        assert_eq!(of_request.parts.headers.len(), HEADERS_MAX_COUNT);
        let of_response = response(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).unwrap().unwrap();
        assert_eq!(of_response.parts.headers.len(), HEADERS_MAX_COUNT);
    }

    #[test]
    fn connection_is_kept_as_version_and_header_say() {
        for (version, header, keeps_alive) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: x, Close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
        ] {
            let head = request(&format!("GET / HTTP/{version}\r\n{header}\r\n")).unwrap().unwrap();
            assert_eq!(head.keeps_alive, keeps_alive, "{version} {header}");
            let text = format!("HTTP/{version} 200 OK\r\n{header}Content-Length: 0\r\n\r\n");
            assert_eq!(response(&text).unwrap().unwrap().keeps_alive, keeps_alive, "{version} {header}");
        }
    }

    #[test]
    fn connection_of_a_response_framed_twice_or_by_its_end_is_not_kept() {
        let twice = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n";
        let by_end = "HTTP/1.1 200 OK\r\n\r\n";
        for text in [twice, by_end] {
            assert!(!response(text).unwrap().unwrap().keeps_alive, "{text}");
        }
    }
}
