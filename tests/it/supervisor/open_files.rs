//! A daemon with few file descriptors, on the built binary.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use super::{BOUND, Daemon, free_address, serve};
use crate::balancer::harness::{Backend, Balancer, Setup, simple};

/// A state directory whose store cannot be opened, so that no table of a controller replaces this one.
async fn state_with_table(backends: &[&Backend]) -> tempfile::TempDir {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let written = tempfile::tempdir().unwrap();
    let setup = Setup {
        boot: Box::leak(boot.trim().to_owned().into_boxed_str()),
        directory: Some(written.path().to_owned()),
        ..Setup::default()
    };
    let mut balancer = Balancer::start(setup).await;
    balancer.publish(simple(1, backends)).await;
    balancer.stop().await;
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    fs::create_dir_all(state.join("balancer")).unwrap();
    fs::copy(written.path().join("table"), state.join("balancer/table.json")).unwrap();
    fs::write(state.join("store-id"), "11111111-2222-4333-8444-555555555555\n").unwrap();
    fs::write(state.join("store.redb"), "not a store").unwrap();
    directory
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, BOUND).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

/// Reads the answer to a request whose body ends so.
fn answer_of(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(end.as_bytes()) && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn daemon_with_few_descriptors_closes_idle_connections_and_fails_no_request() {
    let backend = Backend::raw("a", |mut stream, _| async move {
        use tokio::io::AsyncWriteExt;
        while crate::balancer::harness::read_head(&mut stream).await.is_some() {
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell").await.is_err() {
                return;
            }
        }
    })
    .await;
    let directory = state_with_table(&[&backend]).await;
    let talk = move || {
        let http = free_address();
        let plain = serve(&directory, http);
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 256 && exec \"$0\" \"$@\""]).arg(plain.get_program());
        command.args(plain.get_args()).stdin(Stdio::null()).stdout(Stdio::null()).env("COXSWAIN_LOG", "info");
        let daemon = Daemon::run(command, directory, http);
        daemon.until("an answer", || daemon.answers().then_some(()));
        let kept = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let idle: Vec<TcpStream> = (0..300)
            .map(|_| {
                let mut stream = connect(http);
                stream.write_all(kept).unwrap();
                let answer = answer_of(&mut stream, "well");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}; {}", daemon.log());
                stream
            })
            .collect();
        let mut honest = connect(http);
        for _ in 0..300 {
            honest.write_all(kept).unwrap();
            let answer = answer_of(&mut honest, "well");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}; {}", daemon.log());
            let mut fresh = connect(http);
            fresh.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
            let answer = answer_of(&mut fresh, "well");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}; {}", daemon.log());
        }
        drop(idle);
        assert!(!daemon.log().contains("refused connections"), "{}", daemon.log());
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
}
