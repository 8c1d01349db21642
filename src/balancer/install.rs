//! Brings tables to the threads.

use std::sync::Arc;

use super::compile::compile;
use super::counters::CounterRegistry;
use super::threads::{ThreadEnded, ThreadGroup};
use crate::model::{Mono, RoutingTable};

/// Why a table was not installed.
#[derive(Debug, thiserror::Error)]
pub(super) enum InstallError {
    /// The table cannot be served from; the threads keep the one they have.
    #[error("{0}")]
    Rejected(String),
    #[error(transparent)]
    ThreadEnded(#[from] ThreadEnded),
}

/// Hands a table to all threads, and returns when each has taken it.
pub(super) async fn install(
    table: &RoutingTable,
    counters: &mut CounterRegistry,
    threads: &ThreadGroup,
    now: Mono,
    on_taken: impl FnMut(usize),
) -> Result<(), InstallError> {
    let compiled = compile(table, counters).map_err(|bad| InstallError::Rejected(bad.to_string()))?;
    counters.mark_departed(table, now);
    Ok(threads.hand_out(Arc::new(compiled), on_taken).await?)
}
