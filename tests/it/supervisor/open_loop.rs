//! What a restart and a reload cost clients that send on schedule, whatever becomes of their earlier requests: 200 requests a second,
//! each on a connection of its own. The figures of `docs/how-to/upgrade.md`:
//! `cargo test --test it -- supervisor::open_loop --nocapture`.

use super::backend::{fetch, leave_table, start_server};
use super::*;

/// Between two requests.
const EVERY: Duration = Duration::from_millis(5);
/// What a request takes, most of them and one in so many.
const QUICK: u64 = 5;
const SLOW: u64 = 2_000;
const SLOW_EVERY: u32 = 100;
/// Before and after what is measured.
const AROUND: Duration = Duration::from_millis(1_500);

/// A request, and what became of it.
struct Sent {
    at: Duration,
    millis: u64,
    took: Duration,
    failure: Option<String>,
}

/// Clients that send on schedule until they are stopped.
struct OpenLoop {
    stop: Arc<AtomicBool>,
    clock: std::thread::JoinHandle<Vec<Sent>>,
}

impl OpenLoop {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stop);
        let clock = std::thread::spawn(move || {
            let begin = Instant::now();
            let mut requests = Vec::new();
            for number in 0.. {
                if is_stopped.load(Ordering::Relaxed) {
                    break;
                }
                let due = EVERY * number;
                std::thread::sleep(due.saturating_sub(begin.elapsed()));
                let millis = if number % SLOW_EVERY == 0 { SLOW } else { QUICK };
                requests.push(std::thread::spawn(move || {
                    let failure = fetch(address, millis).err();
                    // from when it was due: a client that is late has waited as well
                    Sent { at: due, millis, took: begin.elapsed().saturating_sub(due), failure }
                }));
            }
            requests.into_iter().map(|request| request.join().unwrap()).collect()
        });
        Self { stop, clock }
    }

    fn stop(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.clock.join().unwrap()
    }
}

/// What the clients saw of something that happened to the daemon.
struct Cost {
    lost: usize,
    line: String,
    failures: Vec<String>,
    /// Of those, the slow ones.
    slow: Vec<String>,
}

/// Does something to a daemon under load.
fn measure(what: &str, daemon: &mut Daemon, act: impl FnOnce(&mut Daemon)) -> Cost {
    daemon.until("the service", || fetch(daemon.http, 0).ok());
    daemon.logs("has started role=controller");
    let clients = OpenLoop::start(daemon.http);
    std::thread::sleep(AROUND);
    act(daemon);
    daemon.until("the service", || fetch(daemon.http, 0).ok());
    std::thread::sleep(AROUND);
    let sent = clients.stop();
    let lost: Vec<&Sent> = sent.iter().filter(|request| request.failure.is_some()).collect();
    let outage = lost.first().zip(lost.last()).map(|(first, last)| last.at - first.at + EVERY);
    let mut quick: Vec<Duration> = sent.iter().filter(|s| s.failure.is_none()).map(|s| s.took).collect();
    quick.retain(|took| *took < Duration::from_millis(SLOW));
    quick.sort();
    let p99 = quick.get(quick.len() * 99 / 100).copied().unwrap_or_default();
    let failures: Vec<String> = lost.iter().filter_map(|request| request.failure.clone()).collect();
    let slow = lost.iter().filter(|request| request.millis == SLOW);
    let slow: Vec<String> = slow.filter_map(|request| request.failure.clone()).collect();
    let refused = failures.iter().filter(|text| text.contains("refused")).count();
    let line = format!(
        "{what}: {} of {} lost ({refused} refused) within {:.2} s; p99 {} ms, longest {} ms",
        lost.len(),
        sent.len(),
        outage.unwrap_or_default().as_secs_f64(),
        p99.as_millis(),
        quick.last().copied().unwrap_or_default().as_millis()
    );
    eprintln!("{line}");
    Cost { lost: lost.len(), line, failures, slow }
}

/// As a service manager does: SIGTERM, and the next one once it has ended.
fn restart(daemon: &mut Daemon, command: Command) {
    send(daemon.pid(), Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
    daemon.process = logged(command, &daemon.log);
}

#[test]
fn reload_and_activated_restart_lose_no_request_of_open_loop_clients() {
    let mut daemon = super::backend::start();
    let reload = measure("reload", &mut daemon, |daemon| {
        let said = daemon.ctl(&["reload"]);
        assert!(said.contains("a new controller"), "{said}\n{}", daemon.log());
    });
    assert_eq!(reload.lost, 0, "{:?}\n{}", reload.failures, daemon.log());
    drop(daemon);

    let (directory, unused) = (tempfile::tempdir().unwrap(), free_address());
    leave_table(&directory, start_server());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let http = socket.local_addr().unwrap();
    let mut daemon = Daemon::run(activated(&directory, unused, &socket), directory, http);
    let restarted = measure("restart with socket activation", &mut daemon, |daemon| {
        let next = activated(&daemon.directory, unused, &socket);
        restart(daemon, next);
    });
    assert_eq!(restarted.lost, 0, "{:?}\n{}", restarted.failures, daemon.log());
}

/// What the documentation says that they cost: connections that are refused, and in the moment of a close one that is reset; no
/// request that was accepted, and none that hangs.
#[test]
fn restart_and_kill_refuse_connections_of_open_loop_clients_and_cut_no_request() {
    let mut daemon = super::backend::start();
    let costs = [
        measure("restart", &mut daemon, |daemon| {
            let next = serve(&daemon.directory, daemon.http);
            restart(daemon, next);
        }),
        measure("kill -9 of the supervisor", &mut daemon, Daemon::kill_and_start),
    ];
    for Cost { lost, line, failures, slow } in costs {
        assert!(slow.iter().all(|text| text.contains("refused")), "{line}: {slow:?}\n{}", daemon.log());
        let resets = failures.iter().filter(|text| text.contains("reset") || text.contains("end after \"\""));
        let refused = failures.iter().filter(|text| text.contains("refused"));
        assert_eq!(resets.count() + refused.count(), lost, "{line}: {failures:?}\n{}", daemon.log());
    }
}
