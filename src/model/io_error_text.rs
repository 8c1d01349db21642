//! Errors of the system in the words of its manual pages, without the error number. Pure.

use std::io::{Error, ErrorKind};

use super::sanitize;

/// The reason without `(os error N)`, safe for a terminal.
pub fn io_error_text(error: &Error) -> String {
    let text = match error.kind() {
        ErrorKind::NotFound => "no such file or directory",
        ErrorKind::PermissionDenied => "permission denied",
        ErrorKind::NotADirectory => "is not a directory",
        ErrorKind::IsADirectory => "is a directory",
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "connection reset",
        ErrorKind::HostUnreachable => "no route to host",
        ErrorKind::NetworkUnreachable => "network unreachable",
        _ => return sanitize(&error.to_string()),
    };
    text.to_owned()
}
