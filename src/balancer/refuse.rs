//! Ends a connection that is not served.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::limits::LINGER;

/// Closes the connection at once if there is nothing to say: in a protocol in which the service speaks first, the client sends nothing.
/// Else answers a client once it has sent something, and closes the connection once it does. One that is answered before it has
/// asked takes that for an error.
pub(super) async fn refuse(mut stream: TcpStream, answer: Vec<u8>) {
    if answer.is_empty() {
        return;
    }
    let exchange = async {
        let mut scratch = [0; 1024];
        if stream.read(&mut scratch).await? == 0 {
            return Ok(());
        }
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        while stream.read(&mut scratch).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    match tokio::time::timeout(LINGER, exchange).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::trace!(%error, "a refused client disconnected"),
    }
}

/// Answers and closes at once. The client may read a reset instead of the answer.
pub(super) fn refuse_at_once(stream: &TcpStream, answer: &[u8]) {
    if let Err(error) = stream.try_write(answer) {
        tracing::trace!(%error, "a refused client got no answer");
    }
}
