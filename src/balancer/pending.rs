//! What may be under way or not, in a form that can be waited for.

use std::pin::Pin;

use tokio::task::JoinHandle;
use tokio::time::Sleep;

use super::file::FileError;
use crate::model::TableName;

/// The end of the writing under way; never where there is none.
pub(super) async fn written(
    saving: &mut Option<(TableName, JoinHandle<Result<(), FileError>>)>,
) -> (TableName, Result<(), String>) {
    let Some((name, task)) = saving else { return std::future::pending().await };
    let written = match task.await {
        Ok(written) => written.map_err(|error| {
            let source = std::error::Error::source(&error);
            source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
        }),
        Err(error) => Err(error.to_string()),
    };
    (name.clone(), written)
}

/// The end of a sleep; never where there is none.
pub(super) async fn over(sleep: &mut Option<Pin<Box<Sleep>>>) {
    match sleep {
        Some(sleep) => sleep.await,
        None => std::future::pending().await,
    }
}
