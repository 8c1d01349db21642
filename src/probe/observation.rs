//! What a probe observed, in a short line. Pure.

use std::io::ErrorKind;

use crate::model::{FailedProbe, ProbeAnswer, sanitize};

/// Longest line: tables show it next to a replica's name.
const LINE_MAX: usize = 120;

/// A space and two quotes.
const QUOTES: usize = 3;

/// Longest path within it, so that the answer stays in sight.
const PATH_MAX: usize = 48;

/// `GET /healthz → 503 "warming cache"`: the status and the body's first line that is not empty.
pub(super) fn answer(path: &str, status: u16, body: &[u8]) -> FailedProbe {
    let message = cut(&format!("{} → {status}{}", get(path), said(body)), LINE_MAX);
    FailedProbe { message, answer: ProbeAnswer::Status { status } }
}

/// `grpc Health/Check users → NOT_SERVING`, with the message of the response.
pub(super) fn grpc(service: &str, why: &str, message: &[u8]) -> FailedProbe {
    let asked = format!("grpc Health/Check {}", cut(&sanitized_line(service), PATH_MAX));
    cut(&format!("{} → {why}{}", asked.trim_end(), said(message)), LINE_MAX).as_str().into()
}

/// `exec /app check → exit code 1 "disk full"`: the command as a shell would read it, and the end of its output.
pub(super) fn exec(command: &[String], why: &str, output: &[u8]) -> FailedProbe {
    let quoted = |word: &String| match word.contains(char::is_whitespace) || word.is_empty() {
        true => format!("'{}'", sanitized_line(word)),
        false => sanitized_line(word),
    };
    let words: Vec<String> = command.iter().map(quoted).collect();
    let words = cut(&words.join(" "), PATH_MAX);
    let head = cut(&format!("exec {words} → {}", sanitized_line(why)), LINE_MAX);
    let room = LINE_MAX.saturating_sub(head.chars().count() + QUOTES);
    format!("{head}{}", said_last(output, room)).as_str().into()
}

/// The end of an output in quotes, in at most this many characters: as many of its last lines as there is room for.
fn said_last(output: &[u8], room: usize) -> String {
    let output = String::from_utf8_lossy(output);
    let lines: Vec<String> = output.lines().map(sanitized_line).filter(|line| !line.is_empty()).collect();
    let Some(last) = lines.last() else { return String::new() };
    let mut text = last.clone();
    for line in lines.iter().rev().skip(1) {
        let longer = format!("{line} | {text}");
        if longer.chars().count() > room {
            break;
        }
        text = longer;
    }
    let length = text.chars().count();
    if room == 0 {
        return String::new();
    }
    if length > room {
        let end: String = text.chars().skip(length - room + 1).collect();
        text = format!("…{end}");
    }
    format!(" \"{text}\"")
}

/// The same failure, of a check that got a response without an HTTP status.
pub(super) fn unwell(failed: FailedProbe) -> FailedProbe {
    FailedProbe { answer: ProbeAnswer::Unwell, ..failed }
}

/// The first line that is not empty, in quotes.
fn said(output: &[u8]) -> String {
    let output = String::from_utf8_lossy(output);
    let line = output.lines().map(sanitized_line).find(|line| !line.is_empty());
    line.map(|line| format!(" \"{line}\"")).unwrap_or_default()
}

/// `GET /healthz → connection refused`.
pub(super) fn no_answer(path: &str, why: &str) -> FailedProbe {
    cut(&format!("{} → {why}", get(path)), LINE_MAX).as_str().into()
}

/// `connect to port 8080 → connection refused`.
pub(super) fn no_connection(port: u16, why: &str) -> FailedProbe {
    cut(&format!("connect to port {port} → {why}"), LINE_MAX).as_str().into()
}

/// The same failure, of a connection that could not be made; a port without a listener has an answer of its own.
pub(super) fn unconnected(failed: FailedProbe, port: u16, kind: ErrorKind) -> FailedProbe {
    match kind {
        ErrorKind::ConnectionRefused => nothing_listens(failed, port),
        _ => failed,
    }
}

/// The same failure, of a connection that this machine could not make, whatever is at the other end.
pub(super) fn not_made(failed: FailedProbe) -> FailedProbe {
    FailedProbe { answer: ProbeAnswer::NotMade, ..failed }
}

/// The same failure, of a port without a listener.
pub(super) fn nothing_listens(failed: FailedProbe, port: u16) -> FailedProbe {
    FailedProbe { answer: ProbeAnswer::Refused { port }, ..failed }
}

fn get(path: &str) -> String {
    format!("GET {}", cut(&sanitized_line(path), PATH_MAX))
}

/// One line, safe for a terminal.
fn sanitized_line(text: &str) -> String {
    sanitize(text).replace('\t', "").trim().to_owned()
}

fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observation_shows_the_first_line_of_the_body() {
        assert_eq!(
            answer("/healthz", 503, b"\r\n warming cache\nmore").message,
            "GET /healthz → 503 \"warming cache\""
        );
        assert_eq!(answer("/healthz", 500, b"").message, "GET /healthz → 500");
        assert_eq!(answer("/", 500, b"\x1b[31mred\x07").message, "GET / → 500 \"red\"");
        assert_eq!(answer("/", 500, &[0xff, b'x']).message, "GET / → 500 \"\u{fffd}x\"");
    }

    #[test]
    fn observation_shows_request_and_response() {
        assert_eq!(grpc("", "UNIMPLEMENTED", b"").message, "grpc Health/Check → UNIMPLEMENTED");
        assert_eq!(
            grpc("a.B", "NOT_FOUND", b"\nno such").message,
            "grpc Health/Check a.B → NOT_FOUND \"no such\""
        );
        let command = ["/app", "a b", ""].map(str::to_owned);
        assert_eq!(
            exec(&command, "exit code 1", b"\n full\n").message,
            "exec /app 'a b' '' → exit code 1 \"full\""
        );
    }

    #[test]
    fn exec_shows_the_end_of_the_output_quoted() {
        let command = ["/app".to_owned()];
        let said = |output: &str| exec(&command, "exit code 1", output.as_bytes()).message;
        assert_eq!(said("checking\n\nrefused\n"), "exec /app → exit code 1 \"checking | refused\"");
        let long = said(&format!("{}\n{} disk full\n", "x".repeat(200), "y".repeat(200)));
        assert_eq!(long.chars().count(), LINE_MAX);
        assert!(
            long.starts_with("exec /app → exit code 1 \"…yyy") && long.ends_with("y disk full\""),
            "{long}"
        );
        let two = said(&format!("{}\ndisk full\n", "x".repeat(200)));
        assert_eq!(two, "exec /app → exit code 1 \"disk full\"");
        assert_eq!(said(" \n"), "exec /app → exit code 1");
    }

    #[test]
    fn lines_are_bounded_and_keep_the_answer() {
        let line = answer(&format!("/{}", "p".repeat(1000)), 503, "ü".repeat(4000).as_bytes()).message;
        assert_eq!(line.chars().count(), LINE_MAX);
        assert!(line.contains(" → 503 \"üü"), "{line}");
    }
}
