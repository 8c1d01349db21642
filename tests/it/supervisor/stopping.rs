//! A stop under load, on the built binary: no connection hangs and none is reset.

use super::backend::{exchange, fetch, start};
use super::*;

#[test]
fn stopping_daemon_serves_new_connections_until_slow_requests_have_finished_then_refuses_them() {
    let mut daemon = start();
    let address = daemon.http;
    let slow = std::thread::spawn(move || fetch(address, 3_000));
    let mut kept = TcpStream::connect(address).unwrap();
    assert!(!exchange(&mut kept, 0, "").unwrap().contains("connection: close"));
    // The slow request is in flight: its thread has had the time of another one.
    fetch(address, 300).unwrap();
    send(daemon.pid(), Signal::SIGTERM);
    daemon.logs("draining reason=Stopped");
    for _ in 0..20 {
        let answer = fetch(address, 0).unwrap();
        assert!(answer.contains("connection: close"), "{answer}");
    }
    let answer = exchange(&mut kept, 0, "").unwrap();
    assert!(answer.contains("connection: close"), "{answer}");
    slow.join().unwrap().unwrap();
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// From the stop on each request is answered or refused at once.
#[test]
fn request_to_a_stopping_daemon_is_answered_or_refused_but_never_hangs() {
    let mut daemon = start();
    let address = daemon.http;
    let slow = std::thread::spawn(move || fetch(address, 1_000));
    fetch(address, 200).unwrap();
    let client = std::thread::spawn(move || {
        let mut answered = 0;
        loop {
            match fetch(address, 0) {
                Ok(_) => answered += 1,
                Err(failure) => return (answered, failure),
            }
        }
    });
    send(daemon.pid(), Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
    let (answered, failure) = client.join().unwrap();
    assert!(answered > 0, "{failure}");
    assert!(failure.contains("refused"), "after {answered} answers: {failure}");
    slow.join().unwrap().unwrap();
}
