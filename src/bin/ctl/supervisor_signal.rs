//! The supervisor as a process: asked for a reload when there is no controller that could pass it on, and where its socket is.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use coxswain::api::codes;
use coxswain::api::types::{ApiError, ErrorDetail};
use coxswain::model::io_error_text;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::Pid;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::CliError;

/// Sends SIGHUP to the supervisor, which is the process that listens on the socket; returns its id. `silent` is why its controller
/// cannot be asked.
pub(crate) fn ask_supervisor(socket: &Path, silent: ApiError) -> Result<i32, CliError> {
    let pid = listening_process(socket).filter(|pid| is_supervisor(*pid));
    let Some(pid) = pid else { return Err(silent.into()) };
    kill(Pid::from_raw(pid), Signal::SIGHUP).map_err(|error| {
        let why = vec![format!("process {pid}: {}", io_error_text(&error.into()))];
        let what = "the controller does not answer, and this user may not signal the supervisor";
        CliError::from(ErrorDetail { why, ..codes::SOCKET_DENIED.detail(what) })
    })?;
    Ok(pid)
}

/// It is reported even if no one accepts.
fn listening_process(socket: &Path) -> Option<i32> {
    let stream = Socket::new(Domain::UNIX, Type::STREAM, None).ok()?;
    // its queue may be full, and no one is there to empty it
    stream.set_nonblocking(true).ok()?;
    stream.connect(&SockAddr::unix(socket).ok()?).ok()?;
    Some(getsockopt(&stream, PeerCredentials).ok()?.pid()).filter(|pid| *pid > 0)
}

/// Its command line is `ctl serve`, without the role that children have.
fn is_supervisor(pid: i32) -> bool {
    let words = command_line(pid);
    words.iter().any(|word| word == "serve") && !words.iter().any(|word| word == "--role")
}

fn command_line(pid: i32) -> Vec<OsString> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect()
}

/// The socket that the supervisor with this id was started with; `None` if it has the default one.
pub(crate) fn socket_of(pid: i32) -> Option<PathBuf> {
    let socket = socket_option(&command_line(pid))?;
    let directory = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    Some(directory.join(socket))
}

/// The value of `--socket`; of several the last one, as clap reads it.
fn socket_option(words: &[OsString]) -> Option<PathBuf> {
    let mut words = words.iter();
    let mut socket = None;
    while let Some(word) = words.next() {
        if word == "--socket" {
            socket = words.next().map(PathBuf::from);
        } else if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--socket=")) {
            socket = Some(PathBuf::from(path));
        }
    }
    socket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_option_is_found_wherever_it_stands() {
        for (line, expected) in [
            ("ctl serve", None),
            ("ctl serve --socket /run/a.sock --http 0.0.0.0:80", Some("/run/a.sock")),
            ("ctl --socket=/run/a.sock serve", Some("/run/a.sock")),
            ("ctl serve --socket", None),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(socket_option(&words), expected.map(PathBuf::from), "{line}");
        }
    }
}
