//! HTTP/1.1 and HTTP/2 (`http2/`), both sides.
//!
//! `connection` serves a client's connection within the limits that `activity` keeps, `request_target` reads host and path,
//! `gate` checks what its route
//! asks for, `forward` finds an endpoint that answers, `attempt` asks one, `upstream` connects to it.
//! Invariants: a request is serialized again, never copied as bytes; it counts as in flight until both of its bodies are
//! finished or dropped; it is sent twice only if no endpoint can have seen it, or if it may be repeated.
//! A connection that switches to another protocol leaves this module for `relay/` (`tunnel`).

mod activity;
mod answer;
mod attempt;
mod client_socket;
mod codec;
mod connection;
mod connection_phase;
mod date;
mod deadline_watch;
mod endpoint_pools;
mod endpoint_search;
mod exchange;
mod forward;
mod forwarding;
mod gate;
mod handler;
mod headers;
mod http1_attempt;
mod http1_response_body;
mod http2;
mod https;
mod local_reply;
mod request_body;
mod request_source;
mod request_target;
mod response_body;
mod response_writer;
mod tunnel;
mod upload;
mod upload_watch;
mod upstream;

pub(super) use date::DateHeader;
pub(super) use endpoint_pools::HttpPool;
pub(super) use handler::HttpHandler;
pub(super) use https::HttpsHandler;
