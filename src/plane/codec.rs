//! Frames: four bytes of length, big-endian, then that much JSON.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec, LengthDelimitedCodecError};

use super::message::FRAME_MAX_BYTES;

/// A live peer reads its socket within milliseconds; one that takes this long for a frame hangs.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// Why a frame could not be sent or received. The connection is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("the plane socket failed")]
    Io(#[source] io::Error),
    /// The peer ended the connection in the middle of a frame.
    #[error("the connection ended in the middle of a frame")]
    Cut,
    /// Longer than [`FRAME_MAX_BYTES`].
    #[error("a frame is longer than the {FRAME_MAX_BYTES} bytes allowed")]
    TooLong,
    /// Not the JSON of a message.
    #[error("a frame is not a message")]
    Malformed(#[from] serde_json::Error),
    /// The peer does not read.
    #[error("the peer did not read a frame within {} s", WRITE_DEADLINE.as_secs())]
    WriteTimeout,
}

/// The codec has its own errors inside those of I/O.
impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        match error.get_ref() {
            Some(inner) if inner.is::<LengthDelimitedCodecError>() => Self::TooLong,
            // Of the kind `Other`, with a text, is only the end of the connection within a frame.
            Some(_) if error.kind() == io::ErrorKind::Other => Self::Cut,
            _ => Self::Io(error),
        }
    }
}

/// Reads frames.
pub(super) struct FrameReader<R>(FramedRead<R, LengthDelimitedCodec>);

/// Writes frames.
pub(super) struct FrameWriter<W>(FramedWrite<W, LengthDelimitedCodec>);

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(FRAME_MAX_BYTES).new_codec()
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(io: R) -> Self {
        Self(FramedRead::new(io, codec()))
    }

    /// The next frame; `None` if the peer ended the connection between two frames. Can be cancelled without losing a byte.
    pub(super) async fn next(&mut self) -> Result<Option<BytesMut>, FrameError> {
        Ok(self.0.next().await.transpose()?)
    }
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub(super) fn new(io: W) -> Self {
        Self(FramedWrite::new(io, codec()))
    }

    /// Sends one message.
    pub(super) async fn send(&mut self, message: &impl Serialize) -> Result<(), FrameError> {
        let frame = Bytes::from(serde_json::to_vec(message)?);
        let sent = tokio::time::timeout(WRITE_DEADLINE, self.0.send(frame)).await;
        Ok(sent.map_err(|_| FrameError::WriteTimeout)??)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn lengths(io: impl AsyncRead + Unpin) -> Result<Vec<usize>, FrameError> {
        let mut reader = FrameReader::new(io);
        let mut lengths = Vec::new();
        while let Some(frame) = reader.next().await? {
            lengths.push(serde_json::from_slice::<String>(&frame)?.len());
        }
        Ok(lengths)
    }

    #[tokio::test]
    async fn frames_are_read_back_whatever_their_parts() {
        let mut bytes = Vec::new();
        let mut writer = FrameWriter::new(&mut bytes);
        for text in ["a", "", &"x".repeat(100_000)] {
            writer.send(&text).await.unwrap();
        }
        assert_eq!(bytes[..7], [0, 0, 0, 3, b'"', b'a', b'"'], "length in four bytes, then JSON");
        assert_eq!(lengths(&bytes[..]).await.unwrap(), [1, 0, 100_000]);

        let (mut far, near) = tokio::io::duplex(7);
        let sent = tokio::spawn(async move { far.write_all(&bytes).await });
        assert_eq!(lengths(near).await.unwrap(), [1, 0, 100_000]);
        sent.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn bytes_that_are_no_frame_are_an_error() {
        assert!(matches!(lengths(&[0, 0, 0, 5, b'"'][..]).await, Err(FrameError::Cut)));
        assert!(matches!(lengths(&[0, 0][..]).await, Err(FrameError::Cut)));
        assert!(matches!(lengths(&[0, 0, 0, 1, b'{'][..]).await, Err(FrameError::Malformed(_))));
        assert!(matches!(lengths(&[255, 0, 0, 0][..]).await, Err(FrameError::TooLong)));
        assert!(lengths(&[][..]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn frame_above_the_limit_is_not_sent() {
        let mut bytes = Vec::new();
        let sent = FrameWriter::new(&mut bytes).send(&"x".repeat(FRAME_MAX_BYTES)).await;
        assert!(matches!(sent, Err(FrameError::TooLong)), "{sent:?}");
        assert!(bytes.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn peer_that_does_not_read_ends_the_write() {
        let (near, _far) = tokio::io::duplex(7);
        let sent = FrameWriter::new(near).send(&"a long text").await;
        assert!(matches!(sent, Err(FrameError::WriteTimeout)), "{sent:?}");
    }
}
