//! A stop under load, on the built binary: no connection hangs and none is reset.

use super::backend::{exchange, fetch, hold, start_holding};
use super::*;
use std::sync::atomic::AtomicUsize;

#[test]
fn stopping_daemon_serves_new_connections_until_slow_requests_have_finished_then_refuses_them() {
    let (mut daemon, held) = start_holding();
    let address = daemon.http;
    let slow = hold(&daemon, &held, 1);
    let mut kept = TcpStream::connect(address).unwrap();
    assert!(!exchange(&mut kept, 0, "").unwrap().contains("connection: close"));
    send(daemon.pid(), Signal::SIGTERM);
    daemon.logs("draining reason=Stopped");
    for _ in 0..20 {
        let answer = fetch(address, 0).unwrap();
        assert!(answer.contains("connection: close"), "{answer}");
    }
    let answer = exchange(&mut kept, 0, "").unwrap();
    assert!(answer.contains("connection: close"), "{answer}");
    held.release();
    slow.into_iter().for_each(|request| drop(request.join().unwrap().unwrap()));
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// From the stop on each request is answered or refused at once; in the moment of the close the kernel may reset one.
#[test]
fn request_to_a_stopping_daemon_is_answered_or_refused_but_never_hangs() {
    let (mut daemon, held) = start_holding();
    let address = daemon.http;
    let slow = hold(&daemon, &held, 1);
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    send(daemon.pid(), Signal::SIGTERM);
    daemon.logs("draining reason=Stopped");
    let client = std::thread::spawn(move || {
        loop {
            match fetch(address, 0) {
                Ok(_) => count.fetch_add(1, Ordering::Relaxed),
                Err(failure) => return failure,
            };
        }
    });
    daemon.until("an answer", || (answered.load(Ordering::Relaxed) > 0).then_some(()));
    held.release();
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
    let failure = client.join().unwrap();
    assert!(failure.contains("refused") || failure.contains("reset"), "{failure}");
    slow.into_iter().for_each(|request| drop(request.join().unwrap().unwrap()));
}
