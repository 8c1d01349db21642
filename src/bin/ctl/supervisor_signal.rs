//! Asks the supervisor for a reload when there is no controller that could pass it on.

use std::path::Path;

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
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    words.contains(&b"serve".as_slice()) && !words.contains(&b"--role".as_slice())
}
