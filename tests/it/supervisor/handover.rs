//! From a supervisor that was killed to the next one, while its balancer still has requests.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Response;
use nix::sys::signal::Signal;
use tokio::sync::Semaphore;

use super::{BOUND, Daemon, free_address, gone, logged, send, serve};
use crate::balancer::harness::{Backend, Balancer, Setup, simple};

/// What answers to `/slow` wait for.
struct Gate {
    waiting: AtomicUsize,
    permits: Semaphore,
}

async fn backend(gate: &Arc<Gate>) -> Backend {
    let gate = Arc::clone(gate);
    Backend::http("a", move |request| {
        let gate = Arc::clone(&gate);
        async move {
            if request.uri().path() == "/slow" {
                gate.waiting.fetch_add(1, Ordering::SeqCst);
                gate.permits.acquire().await.unwrap().forget();
            }
            Response::new("done".into())
        }
    })
    .await
}

/// Leaves a table with this backend in a state directory, as a balancer of this boot would have.
async fn leave_table(state: &Path, backend: &Backend) {
    let directory = state.join("balancer");
    fs::create_dir_all(&directory).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned();
    let setup = Setup { directory: Some(directory.clone()), boot: boot.leak(), ..Setup::default() };
    let mut balancer = Balancer::start(setup).await;
    balancer.publish(simple(1, &[backend])).await;
    balancer.stop().await;
    fs::rename(directory.join("table"), directory.join("table.json")).unwrap();
}

/// A request that is sent, and not answered yet.
fn ask(daemon: &Daemon, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&daemon.http, BOUND).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The id of a balancer process.
fn id_of(pid: i32) -> String {
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    line.split('\0').skip_while(|word| *word != "--balancer-id").nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_balancer_of_a_killed_supervisor_follows_the_next_daemon_until_its_requests_end() {
    let gate = Arc::new(Gate { waiting: AtomicUsize::new(0), permits: Semaphore::new(0) });
    let backend = backend(&gate).await;
    let directory = tempfile::tempdir().unwrap();
    leave_table(&directory.path().join("state"), &backend).await;
    let http = free_address();
    let command = serve(&directory, http);
    let mut daemon = Daemon::run(command, directory, http);
    daemon.until("an answer", || answer(ask(&daemon, "/")).ends_with("done").then_some(()));
    let old = daemon.child("balancer");
    let old_id = id_of(old);
    let slow: Vec<TcpStream> = (0..3).map(|_| ask(&daemon, "/slow")).collect();
    daemon.until("the requests", || (gate.waiting.load(Ordering::SeqCst) == slow.len()).then_some(()));

    send(daemon.pid(), Signal::SIGKILL);
    daemon.process.wait().unwrap();
    daemon.log.lock().unwrap().clear();
    daemon.process = logged(serve(&daemon.directory, http), &daemon.log);
    let new = daemon.successor("balancer", old);
    assert_ne!(id_of(new), old_id);
    for id in [&old_id, &id_of(new)] {
        daemon.logs(&format!("balancer connected balancer={id}"));
    }
    daemon.until("an answer of the new one", || {
        let connected = TcpStream::connect_timeout(&daemon.http, Duration::from_secs(5)).is_ok();
        (connected && answer(ask(&daemon, "/")).ends_with("done")).then_some(())
    });
    assert!(!gone(old), "it has requests");

    gate.permits.add_permits(slow.len());
    for stream in slow {
        let answer = answer(stream);
        assert!(answer.ends_with("done"), "{answer}");
    }
    daemon.until("the end of the old one", || gone(old).then_some(()));
    daemon.logs(&format!("balancer disconnected balancer={old_id}"));
    daemon.logs("the balancer of an earlier daemon has ended");
    assert_eq!(daemon.child("balancer"), new);
}
