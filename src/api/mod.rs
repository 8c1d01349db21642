//! The API between `ctl` and the daemon: HTTP/1.1 with JSON under `/v1/`, on a unix socket.
//!
//! Purpose: requests, responses and streams (`types`), the server (`server`) and the client (`client`).
//! Invariants: every write carries a request id, so a client that lost the answer may repeat it; streams are NDJSON;
//! an error is an [`types::ApiError`] with a code and the exit code that `ctl` ends with.
//! Deliberately absent: YAML (the client parses it; the server takes JSON and checks again), decisions.

pub mod client;
mod code;
pub mod codes;
mod daemon_codes;
pub mod exits;
mod failure_codes;
mod refusals;
pub mod server;
pub mod types;

pub use failure_codes::failure_code;
