//! A container that runs a program of this node once. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::Millis;

/// What to run. It gets no rights: no capabilities, another user than root, a read-only file system that holds nothing but the
/// program, little memory, and no log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOffSpec {
    /// Of the container.
    pub name: String,
    /// `repository:tag` of the empty image: it is made if there is none, and removed afterwards.
    pub image: String,
    pub labels: BTreeMap<String, String>,
    pub network: String,
    /// On this node; statically linked, since nothing else is in the container.
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// How long it may run.
    pub limit: Millis,
}
