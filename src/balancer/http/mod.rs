//! HTTP/1.1, both sides.
//!
//! Purpose: `connection` serves a client's connection within its limits, `target` reads where a request wants to go,
//! `forward` finds an endpoint that answers it, `headers` and `body` carry it there and back, `answer` speaks where no
//! endpoint does.
//! Invariants: requests are written anew and never copied as bytes; a request counts as in flight until both of its
//! bodies are finished or dropped; nothing is sent twice unless no endpoint can have seen it, or it may be repeated.
//! Deliberately absent: upgrades (such a request is forwarded as a plain one).

mod answer;
mod body;
mod connection;
mod forward;
mod headers;
mod target;

pub(super) use body::RequestBody;
pub(super) use connection::serve;
