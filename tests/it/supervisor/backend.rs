//! A service for the daemon's balancer, without Docker: the table that an earlier balancer has left, and a server behind it.

use std::io::Write;
use std::sync::Condvar;

use coxswain::model::{
    EndpointId, Epoch, ForwardAction, HostPattern, Listener, ListenerId, Millis, PathMatch, RevisionNumber,
    RouteAction, RouteFilters, RouteHttps, RouteWaits, RoutingTable, TableEndpoint, TableName, TableRoute,
    TableService, WeightedBackend, sha256_hex,
};

use super::*;

/// For a request that is answered once the test releases it.
pub(super) const HELD: u64 = u64::MAX;

/// The requests that the server holds.
#[derive(Debug, Default)]
pub(super) struct HeldRequests {
    /// How many have come, and whether they are answered.
    state: Mutex<(usize, bool)>,
    released: Condvar,
}

impl HeldRequests {
    /// How many have come.
    pub(super) fn received(&self) -> usize {
        self.state.lock().unwrap().0
    }

    /// Answers them, and those that come.
    pub(super) fn release(&self) {
        self.state.lock().unwrap().1 = true;
        self.released.notify_all();
    }

    fn hold(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        drop(self.released.wait_while(state, |(_, is_released)| !*is_released).unwrap());
    }
}

/// Answers `/N` after N milliseconds, on kept connections too.
pub(super) fn start_server() -> SocketAddr {
    start_holding_server(&Arc::default())
}

fn start_holding_server(held: &Arc<HeldRequests>) -> SocketAddr {
    let held = Arc::clone(held);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let held = Arc::clone(&held);
            std::thread::spawn(move || serve_connection(&stream, &held));
        }
    });
    address
}

fn serve_connection(stream: &TcpStream, held: &HeldRequests) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            head.push(line);
        }
        let target = head.first()?.split(' ').nth(1)?.to_owned();
        let wait: u64 = target.trim_start_matches('/').parse().unwrap_or_default();
        let length =
            |line: &String| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok();
        let length: usize = head.iter().find_map(length).unwrap_or_default();
        std::io::Read::read_exact(&mut reader, &mut vec![0; length]).ok()?;
        if wait == HELD {
            held.hold()
        } else {
            std::thread::sleep(Duration::from_millis(wait))
        }
        (&*stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone").ok()?;
    }
}

/// Leaves a table in the state directory that routes everything to this server.
pub(super) fn leave_table(directory: &TempDir, server: SocketAddr) {
    let id = EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
    let ports = [("http".to_owned(), server.port())].into();
    let endpoint = TableEndpoint::managed(id, "c".into(), RevisionNumber(1), server.ip(), ports);
    let backend = WeightedBackend { service: "slow".into(), port: "http".to_owned(), weight: 1 };
    let forward = ForwardAction {
        backends: vec![backend],
        timeout: Millis::secs(60),
        strip_prefix: false,
        waits: RouteWaits::default(),
        https: RouteHttps::default(),
    };
    let route = TableRoute {
        listeners: [ListenerId::public_http()].into(),
        hosts: [HostPattern::Any].into(),
        path: PathMatch::Prefix("/".to_owned()),
        conditions: [].into(),
        action: RouteAction::Forward(forward),
        filters: RouteFilters::default(),
    };
    let service = TableService { endpoints: vec![endpoint], ..TableService::default() };
    let table = RoutingTable {
        name: TableName { store: "s".into(), epoch: Epoch(1), revision: 1 },
        listeners: [(ListenerId::public_http(), Listener::PUBLIC_HTTP)].into(),
        routes: vec![route],
        services: [("slow".into(), service)].into(),
        certificates: [].into(),
    };
    let json = serde_json::to_string(&table).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let header = serde_json::json!({
        "format": 3, "boot": boot.trim(), "length": json.len(), "sha256": sha256_hex(json.as_bytes()),
    });
    let balancer = directory.path().join("state/balancer");
    fs::create_dir_all(&balancer).unwrap();
    fs::write(balancer.join("table.json"), format!("{header}\n{json}")).unwrap();
}

/// A daemon with the service.
pub(super) fn start() -> Daemon {
    start_holding().0
}

/// The same, and the requests that the service holds.
pub(super) fn start_holding() -> (Daemon, Arc<HeldRequests>) {
    let held = Arc::default();
    let (directory, http) = (tempfile::tempdir().unwrap(), free_address());
    leave_table(&directory, start_holding_server(&held));
    let command = serve(&directory, http);
    let daemon = Daemon::run(command, directory, http);
    daemon.until("the service", || fetch(daemon.http, 0).ok());
    (daemon, held)
}

/// Requests that the service has received and holds.
pub(super) fn hold(
    daemon: &Daemon,
    held: &HeldRequests,
    count: usize,
) -> Vec<std::thread::JoinHandle<Result<String, String>>> {
    let address = daemon.http;
    let before = held.received();
    let requests = (0..count).map(|_| std::thread::spawn(move || fetch(address, HELD))).collect();
    daemon.until("the requests", || (held.received() == before + count).then_some(()));
    requests
}

/// A request on a connection of its own that takes this many milliseconds; why it failed.
pub(super) fn fetch(address: SocketAddr, millis: u64) -> Result<String, String> {
    let mut stream =
        TcpStream::connect_timeout(&address, BOUND).map_err(|error| format!("connect: {error}"))?;
    exchange(&mut stream, millis, "connection: close\r\n")
}

/// A request on this connection; the answer must be whole.
pub(super) fn exchange(stream: &mut TcpStream, millis: u64, header: &str) -> Result<String, String> {
    stream.set_read_timeout(Some(BOUND)).unwrap();
    let request = format!("POST /{millis} HTTP/1.1\r\nhost: slow\r\ncontent-length: 3\r\n{header}\r\nabc");
    stream.write_all(request.as_bytes()).map_err(|error| format!("send: {error}"))?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"done") {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).map_err(|error| format!("receive: {error}"))?;
        if count == 0 {
            return Err(format!("end after {:?}", String::from_utf8_lossy(&answer)));
        }
        answer.extend(&bytes[..count]);
    }
    let text = String::from_utf8(answer).unwrap();
    if text.starts_with("HTTP/1.1 200 ") { Ok(text) } else { Err(text) }
}

/// Sends a request; why it failed.
type ClientLoop = Box<dyn FnMut() -> Result<(), String>>;

/// Clients that send until they are stopped: new connections, kept ones, and slow requests.
pub(super) struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<(u64, Vec<String>)>>,
}

impl Clients {
    pub(super) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let mut start = |client: fn(SocketAddr) -> ClientLoop| {
            let stop = Arc::clone(&stop);
            threads.push(std::thread::spawn(move || {
                let mut client = client(address);
                let (mut sent, mut failures) = (0, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    sent += 1;
                    failures.extend(client().err());
                }
                (sent, failures)
            }));
        };
        start(|address| Box::new(move || fetch(address, 0).map(drop)));
        start(|address| Box::new(move || fetch(address, 1).map(drop)));
        start(|address| Box::new(move || fetch(address, 1_500).map(drop)));
        start(|address| Box::new(move || fetch(address, 2_500).map(drop)));
        start(|address| Box::new(kept(address, 1)));
        start(|address| Box::new(kept(address, 700)));
        Self { stop, threads }
    }

    /// The number of requests, and every failure.
    pub(super) fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let ends = self.threads.into_iter().map(|thread| thread.join().unwrap());
        ends.fold((0, Vec::new()), |(sent, mut all), (more, failures)| {
            all.extend(failures);
            (sent + more, all)
        })
    }
}

/// A client that keeps its connection until a response says that it ends.
fn kept(address: SocketAddr, millis: u64) -> impl FnMut() -> Result<(), String> {
    let mut connection = None;
    move || {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => {
                TcpStream::connect_timeout(&address, BOUND).map_err(|error| format!("connect: {error}"))?
            }
        };
        let answer = exchange(&mut stream, millis, "")?;
        if !answer.contains("connection: close") {
            connection = Some(stream);
        }
        Ok(())
    }
}
