//! Writes the parts of a message. Pure.

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, Method, StatusCode, Uri};

/// The end of a chunked body without trailers.
pub(in crate::balancer::http) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Writes a request's head. Its target is in origin form.
pub(in crate::balancer::http) fn write_request_head(
    out: &mut BytesMut,
    method: &Method,
    target: &Uri,
    headers: &HeaderMap,
) {
    let target = target.path_and_query().map_or("/", |target| target.as_str());
    out.reserve(method.as_str().len() + target.len() + 16 + length(headers));
    out.put_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    write_lines(out, headers);
    out.put_slice(b"\r\n");
}

/// Writes a response's head.
pub(in crate::balancer::http) fn write_response_head(
    out: &mut BytesMut,
    status: StatusCode,
    headers: &HeaderMap,
) {
    out.reserve(48 + length(headers));
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
    write_lines(out, headers);
    out.put_slice(b"\r\n");
}

/// Writes what comes before a chunk of this many bytes; CR LF comes after it.
pub(in crate::balancer::http) fn write_chunk_size(out: &mut BytesMut, size: usize) {
    let digits = format!("{size:x}\r\n");
    out.put_slice(digits.as_bytes());
}

/// Writes the end of a chunked body with trailers.
pub(in crate::balancer::http) fn write_trailers(out: &mut BytesMut, trailers: &HeaderMap) {
    out.put_slice(b"0\r\n");
    write_lines(out, trailers);
    out.put_slice(b"\r\n");
}

fn length(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn write_lines(out: &mut BytesMut, headers: &HeaderMap) {
    for (name, value) in headers {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::{SentMethod, parse_request, parse_response};
    use super::*;
    use http::HeaderValue;

    #[test]
    fn heads_are_read_as_they_were_written() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("2"));
        headers.append("x-empty", HeaderValue::from_static(""));
        let mut request = BytesMut::new();
        write_request_head(&mut request, &Method::PUT, &Uri::from_static("/a?b=c"), &headers);
        let read = parse_request(&mut request).unwrap().unwrap();
        assert_eq!((read.parts.method, read.parts.uri), (Method::PUT, Uri::from_static("/a?b=c")));
        assert_eq!(read.parts.headers, headers);
        let mut response = BytesMut::new();
        let status = StatusCode::from_u16(299).unwrap();
        write_response_head(&mut response, status, &headers);
        let read = parse_response(&mut response, SentMethod::Other).unwrap().unwrap();
        assert_eq!((read.parts.status, read.parts.headers), (status, headers));
        assert!(request.is_empty() && response.is_empty());
    }
}
