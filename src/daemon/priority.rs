//! The daemon's share of a busy processor.
//!
//! Taking a dead container out of rotation passes through several threads, each of which waits to be scheduled. With
//! dozens of busy containers on few cores those waits add up to more than all the work; with priority they do not. All
//! of these threads work for milliseconds at a time.
//!
//! The threads that serve requests keep the usual priority: they work as much as the requests ask for, and would preempt
//! clients and services for every packet. With priority, on two cores shared by all three, they served a tenth fewer
//! requests, and the slowest hundredth took twice as long. They do not need it either: they skip an endpoint that a newer
//! table lacks at once.

use rustix::process::{getpriority_process, setpriority_process};

/// Ten steps ahead of everything at the usual priority, about nine times its weight; half of what is possible, so that an
/// operator's own tools can be put before it.
const NICENESS: i32 = -10;

/// The default. A process that was started with another value keeps it.
const USUAL: i32 = 0;

/// Raises the priority of this process and of all processes and threads that it starts from now on. Call it before the
/// process has a second thread. Without the right to do so (not root) everything works, only slower on a busy processor.
pub(super) fn raise() {
    step(USUAL, NICENESS);
}

/// Resets the calling thread to where [`raise`] found it. A daemon that was started at this very niceness cannot be
/// distinguished from one that raised itself.
pub(super) fn back_to_usual() {
    step(NICENESS, USUAL);
}

/// On Linux a niceness belongs to a thread, and is inherited by what the thread starts.
fn step(from: i32, to: i32) {
    if getpriority_process(None) != Ok(from) {
        return;
    }
    match setpriority_process(None, to) {
        Ok(()) => tracing::debug!(niceness = to, "priority"),
        Err(error) => tracing::debug!(%error, "cannot change the priority"),
    }
}
