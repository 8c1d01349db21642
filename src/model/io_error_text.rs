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
        _ => return without_number(error),
    };
    text.to_owned()
}

fn without_number(error: &Error) -> String {
    let text = error.to_string();
    let number = error.raw_os_error().map(|number| format!(" (os error {number})"));
    let text = number.and_then(|number| text.strip_suffix(&number)).unwrap_or(&text);
    sanitize(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_no_error_number_whether_its_kind_is_listed_or_not() {
        for (number, text) in [(2, "no such file or directory"), (28, "No space left on device")] {
            assert_eq!(io_error_text(&Error::from_raw_os_error(number)), text);
        }
        let quoted = Error::other("a server said (os error 2)\u{7}");
        assert_eq!(io_error_text(&quoted), "a server said (os error 2)");
    }
}
