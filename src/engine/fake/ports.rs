//! Ports of the node: which containers may publish one. Pure.

use std::collections::BTreeSet;

use crate::engine::{ContainerSpec, EngineError};

/// Refuses a container if a port that it publishes is in use: by another running container, or by a process outside
/// containers (`taken`).
pub(super) fn are_free<'s>(
    spec: &ContainerSpec,
    mut running: impl Iterator<Item = &'s ContainerSpec>,
    taken: &BTreeSet<u16>,
) -> Result<(), EngineError> {
    let wanted: BTreeSet<u16> = spec.published.values().copied().collect();
    if let Some(port) = wanted.intersection(taken).next() {
        let message = format!("listen tcp4 127.0.0.1:{port}: bind: address already in use");
        return Err(EngineError::Conflict { message });
    }
    let clashes =
        |other: &ContainerSpec| other.published.values().find(|port| wanted.contains(port)).copied();
    match running.find_map(clashes) {
        None => Ok(()),
        Some(port) => {
            let message = format!("Bind for 127.0.0.1:{port} failed: port is already allocated");
            Err(EngineError::Conflict { message })
        }
    }
}
