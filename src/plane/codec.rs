//! Frames: four bytes of length, big-endian, then that much JSON.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::message::FRAME_MAX_BYTES;

const HEADER_BYTES: usize = 4;
/// Room asked for at each read. A length that a peer claims reserves nothing: the buffer grows with what arrives.
const READ_BYTES: usize = 16 << 10;

/// Why a frame could not be sent or received. The connection is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed.
    #[error("the plane socket failed")]
    Io(#[from] io::Error),
    /// The peer went away in the middle of a frame.
    #[error("the connection ended in the middle of a frame")]
    Cut,
    /// Longer than [`FRAME_MAX_BYTES`].
    #[error("a frame of {0} bytes is longer than the {FRAME_MAX_BYTES} allowed")]
    TooLong(usize),
    /// Not the JSON of a message.
    #[error("a frame is not a message")]
    Shape(#[from] serde_json::Error),
}

/// Reads frames. `next` may be dropped while it waits without losing a byte.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    io: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(io: R) -> Self {
        Self { io, buffer: Vec::new() }
    }

    /// The next message; `None` where the peer ended the connection between two frames.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        loop {
            if let Some(end) = self.frame_end()?
                && self.buffer.len() >= end
            {
                let message = serde_json::from_slice(&self.buffer[HEADER_BYTES..end])?;
                self.buffer.drain(..end);
                return Ok(Some(message));
            }
            self.buffer.reserve(READ_BYTES);
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Cut) };
            }
        }
    }

    /// Where the first frame of the buffer ends, once its length is there.
    fn frame_end(&self) -> Result<Option<usize>, FrameError> {
        let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if length > FRAME_MAX_BYTES {
            return Err(FrameError::TooLong(length));
        }
        Ok(Some(HEADER_BYTES + length))
    }
}

/// Sends one message.
pub(super) async fn write_frame<W, T>(io: &mut W, message: &T) -> Result<(), FrameError>
where
    W: AsyncWrite + Unpin,
    T: Serialize,
{
    let mut frame = vec![0; HEADER_BYTES];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - HEADER_BYTES;
    match u32::try_from(length) {
        Ok(header) if length <= FRAME_MAX_BYTES => {
            frame[..HEADER_BYTES].copy_from_slice(&header.to_be_bytes());
        }
        _ => return Err(FrameError::TooLong(length)),
    }
    io.write_all(&frame).await?;
    Ok(io.flush().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Result<Vec<String>, FrameError> {
        let mut reader = FrameReader::new(bytes);
        let mut got = Vec::new();
        while let Some(text) = reader.next().await? {
            got.push(text);
        }
        Ok(got)
    }

    #[tokio::test]
    async fn frames_come_back_however_they_are_cut() {
        let mut bytes = Vec::new();
        for text in ["a", "", &"x".repeat(100_000)] {
            write_frame(&mut bytes, &text).await.unwrap();
        }
        assert_eq!(read(&bytes).await.unwrap(), ["a", "", &"x".repeat(100_000)]);

        let (mut far, near) = tokio::io::duplex(7);
        let sent = tokio::spawn(async move { far.write_all(&bytes).await });
        let mut reader = FrameReader::new(near);
        let mut lengths = Vec::new();
        while let Some(text) = reader.next::<String>().await.unwrap() {
            lengths.push(text.len());
        }
        assert_eq!(lengths, [1, 0, 100_000]);
        sent.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_is_not_a_frame_is_an_error() {
        assert!(matches!(read(&[0, 0, 0, 5, b'"']).await, Err(FrameError::Cut)));
        assert!(matches!(read(&[0, 0]).await, Err(FrameError::Cut)));
        assert!(matches!(read(&[0, 0, 0, 1, b'{']).await, Err(FrameError::Shape(_))));
        assert!(matches!(read(&[255, 0, 0, 0]).await, Err(FrameError::TooLong(_))));
        assert!(read(&[]).await.unwrap().is_empty());
    }
}
