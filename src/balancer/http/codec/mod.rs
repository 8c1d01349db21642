//! The HTTP/1.1 message format (RFC 9112), for both sides.
//!
//! `head` and `body_decoder` read messages, `encode` writes them; `read_buffer` and `write_queue` stand between these and a
//! socket. Invariants: a message that two servers could delimit differently is refused; nothing is buffered without a bound.
//! Deliberately absent: what a message means, and what becomes of it.

mod body_decoder;
mod chunked;
mod decoded_body;
mod encode;
mod framing;
mod head;
mod read_buffer;
mod write_queue;

pub(super) use body_decoder::BodyDecoder;
pub(super) use decoded_body::{BodyError, DecodedBody};
pub(super) use encode::{
    LAST_CHUNK, write_chunk_size, write_request_head, write_response_head, write_trailers,
};
pub(super) use framing::{BodyFraming, FramingError, mimics_framing};
pub(super) use head::{
    HeadError, RequestHead, ResponseHead, SentMethod, has_option, parse_request, parse_response,
};
pub(super) use read_buffer::ReadBuffer;
pub(super) use write_queue::WriteQueue;
