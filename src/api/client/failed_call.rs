//! Calls without an answer, as errors.

use std::io;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;

use crate::api::codes;
use crate::api::types::{ApiError, ErrorDetail};

/// Why a call brought no answer.
#[derive(Debug)]
pub(super) enum CallError {
    /// No connection.
    Connect(io::Error),
    /// Nothing came for this long.
    TimedOut(Duration),
    /// The deadline of the whole command has passed while this call waited.
    CommandTimedOut,
    /// The connection ended or broke; whether the daemon did what was asked is unknown.
    Lost(String),
    /// The request could not be built, or the answer is not one of the API.
    Invalid(String),
}

impl CallError {
    /// The error that the user reads; the daemon listens on `socket`.
    pub(super) fn explain(self, socket: &Path) -> ApiError {
        let socket = socket.display();
        let not_running = |why: String| {
            let next = vec!["ctl serve".to_owned()];
            let error = codes::DAEMON_NOT_RUNNING.detail("the daemon is not running");
            ErrorDetail { why: vec![why], next, ..error }.into()
        };
        match self {
            Self::Connect(error) => match error.kind() {
                io::ErrorKind::NotFound => not_running(format!("{socket} does not exist")),
                io::ErrorKind::ConnectionRefused => not_running(format!("nothing listens on {socket}")),
                io::ErrorKind::PermissionDenied => {
                    let why = vec![format!("{socket}: permission denied")];
                    let error = codes::SOCKET_DENIED.detail("this user may not use the daemon's socket");
                    ErrorDetail { why, ..error }.into()
                }
                _ => silent(format!("{socket}: {error}")),
            },
            Self::TimedOut(after) => silent(format!("{socket}: no answer within {}s", after.as_secs())),
            Self::CommandTimedOut => {
                let why = vec![format!("{socket}: no answer of the daemon before --timeout")];
                let now = Some("what was asked may still be done".to_owned());
                let next = vec!["ctl status".to_owned()];
                ErrorDetail { why, now, next, ..codes::TIMED_OUT.detail("timed out waiting for the daemon") }
                    .into()
            }
            Self::Lost(reason) => silent(format!("{socket}: {reason}")),
            Self::Invalid(reason) => silent(reason),
        }
    }
}

/// The daemon's own error, or a description of an answer from something else.
pub(super) fn rejection(status: StatusCode, body: &[u8]) -> ApiError {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(body);
        silent(format!("it answered {status}: {}", text.lines().next().unwrap_or_default()))
    })
}

fn silent(why: String) -> ApiError {
    ErrorDetail { why: vec![why], ..codes::DAEMON_SILENT.detail("the daemon did not answer") }.into()
}
