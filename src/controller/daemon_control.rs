//! What a controller can ask of the daemon that it is a process of.

use async_trait::async_trait;

use crate::model::{DaemonProcesses, ReloadRefusal};

/// Why the daemon did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DaemonControlError {
    #[error(transparent)]
    NoReload(#[from] ReloadRefusal),
    #[error("the supervisor did not answer: {0}")]
    Silent(String),
}

/// The daemon; its supervisor answers.
#[async_trait]
pub trait DaemonControl: Send + Sync {
    /// The processes, and how the last reload went.
    async fn processes(&self) -> Result<DaemonProcesses, DaemonControlError>;

    /// Begins a reload; returns its number.
    async fn reload(&self) -> Result<u64, DaemonControlError>;
}
