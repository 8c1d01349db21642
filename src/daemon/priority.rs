//! The daemon's share of a busy processor.
//!
//! The way of a dead container out of rotation leads through several threads, each of which waits for its turn. Among
//! dozens of busy containers on few cores those turns add up to more than all the work; ahead of them they do not. All
//! of these threads work for milliseconds at a time.
//!
//! The threads that serve requests are not ahead: they work as much as the requests ask for, and would interrupt clients
//! and services for every packet. Where two cores were short for all three, they served a tenth fewer requests that way,
//! and the slowest hundredth took twice as long. They need not be: what a newer table is without they pass over at once.

use rustix::process::{getpriority_process, setpriority_process};

/// Ten steps ahead of everything that runs at the usual priority, about nine times its weight; half of what is possible,
/// so that an operator's own tools can be put before it.
const NICENESS: i32 = -10;

/// What is asked for when nobody asked: a process that was started with another value keeps it.
const USUAL: i32 = 0;

/// Raises the priority of this process and of all processes and threads that it starts from now on. Call it before the
/// process has a second thread. Without the right to do so (started by another user than root) everything works, only
/// slower when the processor is busy.
pub(super) fn raise() {
    step(USUAL, NICENESS);
}

/// Takes the calling thread back to where [`raise`] had found it. A daemon that somebody started at the very same niceness
/// cannot be told from one that raised itself.
pub(super) fn back_to_usual() {
    step(NICENESS, USUAL);
}

/// On Linux a niceness is a thread's own, and inherited by what the thread starts.
fn step(from: i32, to: i32) {
    if getpriority_process(None) != Ok(from) {
        return;
    }
    match setpriority_process(None, to) {
        Ok(()) => tracing::debug!(niceness = to, "priority"),
        Err(error) => tracing::debug!(%error, "the priority stays as it is"),
    }
}
