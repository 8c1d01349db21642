//! What is read of a body. Pure.

use bytes::Bytes;
use http::HeaderMap;

/// The longest trailer section: it holds a checksum, or gRPC's status.
pub(super) const TRAILERS_MAX_BYTES: usize = 8 << 10;

/// What a buffer holds of a body.
#[derive(Debug)]
pub(in crate::balancer::http) enum DecodedBody {
    /// The next bytes.
    Data(Bytes),
    /// Nothing; more must be read.
    NeedsMore,
    /// Its end, with these trailers.
    End(HeaderMap),
}

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::balancer::http) enum BodyError {
    #[error("a chunk's size is not a hexadecimal number in a line of its own, which ends with CR LF")]
    ChunkSize,
    #[error("a chunk is longer than its size says")]
    ChunkEnd,
    #[error("the trailers are not header lines that end with CR LF, or exceed {} KiB", TRAILERS_MAX_BYTES >> 10)]
    Trailers,
    #[error("it is longer than route.maxBodySize")]
    TooLarge,
    #[error("the connection ended in the body")]
    Incomplete,
    #[error("the connection broke")]
    Broken,
}
