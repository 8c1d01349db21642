//! A stream of objects, one JSON document a line.

use std::path::{Path, PathBuf};

use futures::stream::{Stream, StreamExt, TryStreamExt, unfold};
use http_body_util::BodyStream;
use hyper::body::{Bytes, Frame, Incoming};
use serde::de::DeserializeOwned;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

use super::failed_call::CallError;
use crate::api::types::ApiError;

/// The objects of a body; an error is the last item. A line is at most `line_max` bytes long.
pub(super) fn objects<T>(
    socket: PathBuf,
    body: Incoming,
    line_max: usize,
) -> impl Stream<Item = Result<T, ApiError>> + Send + 'static
where
    T: DeserializeOwned + Send + 'static,
{
    let frames = BodyStream::new(body).map_err(std::io::Error::other);
    let data = frames.try_filter_map(|frame: Frame<Bytes>| async move { Ok(frame.into_data().ok()) });
    let reader = StreamReader::new(Box::pin(data));
    let lines = FramedRead::new(reader, LinesCodec::new_with_max_length(line_max));
    let lines = lines.try_filter(|line| std::future::ready(!line.trim_ascii().is_empty()));
    unfold(Some((Box::pin(lines), socket)), |rest| async move {
        let (mut lines, socket) = rest?;
        let object = match lines.next().await? {
            Ok(line) => object(&socket, &line),
            Err(LinesCodecError::MaxLineLengthExceeded) => {
                Err(CallError::Invalid("a line of a stream is too long".to_owned()).explain(&socket))
            }
            Err(LinesCodecError::Io(error)) => Err(CallError::Lost(error.to_string()).explain(&socket)),
        };
        let rest = object.is_ok().then_some((lines, socket));
        Some((object, rest))
    })
}

/// An object, or the daemon's error that ends the stream. Half a line, left by a daemon that died, is neither.
fn object<T: DeserializeOwned>(socket: &Path, line: &str) -> Result<T, ApiError> {
    serde_json::from_str(line).map_err(|error| {
        serde_json::from_str(line).unwrap_or_else(|_| {
            CallError::Invalid(format!("a line of a stream is invalid: {error}")).explain(socket)
        })
    })
}
