//! The limit of open files, which bounds connections.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Every connection needs a descriptor; the usual soft limit of 1024 protects only programs that use `select`.
pub(super) fn raise() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}

/// How many descriptors this process may have open.
pub(super) fn limit() -> nix::Result<usize> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(usize::try_from(soft).unwrap_or(usize::MAX))
}
