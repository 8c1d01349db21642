//! One TCP probe: a connection passes; through a proxy it must also stay open.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::address::ProbeAddress;
use super::observation;
use crate::model::{FailedProbe, Millis, io_error_text};

/// A proxy without a listener behind it closes within milliseconds; a connection that lasts this long has reached one.
const HELD_FOR: Duration = Duration::from_millis(100);

/// Connects and closes again, within `timeout`, which the caller enforces. Through a proxy the connection must also stay
/// open, or deliver a byte.
pub(super) async fn probe(place: &ProbeAddress, timeout: Millis) -> Result<(), FailedProbe> {
    let failed = |why: &str| observation::no_connection(place.port, why);
    let mut stream = place.connect(failed).await?;
    if !place.proxied {
        return Ok(());
    }
    let held_for = HELD_FOR.min(timeout.std() / 2);
    match tokio::time::timeout(held_for, stream.read(&mut [0; 1])).await {
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => Err(place.hung_up(failed, "connection closed immediately")),
        Ok(Err(error)) => Err(place.hung_up(failed, &io_error_text(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProbeAnswer;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    /// What a probe finds, directly and through a proxy, of a server that does this with each connection.
    async fn found<F: Future<Output = ()> + Send>(
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> [Result<(), FailedProbe>; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream).await;
            }
        };
        let probes = async {
            let direct = probe(&ProbeAddress::direct(address), Millis::secs(1)).await;
            [direct, probe(&ProbeAddress { address, port: 8080, proxied: true }, Millis::secs(1)).await]
        };
        tokio::select! {
            () = serving => unreachable!("the server serves on"),
            found = probes => found,
        }
    }

    #[tokio::test]
    async fn tcp_probe_behind_proxy_needs_open_or_answering_connection() {
        let closed = FailedProbe {
            message: "connect to port 8080 → connection closed immediately; probably nothing listens on 8080"
                .to_owned(),
            answer: ProbeAnswer::Refused { port: 8080 },
        };
        assert_eq!(found(async |stream| drop(stream)).await, [Ok(()), Err(closed)]);
        assert_eq!(found(async |stream| std::mem::forget(stream)).await, [Ok(()), Ok(())]);
        let greeting = async |mut stream: TcpStream| {
            let _ = stream.write_all(b"220 ready").await;
        };
        assert_eq!(found(greeting).await, [Ok(()), Ok(())]);
    }
}
