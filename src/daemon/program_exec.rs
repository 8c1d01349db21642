//! Executes the installed program in place of this one, in the same process.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::execve;

use super::descriptor_handoff::pack;
use super::hand_over::ENV_PROCESS;
use super::handed_descriptors::HandOver;
use super::program::own_arguments;
use super::sockets::{ENV_COUNT, ENV_FIRST};

/// Variables that say what this program inherits, each replaced or removed.
const OF_INHERITANCE: [&str; 4] = [ENV_PROCESS, ENV_COUNT, ENV_FIRST, "LISTEN_PID"];

/// Executes the program of the hand-over. Returns only if that fails; then nothing has changed.
pub(super) fn execute(hand_over: &HandOver<'_>) -> io::Error {
    match try_execute(hand_over) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn try_execute(hand_over: &HandOver<'_>) -> io::Result<Infallible> {
    let description = serde_json::to_vec(&hand_over.description)?;
    let handoff = pack(&description, &hand_over.descriptors)?;
    let program = c_string(hand_over.description.program.as_os_str())?;
    let mut arguments = vec![program.clone()];
    for argument in own_arguments() {
        arguments.push(c_string(&argument)?);
    }
    let mut environment = Vec::new();
    let kept = std::env::vars_os().filter(|(name, _)| !OF_INHERITANCE.iter().any(|known| name == known));
    let inherited = [
        (ENV_PROCESS, std::process::id().to_string()),
        (ENV_COUNT, "1".to_owned()),
        (ENV_FIRST, handoff.as_fd().as_raw_fd().to_string()),
    ];
    let inherited = inherited.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    for (name, value) in kept.chain(inherited) {
        let line = [name.as_bytes(), b"=", value.as_bytes()].concat();
        environment.push(c_string(&OsString::from_vec(line))?);
    }
    // only this descriptor is inherited; it is closed again if there is no exec
    fcntl(&handoff, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(execve(&program, &arguments, &environment)?)
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
