//! Where a client connection is between two requests. Pure.

use crate::model::Mono;

/// What the client is expected to do next, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionPhase {
    /// Between two requests.
    Idle(Mono),
    /// The first byte of a request came at this time.
    Header(Mono),
    /// A request is being served.
    Request,
    /// The response is written; the client is still sending a body that will not be read.
    Lingering(Mono),
}
