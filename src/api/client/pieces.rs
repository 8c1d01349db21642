//! A large answer, piece by piece as it comes.

use std::path::PathBuf;
use std::time::Duration;

use futures::stream::{Stream, unfold};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use tokio::time::timeout;

use super::failed_call::CallError;
use crate::api::types::ApiError;

/// The pieces of a body of at most `max` bytes, each of which comes within `patience`; an error is the last item.
pub(super) fn pieces(
    socket: PathBuf,
    body: Incoming,
    patience: Duration,
    max: usize,
) -> impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static {
    let body = Limited::new(body, max);
    unfold(Some((body, socket)), move |rest| async move {
        let (mut body, socket) = rest?;
        let frame = match timeout(patience, body.frame()).await {
            Ok(frame) => frame?.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => CallError::Invalid(format!("the answer has more than {max} bytes")),
                None => CallError::Lost(error.to_string()),
            }),
            Err(_) => Err(CallError::TimedOut(patience)),
        };
        let piece =
            frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(|error| error.explain(&socket));
        let rest = piece.is_ok().then_some((body, socket));
        Some((piece, rest))
    })
}
