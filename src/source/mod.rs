//! A directory of manifests as the source of what is declared: `ctl serve --manifests DIR`.
//!
//! Purpose: applies the manifests in the directory, and deletes an object whose document is removed. `plan` decides;
//! `scan` reads, `poller` until the directory is settled; `follow` is the loop.
//! Invariants: a file event is a hint, never a fact, and without events the next rescan finds a change; a directory is
//! acted upon only when two scans were equal, so that no half-written file counts; one wrong document holds back the whole
//! directory; only objects that the directory brought are removed, and only within the deletion guard; a scan reads no
//! more than a run may have, and ends or is reported.
//! Deliberately absent: subdirectories, templates, and any write to the directory.

mod follow;
mod plan;
mod poller;
mod scan;

pub use follow::{SourceParts, follow};
