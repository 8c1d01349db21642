//! The daemon's share of a busy processor.
//!
//! The way of a dead container out of the routing table leads through several threads, each of which waits for its turn.
//! Among dozens of busy containers on few cores those turns add up to more than all the work; ahead of them they do not.
//! The controller works for milliseconds at a time, and the balancer only as much as the requests ask for.
//!
//! The price: where clients, balancer and services share too few cores, the balancer interrupts the others for every
//! packet, and a tenth fewer requests are served at full load.

use rustix::process::{getpriority_process, setpriority_process};

/// Ten steps ahead of everything that runs at the usual priority, about nine times its weight; half of what is possible,
/// so that an operator's own tools can be put before it.
const NICENESS: i32 = -10;

/// What is asked for when nobody asked: a process that was started with another value keeps it.
const USUAL: i32 = 0;

/// Raises the priority of this process and of all that it starts from now on. Call it before the process has a second
/// thread. Without the right to do so (started by another user than root) everything works, only slower when the
/// processor is busy.
pub(super) fn raise() {
    if getpriority_process(None) != Ok(USUAL) {
        return;
    }
    match setpriority_process(None, NICENESS) {
        Ok(()) => tracing::debug!(niceness = NICENESS, "ahead of what runs at the usual priority"),
        Err(error) => tracing::debug!(%error, "no higher priority"),
    }
}
