//! A directory of manifests as the source of what is declared: `ctl serve --manifests DIR`.
//!
//! Purpose: what lies in the directory is applied, and a service whose document went is deleted. `plan` decides, with
//! `removal_guard`; `scan` reads, `look` until the directory is at rest; `follow` is the loop.
//! Invariants: a file event is a hint, never a fact, and without events a change is found by the next rescan; a directory
//! is acted upon only when two looks at it saw the same, so that no half-written file counts; one document that is wrong
//! holds back the whole directory; nothing is removed that the directory did not bring, and nothing without the deletion
//! brake; whatever lies there, a look reads no more than a run may have, and ends or is told of.
//! Deliberately absent: directories within the directory, templates, and any write to the directory.

mod follow;
mod look;
mod plan;
mod removal_guard;
mod scan;

pub use follow::follow;
