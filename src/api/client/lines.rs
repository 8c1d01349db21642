//! A stream of the daemon's, line by line.

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::{ANSWER_MAX_BYTES, ApiClient, Failure};
use crate::api::types::ApiError;

/// A line of a stream is at most a list of services.
const LINE_MAX_BYTES: usize = ANSWER_MAX_BYTES;

const HALF_LINE: &str = "the stream ended within a line";

/// A body that is read line by line.
pub(super) struct Lines {
    client: ApiClient,
    body: Incoming,
    buffer: BytesMut,
}

/// The next object of a stream, and what to read on from; an error is the last item.
pub(super) async fn next_object<T: DeserializeOwned>(
    lines: Option<Lines>,
) -> Option<(Result<T, ApiError>, Option<Lines>)> {
    let mut lines = lines?;
    loop {
        match lines.next_line().await {
            Ok(None) => return None,
            Ok(Some(line)) if line.trim_ascii().is_empty() => {}
            Ok(Some(line)) => {
                let object = lines.client.object(&line);
                let rest = object.is_ok().then_some(lines);
                return Some((object, rest));
            }
            Err(error) => return Some((Err(error), None)),
        }
    }
}

impl Lines {
    /// The lines of this body; `client` says what goes wrong.
    pub(super) fn of(client: ApiClient, body: Incoming) -> Self {
        Self { client, body, buffer: BytesMut::new() }
    }

    async fn next_line(&mut self) -> Result<Option<BytesMut>, ApiError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.buffer.split_to(searched + end + 1)));
            }
            searched = self.buffer.len();
            if searched > LINE_MAX_BYTES {
                return Err(self.client.silent(format!("a line of more than {LINE_MAX_BYTES} bytes")));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.buffer.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(self.client.explain(Failure::Lost(error.to_string()))),
                // A line without its end is half an object: the daemon died while it wrote.
                None if searched > 0 => return Err(self.client.explain(Failure::Lost(HALF_LINE.to_owned()))),
                None => return Ok(None),
            }
        }
    }
}
