//! Results by request id, so that a client that lost the answer may retry and changes nothing twice.

use std::time::Duration;

use super::handle::Writes;
use super::types::WriteResult;
use crate::controller::error::ControllerError;
use crate::model::key;
use crate::store::{Op, Store, StoreError};

/// How long an answer is kept: far longer than any client retries.
const KEPT: Duration = Duration::from_secs(600);
/// Longest id; clients send a UUID.
const ID_MAX_BYTES: usize = 64;
/// An answer above this is kept without its fields that changed: a transaction holds 1 MiB, and the objects that it
/// writes come first.
const ANSWER_MAX_BYTES: usize = 256 << 10;

impl Writes {
    /// The answer that was given to this request, if it was. Refuses an id that is empty, too long or not allowed in a key.
    pub(super) async fn answered(&self, id: &str) -> Result<Option<Vec<WriteResult>>, ControllerError> {
        let sound = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if id.is_empty() || id.len() > ID_MAX_BYTES || !id.bytes().all(sound) {
            let message = format!("invalid request id: use 1 to {ID_MAX_BYTES} letters, digits, `-` or `_`");
            return Err(ControllerError::BadValue(message));
        }
        let entry = self.store.get(&key::request(id)).await?;
        Ok(entry.map(|entry| entry.decode()).transpose()?)
    }
}

/// The write that keeps an answer; it belongs in the transaction that makes the answer true. Its lease deletes it.
pub(crate) async fn remember(
    store: &dyn Store,
    id: &str,
    mut answer: Vec<WriteResult>,
) -> Result<Op, StoreError> {
    let lease = Some(store.grant_lease(KEPT).await?);
    let key = key::request(id);
    let encode = |answer: &[WriteResult]| {
        serde_json::to_vec(answer)
            .map_err(|error| StoreError::Invalid(format!("{key} cannot be written: {error}")))
    };
    let mut value = encode(&answer)?;
    if value.len() > ANSWER_MAX_BYTES {
        answer.iter_mut().for_each(|result| result.changes.clear());
        value = encode(&answer)?;
    }
    Ok(Op::Put { key, value, lease })
}
