//! Reads a chunked body (RFC 9112, section 7.1). Pure.
//!
//! Every line ends with CR LF. A reader that takes a bare LF for the end of a line, and one that does not, disagree on where
//! the next message begins.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::decoded_body::{BodyError, DecodedBody, TRAILERS_MAX_BYTES};
use super::head::parse_trailers;

/// The longest line with a chunk's size; extensions, which nothing uses, are dropped.
const SIZE_LINE_MAX_BYTES: usize = 256;

/// Where in a chunked body the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkedDecoder {
    /// At the line with a chunk's size.
    Size,
    /// In a chunk of which this much is left.
    Chunk(u64),
    /// At the end of a chunk's line.
    ChunkEnd,
    /// In the trailer section.
    Trailers,
}

impl ChunkedDecoder {
    /// Takes the next piece of the body from the buffer.
    pub(super) fn decode(&mut self, buffer: &mut BytesMut) -> Result<DecodedBody, BodyError> {
        loop {
            match *self {
                Self::Size => match take_size(buffer)? {
                    Some(0) => *self = Self::Trailers,
                    Some(size) => *self = Self::Chunk(size),
                    None => return Ok(DecodedBody::NeedsMore),
                },
                Self::Chunk(_) if buffer.is_empty() => return Ok(DecodedBody::NeedsMore),
                Self::Chunk(left) => {
                    let data = take_up_to(buffer, left);
                    let left = left - data.len() as u64;
                    *self = if left == 0 { Self::ChunkEnd } else { Self::Chunk(left) };
                    return Ok(DecodedBody::Data(data));
                }
                Self::ChunkEnd => match buffer.get(..2) {
                    Some(b"\r\n") => {
                        buffer.advance(2);
                        *self = Self::Size;
                    }
                    Some(_) => return Err(BodyError::ChunkEnd),
                    None if matches!(buffer.first(), None | Some(b'\r')) => {
                        return Ok(DecodedBody::NeedsMore);
                    }
                    None => return Err(BodyError::ChunkEnd),
                },
                Self::Trailers => return decode_trailers(buffer),
            }
        }
    }
}

/// Takes the buffered part of a body of which this much is left.
pub(super) fn take_up_to(buffer: &mut BytesMut, left: u64) -> Bytes {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    buffer.split_to(length).freeze()
}

fn take_size(buffer: &mut BytesMut) -> Result<Option<u64>, BodyError> {
    let head = &buffer[..buffer.len().min(SIZE_LINE_MAX_BYTES)];
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
        return if head.len() < SIZE_LINE_MAX_BYTES { Ok(None) } else { Err(BodyError::ChunkSize) };
    };
    let line = head[..end].strip_suffix(b"\r").ok_or(BodyError::ChunkSize)?;
    let size = parse_size(line).ok_or(BodyError::ChunkSize)?;
    buffer.advance(end + 1);
    Ok(Some(size))
}

fn parse_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let extension = line[digits..].trim_ascii_start();
    let is_plain = (extension.is_empty() && digits == line.len()) || extension.starts_with(b";");
    if digits == 0 || !is_plain || extension.contains(&b'\r') {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()
}

/// The section ends with an empty line, which is its first one if there are no trailers.
fn decode_trailers(buffer: &mut BytesMut) -> Result<DecodedBody, BodyError> {
    let mut begin = 0;
    while let Some(length) = buffer[begin..].iter().position(|byte| *byte == b'\n') {
        let line = buffer[begin..begin + length].strip_suffix(b"\r").ok_or(BodyError::Trailers)?;
        let is_last = line.is_empty();
        begin += length + 1;
        if begin > TRAILERS_MAX_BYTES {
            return Err(BodyError::Trailers);
        }
        if is_last {
            let section = buffer.split_to(begin).freeze();
            let trailers = if begin == 2 { HeaderMap::new() } else { trailers(&section)? };
            return Ok(DecodedBody::End(trailers));
        }
    }
    if buffer.len() > TRAILERS_MAX_BYTES { Err(BodyError::Trailers) } else { Ok(DecodedBody::NeedsMore) }
}

fn trailers(section: &Bytes) -> Result<HeaderMap, BodyError> {
    parse_trailers(section).ok_or(BodyError::Trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was read: the data, the trailers once the body has ended, and the bytes after it.
    type ReadBody = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    fn decode(pieces: &[&[u8]]) -> Result<ReadBody, BodyError> {
        let mut decoder = ChunkedDecoder::Size;
        let mut buffer = BytesMut::new();
        let mut data = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut buffer)? {
                    DecodedBody::Data(bytes) => data.extend_from_slice(&bytes),
                    DecodedBody::End(trailers) => return Ok((data, Some(trailers), buffer.to_vec())),
                    DecodedBody::NeedsMore => break,
                }
            }
        }
        Ok((data, None, buffer.to_vec()))
    }

    #[test]
    fn chunked_decoder_reads_chunks_extensions_and_trailers() {
        let body: &[u8] =
            b"5\r\nhello\r\n1;a=\"b\"\r\n,\r\n0A ; x\r\n0123456789\r\n0\r\nx-sum: 7\r\n\r\nGET /";
        let (data, trailers, rest) = decode(&[body]).unwrap();
        assert_eq!(data, b"hello,0123456789");
        assert_eq!(trailers.unwrap()["x-sum"], "7");
        assert_eq!(rest, b"GET /");
    }

    #[test]
    fn chunked_decoder_reads_a_body_the_same_however_it_is_cut() {
        let body = b"3\r\nabc\r\n4;e\r\ndefg\r\n0\r\na: b\r\n\r\n";
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        let (data, trailers, rest) = decode(&bytes).unwrap();
        assert_eq!((data.as_slice(), rest.as_slice()), (&b"abcdefg"[..], &b""[..]));
        assert_eq!(trailers.unwrap()["a"], "b");
        for cut in 0..body.len() {
            let (data, trailers, _) = decode(&[&body[..cut], &body[cut..]]).unwrap();
            assert_eq!((data.as_slice(), trailers.is_some()), (&b"abcdefg"[..], true), "{cut}");
        }
    }

    #[test]
    fn chunked_decoder_refuses_what_readers_delimit_differently() {
        let rows: &[(&[u8], BodyError)] = &[
            (b"0\r\n\nGET / HTTP/1.1\r\n\r\n", BodyError::Trailers),
            (b"0\r\nX: 1\r\n\nGET / HTTP/1.1\r\n\r\n", BodyError::Trailers),
            (b"0\r\nX: 1\n\r\n", BodyError::Trailers),
            (b"0\r\nno colon\r\n\r\n", BodyError::Trailers),
            (b"3\nabc\r\n", BodyError::ChunkSize),
            (b"3\rabc\r\n", BodyError::ChunkSize),
            (b"\r\n3\r\nabc\r\n", BodyError::ChunkSize),
            (b"g\r\n", BodyError::ChunkSize),
            (b"-1\r\n", BodyError::ChunkSize),
            (b"0x1\r\na\r\n", BodyError::ChunkSize),
            (b"1 1\r\n", BodyError::ChunkSize),
            (b"1 \r\na\r\n", BodyError::ChunkSize),
            (b"11111111111111111\r\n", BodyError::ChunkSize),
            (b"1;a\rb\r\n", BodyError::ChunkSize),
            (b"3\r\nabcd\r\n", BodyError::ChunkEnd),
            (b"3\r\nabc\n0\r\n\r\n", BodyError::ChunkEnd),
        ];
        for (body, wanted) in rows {
            let text = String::from_utf8_lossy(body);
            assert_eq!(decode(&[body]).err(), Some(*wanted), "{text:?}");
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(decode(&bytes).err(), Some(*wanted), "{text:?} byte by byte");
        }
    }

    #[test]
    fn chunked_decoder_bounds_lines_and_trailers() {
        let line = |length: usize| [b"1;".to_vec(), vec![b'a'; length - 4], b"\r\nx\r\n".to_vec()].concat();
        assert!(decode(&[&line(SIZE_LINE_MAX_BYTES)]).is_ok());
        assert_eq!(decode(&[&line(SIZE_LINE_MAX_BYTES + 1)]).err(), Some(BodyError::ChunkSize));
        let section =
            |length: usize| [b"0\r\na:".to_vec(), vec![b'b'; length - 6], b"\r\n\r\n".to_vec()].concat();
        assert!(decode(&[&section(TRAILERS_MAX_BYTES)]).unwrap().1.is_some());
        assert_eq!(decode(&[&section(TRAILERS_MAX_BYTES + 1)]).err(), Some(BodyError::Trailers));
        let endless = [b"0\r\na:".to_vec(), vec![b'b'; TRAILERS_MAX_BYTES]].concat();
        assert_eq!(decode(&[&endless]).err(), Some(BodyError::Trailers));
    }
}
