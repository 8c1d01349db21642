//! HTTP/2, both sides.
//!
//! Clients: `connection` serves a client's connection and starts a task for each of its streams, `stream` serves one: `request_head` makes
//! the request one of HTTP/1.1 semantics, `client_stream` has its body, `response` writes the answer.
//! Endpoints: `upstream` has connections that many requests share, `attempt` sends one, `upstream_upload` its body;
//! `upstream_response` has the body of the answer. Frames, flow control and
//! header compression are the h2 crate's.

mod attempt;
mod client_connection;
mod client_stream;
mod connection;
mod lingering_stream;
mod preread;
mod request_head;
mod response;
mod send_room;
mod stream;
mod upstream;
mod upstream_response;
mod upstream_upload;

pub(super) use attempt::{Http2Attempt, Http2Head};
pub(super) use client_stream::ClientStream;
pub(super) use connection::serve_http2;
pub(super) use preread::Preread;
pub(super) use upstream::{Http2Lease, Http2Pool};
pub(super) use upstream_response::Http2ResponseBody;
