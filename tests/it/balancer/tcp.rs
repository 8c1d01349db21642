//! Plain TCP through the balancer, with scripted peers on both sides.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coxswain::balancer::{BalancerLimits, DrainReason, SocketChange};
use coxswain::model::{
    BalancerReport, Listener, ListenerId, ListenerProtocol, ListenerScope, Millis, RoutingTable, TcpWaits,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::harness::{Backend, Balancer, PATIENCE, Setup, listen_for_tcp, table};

/// Far less than the default, so that a test need not wait.
const BRIEF: Duration = Duration::from_millis(50);

fn listener() -> ListenerId {
    "tcp-5432".into()
}

/// A table whose only listener besides the public one leads to these backends.
fn tcp_table(revision: u64, backends: &[&Backend], waits: TcpWaits) -> RoutingTable {
    let mut table = table(revision, &[], &[("db", backends)]);
    let protocol = ListenerProtocol::Tcp {
        address: TcpWaits::EVERY_ADDRESS,
        port: 5432,
        service: "db".into(),
        service_port: "http".into(),
        waits,
    };
    table.listeners.insert(listener(), Listener { scope: ListenerScope::Public, protocol });
    table
}

const NO_HOLD: TcpWaits = TcpWaits { hold: Millis(0), idle_timeout: TcpWaits::IDLE_TIMEOUT };

/// A balancer with a TCP listener.
struct TcpBalancer {
    balancer: Balancer,
    address: SocketAddr,
}

impl TcpBalancer {
    async fn start(limits: BalancerLimits, backends: &[&Backend]) -> Self {
        let mut balancer = Balancer::start(Setup { limits, ..Setup::default() }).await;
        let address = listen_for_tcp(&balancer, &listener(), 2).await;
        balancer.publish(tcp_table(1, backends, NO_HOLD)).await;
        Self { balancer, address }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits until this many connections of a backend have ended, and none is open.
    async fn until_ended(&mut self, backend: &Backend, count: u64) -> BalancerReport {
        let id = backend.id();
        let ended = |report: &BalancerReport| {
            report.endpoints.get(&id).is_some_and(|stats| (stats.requests, stats.in_flight) == (count, 0))
        };
        self.balancer.until(ended).await
    }

    async fn until_in_flight(&mut self, backend: &Backend, count: u64) -> BalancerReport {
        let id = backend.id();
        self.balancer.until(|report| report.in_flight(&id) == count).await
    }
}

fn brief_drain() -> BalancerLimits {
    BalancerLimits { tcp_drain_idle: BRIEF, ..BalancerLimits::default() }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it ends in time")
}

/// Sends each byte back.
async fn echo() -> Backend {
    Backend::raw("echo", |mut stream, _| async move {
        let (mut read, mut write) = stream.split();
        // the balancer may leave at any time
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    })
    .await
}

async fn ask(client: &mut TcpStream, question: &[u8]) {
    client.write_all(question).await.unwrap();
    let mut answer = vec![0; question.len()];
    in_time(client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, question);
}

/// What comes until the other side ends its stream.
async fn rest(client: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    in_time(client.read_to_end(&mut rest)).await.unwrap();
    rest
}

#[tokio::test]
async fn client_that_ends_its_stream_first_still_gets_the_answer() {
    let backend = Backend::raw("a", |mut stream, _| async move {
        let mut question = String::new();
        stream.read_to_string(&mut question).await.unwrap();
        stream.write_all(question.to_uppercase().as_bytes()).await.unwrap();
    })
    .await;
    let mut balancer = TcpBalancer::start(BalancerLimits::default(), &[&backend]).await;
    let mut client = balancer.connect().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await, b"QUESTION");
    let report = balancer.until_ended(&backend, 1).await;
    assert_eq!(report.failed(&"db".into()), 0);
}

#[tokio::test]
async fn service_that_ends_its_stream_first_still_gets_the_rest() {
    let received = Arc::new(Notify::new());
    let seen = Arc::clone(&received);
    let backend = Backend::raw("a", move |mut stream, _| {
        let seen = Arc::clone(&seen);
        async move {
            stream.write_all(b"welcome").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "farewell");
            seen.notify_one();
        }
    })
    .await;
    let balancer = TcpBalancer::start(BalancerLimits::default(), &[&backend]).await;
    let mut client = balancer.connect().await;
    assert_eq!(rest(&mut client).await, b"welcome");
    client.write_all(b"fare").await.unwrap();
    client.write_all(b"well").await.unwrap();
    client.shutdown().await.unwrap();
    in_time(received.notified()).await;
}

#[tokio::test]
async fn connection_that_a_service_resets_is_reset_and_counts_as_failed() {
    let backend = Backend::raw("a", |mut stream, _| async move {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        stream.write_all(b"half an ans").await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    let mut balancer = TcpBalancer::start(BalancerLimits::default(), &[&backend]).await;
    let mut client = balancer.connect().await;
    client.write_all(b"a").await.unwrap();
    let mut half = [0; 11];
    in_time(client.read_exact(&mut half)).await.unwrap();
    client.write_all(b"b").await.unwrap();
    let error = in_time(client.read(&mut half)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "an end would look like a whole answer");
    balancer.balancer.until(|report| report.failed(&"db".into()) == 1).await;
}

#[tokio::test]
async fn connection_that_a_client_resets_is_reset_and_counts_as_served() {
    let broken = Arc::new(Notify::new());
    let seen = Arc::clone(&broken);
    let backend = Backend::raw("a", move |mut stream, _| {
        let seen = Arc::clone(&seen);
        async move {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            stream.write_all(&byte).await.unwrap();
            assert!(stream.read_exact(&mut byte).await.is_err());
            seen.notify_one();
        }
    })
    .await;
    let mut balancer = TcpBalancer::start(BalancerLimits::default(), &[&backend]).await;
    let mut client = balancer.connect().await;
    ask(&mut client, b"x").await;
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    in_time(broken.notified()).await;
    let report = balancer.until_ended(&backend, 1).await;
    assert_eq!(report.failed(&"db".into()), 0);
}

#[tokio::test]
async fn bytes_of_both_directions_arrive_whole_while_both_read_slowly() {
    const LENGTH: usize = 8 << 20;
    let backend = echo().await;
    let balancer = TcpBalancer::start(BalancerLimits::default(), &[&backend]).await;
    let mut client = balancer.connect().await;
    let sent: Vec<u8> = (0..LENGTH).map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap()).collect();
    let (mut read, mut write) = client.split();
    let writing = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let reading = async {
        let mut received = Vec::new();
        let mut piece = [0; 1000];
        loop {
            let count = read.read(&mut piece).await.unwrap();
            if count == 0 {
                return received;
            }
            received.extend_from_slice(&piece[..count]);
        }
    };
    let ((), received) = in_time(async { tokio::join!(writing, reading) }).await;
    assert!(received == sent, "{} of {LENGTH} bytes", received.len());
}

#[tokio::test]
async fn endpoint_that_cannot_be_connected_to_is_passed_over() {
    let absent = Backend::absent("absent").await;
    let backend = echo().await;
    let mut balancer = TcpBalancer::start(BalancerLimits::default(), &[&absent, &backend]).await;
    for _ in 0..8 {
        ask(&mut balancer.connect().await, b"hello").await;
    }
    let report = balancer.until_ended(&backend, 8).await;
    assert_eq!(report.failed(&"db".into()), 0);
}

#[tokio::test]
async fn connection_without_an_endpoint_is_closed_and_counts_as_failed() {
    let mut balancer = TcpBalancer::start(BalancerLimits::default(), &[]).await;
    assert_eq!(rest(&mut balancer.connect().await).await, b"");
    balancer.balancer.until(|report| report.failed(&"db".into()) == 1).await;
}

#[tokio::test]
async fn connection_is_held_until_an_endpoint_is_ready_or_its_client_leaves() {
    let mut balancer = TcpBalancer::start(BalancerLimits::default(), &[]).await;
    balancer.balancer.publish(tcp_table(2, &[], TcpWaits::default())).await;
    let mut client = balancer.connect().await;
    client.write_all(b"early").await.unwrap();
    let leaving = balancer.connect().await;
    let held = |wanted: u64| {
        move |report: &BalancerReport| report.services.get(&"db".into()).map_or(0, |s| s.held) == wanted
    };
    balancer.balancer.until(held(2)).await;
    drop(leaving);
    balancer.balancer.until(held(1)).await;
    let backend = echo().await;
    balancer.balancer.publish(tcp_table(3, &[&backend], TcpWaits::default())).await;
    let mut answer = [0; 5];
    in_time(client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"early");
    balancer.balancer.until(held(0)).await;
}

#[tokio::test]
async fn connection_waits_for_the_table_with_its_listener() {
    let mut balancer = Balancer::start(Setup::default()).await;
    let address = listen_for_tcp(&balancer, &listener(), 2).await;
    balancer.publish(table(1, &[], &[])).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"early").await.unwrap();
    let backend = echo().await;
    balancer.publish(tcp_table(2, &[&backend], NO_HOLD)).await;
    let mut answer = [0; 5];
    in_time(client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"early");
}

#[tokio::test]
async fn connection_of_a_removed_endpoint_ends_once_its_client_awaits_nothing() {
    let answer = Arc::new(Notify::new());
    let gate = Arc::clone(&answer);
    let backend = Backend::raw("old", move |mut stream, _| {
        let gate = Arc::clone(&gate);
        async move {
            let mut byte = [0];
            // the second question of a client is answered late
            for late in [false, true] {
                if stream.read_exact(&mut byte).await.is_err() {
                    return;
                }
                if late {
                    gate.notified().await;
                }
                stream.write_all(&byte).await.unwrap();
            }
            assert_eq!(stream.read(&mut byte).await.unwrap(), 0, "an end, not a reset");
        }
    })
    .await;
    let mut balancer = TcpBalancer::start(brief_drain(), &[&backend]).await;
    let mut idle = balancer.connect().await;
    ask(&mut idle, b"1").await;
    let mut busy = balancer.connect().await;
    ask(&mut busy, b"1").await;
    busy.write_all(b"2").await.unwrap();
    balancer.until_in_flight(&backend, 2).await;

    let new = echo().await;
    balancer.balancer.publish(tcp_table(2, &[&new], NO_HOLD)).await;
    assert_eq!(rest(&mut idle).await, b"", "the balancer ends it");
    balancer.until_in_flight(&backend, 1).await;
    ask(&mut balancer.connect().await, b"new").await;
    answer.notify_one();
    assert_eq!(rest(&mut busy).await, b"2", "its answer has come before the end");
    let report = balancer.until_ended(&backend, 2).await;
    assert_eq!(report.failed(&"db".into()), 0);
}

#[tokio::test]
async fn tables_leave_connections_open_whose_endpoint_stays_or_comes_back() {
    let backend = echo().await;
    let other = Backend::raw("other", |_, _| async {}).await;
    let mut balancer = TcpBalancer::start(BalancerLimits::default(), &[&backend]).await;
    let mut client = balancer.connect().await;
    ask(&mut client, b"one").await;
    balancer.balancer.publish(tcp_table(2, &[&backend, &other], NO_HOLD)).await;
    ask(&mut client, b"two").await;
    balancer.balancer.publish(tcp_table(3, &[], NO_HOLD)).await;
    ask(&mut client, b"three").await;
    balancer.balancer.publish(tcp_table(4, &[&backend], NO_HOLD)).await;
    ask(&mut client, b"four").await;
    balancer.until_in_flight(&backend, 1).await;
}

#[tokio::test]
async fn draining_balancer_ends_idle_connections_and_then_itself() {
    for reason in [DrainReason::Stopped, DrainReason::Succeeded, DrainReason::Orphaned] {
        let backend = echo().await;
        let mut balancer = TcpBalancer::start(brief_drain(), &[&backend]).await;
        let mut client = balancer.connect().await;
        ask(&mut client, b"hello").await;
        balancer.balancer.drain(reason);
        assert_eq!(rest(&mut client).await, b"", "{reason:?}");
        balancer.balancer.ended().await.unwrap();
    }
}

#[tokio::test]
async fn closed_listener_ends_idle_connections_and_accepts_none() {
    let backend = echo().await;
    let balancer = TcpBalancer::start(brief_drain(), &[&backend]).await;
    let mut client = balancer.connect().await;
    ask(&mut client, b"hello").await;
    balancer.balancer.sockets.send(SocketChange::Close(listener())).await.unwrap();
    assert_eq!(rest(&mut client).await, b"");
    let refused = async { while TcpStream::connect(balancer.address).await.is_ok() {} };
    in_time(refused).await;
}

#[tokio::test]
async fn connection_ends_after_its_idle_timeout() {
    let backend = echo().await;
    let mut balancer = TcpBalancer::start(BalancerLimits::default(), &[&backend]).await;
    let waits = TcpWaits { idle_timeout: BRIEF.into(), ..NO_HOLD };
    balancer.balancer.publish(tcp_table(2, &[&backend], waits)).await;
    let mut client = balancer.connect().await;
    assert_eq!(rest(&mut client).await, b"");
    balancer.until_ended(&backend, 1).await;
}

#[tokio::test]
async fn idle_timeout_ends_a_connection_whose_service_reads_nothing() {
    let backend = Backend::raw("a", |stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut balancer = TcpBalancer::start(BalancerLimits::default(), &[&backend]).await;
    let waits = TcpWaits { idle_timeout: BRIEF.into(), ..NO_HOLD };
    balancer.balancer.publish(tcp_table(2, &[&backend], waits)).await;
    let mut client = balancer.connect().await;
    let piece = vec![7; 1 << 20];
    // more than the kernel's buffers hold, so that bytes of the client are always left to be read
    in_time(async { while client.write_all(&piece).await.is_ok() {} }).await;
    balancer.until_ended(&backend, 1).await;
}

#[tokio::test]
async fn connection_over_the_client_limit_is_closed_at_once_and_counted() {
    let backend = echo().await;
    let limits = BalancerLimits { per_client: 1, ..BalancerLimits::default() };
    let mut balancer = TcpBalancer::start(limits, &[&backend]).await;
    let mut first = balancer.connect().await;
    ask(&mut first, b"hello").await;
    assert_eq!(rest(&mut balancer.connect().await).await, b"");
    balancer.balancer.until(|report| report.connections.over_client_limit == 1).await;
    ask(&mut first, b"again").await;
}
