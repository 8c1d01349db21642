//! Requests from outside, counted by the one who sends them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::Instant;

use crate::http2_load::Http2Client;

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) failures: Vec<String>,
    /// Requests that met no daemon, in one of the [`Outages`]; no failures.
    pub(crate) unmet: u64,
    /// Right answers, by the kind of client.
    pub(crate) answered: std::collections::BTreeMap<String, u64>,
    /// Distinct bodies: they differ between versions.
    pub(crate) bodies: std::collections::BTreeMap<String, u64>,
}

/// Clients that send until they are stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Tally>>,
}

/// When the supervisor was killed, and when the next one served: in between nothing listens. What was sent before must be answered
/// nevertheless, and of an answer that has begun all must come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outages(Arc<Mutex<Vec<Outage>>>);

#[derive(Debug, Clone, Copy)]
struct Outage {
    from: Instant,
    until: Option<Instant>,
}

/// How far a request has come.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    /// Whether its connection was kept from an earlier request, of another balancer perhaps.
    pub(crate) is_reused: bool,
    /// When its head was written.
    pub(crate) sent: Option<Instant>,
    /// Whether anything of an answer has come.
    pub(crate) is_answered: bool,
}

impl Progress {
    /// Of a request that begins.
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), is_reused: false, sent: None, is_answered: false }
    }
}

impl Outages {
    pub(crate) fn begin(&self) {
        self.0.lock().expect("no one panics").push(Outage { from: Instant::now(), until: None });
    }

    /// The daemon serves again.
    pub(crate) fn end(&self) {
        if let Some(last) = self.0.lock().expect("no one panics").last_mut() {
            last.until = Some(Instant::now());
        }
    }

    /// Whether a request failed because nothing listened, or because its connection was closed for that before it came.
    pub(crate) fn excuse(&self, request: &Progress) -> bool {
        let sent = request.sent.unwrap_or_else(Instant::now);
        let meets = |outage: &Outage| {
            let lasts = if request.is_reused { CLOSED_WITHIN } else { ACCEPTED_WITHIN };
            let is_over = |until| request.began > until + lasts;
            sent + ACCEPTED_WITHIN >= outage.from && !outage.until.is_some_and(is_over)
        };
        !request.is_answered && self.0.lock().expect("no one panics").iter().any(meets)
    }

    fn are_none(&self) -> bool {
        self.0.lock().expect("no one panics").is_empty()
    }
}

/// How a client behaves. Unless said otherwise it sends many requests over one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Client {
    /// Many requests over one connection.
    KeepAlive,
    /// A connection for each.
    Fresh,
    /// A body of that many bytes, echoed.
    Post(usize),
    /// The same, in chunks.
    PostChunked(usize),
    /// The same, on a connection for each.
    PostFresh(usize),
    /// An answer that takes that many milliseconds.
    Slow(u64),
    /// A body that is sent over that many milliseconds, echoed as it comes.
    SlowUpload(u64),
    /// An answer of that many bytes.
    Big(usize),
    /// That many requests at a time over one connection in HTTP/2, every other with a body that is echoed.
    Http2(usize),
}

impl Client {
    fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh | Self::PostFresh(_))
    }

    /// Between two requests: an open stream of requests, not a race; and large bodies leave room for the others.
    fn pause(self) -> Duration {
        let bytes = match self {
            Self::Post(bytes) | Self::PostChunked(bytes) | Self::PostFresh(bytes) | Self::Big(bytes) => bytes,
            Self::KeepAlive | Self::Fresh | Self::Slow(_) | Self::SlowUpload(_) | Self::Http2(_) => 0,
        };
        Duration::from_millis(if bytes > LARGE { 250 } else { 2 })
    }
}

/// More than this is a large body.
const LARGE: usize = 100_000;
/// Pieces of a body that is sent slowly, or in chunks.
const PIECES: usize = 30;
/// A request is in the balancer's hands so soon after it was sent.
const ACCEPTED_WITHIN: Duration = Duration::from_millis(500);
/// How long after the daemon serves again the balancer of the earlier one may close a connection on which a client is about to send: it
/// does so after a second without a request, and a client on a busy machine may take seconds between its look at the connection and
/// its first byte.
const CLOSED_WITHIN: Duration = Duration::from_secs(4);
/// After a request that met no daemon: a refused one takes no time.
pub(crate) const UNMET_PAUSE: Duration = Duration::from_millis(100);
/// The longest that an answer may take, or may pause for.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

impl Load {
    /// Two clients of each kind.
    pub(crate) fn start(address: SocketAddr, host: &'static str, kinds: &[Client]) -> Self {
        Self::start_with_outages(address, host, kinds, &Outages::default())
    }

    /// The same, where the daemon is killed meanwhile.
    pub(crate) fn start_with_outages(
        address: SocketAddr,
        host: &'static str,
        kinds: &[Client],
        outages: &Outages,
    ) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = kinds
            .iter()
            .flat_map(|kind| [*kind, *kind])
            .enumerate()
            .map(|(seed, kind)| {
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                let (client, outages) = (LoadClient { address, host, kind, seed }, outages.clone());
                std::thread::spawn(move || client.run(&outages, &stop, &answered))
            })
            .collect();
        Self { stop, answered, clients }
    }

    /// Requests that were answered as they should be, so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// No further request begins. For several loads that end at the same time; [`Self::stop`] waits for each.
    pub(crate) fn wind_down(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stop(self) -> Tally {
        self.wind_down();
        let mut total = Tally::default();
        for client in self.clients {
            total.add(client.join().expect("a client thread"));
        }
        total
    }
}

impl Tally {
    /// What became of both.
    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.failures.extend(other.failures);
        self.unmet += other.unmet;
        for (kind, count) in other.answered {
            *self.answered.entry(kind).or_default() += count;
        }
        for (body, count) in other.bodies {
            *self.bodies.entry(body).or_default() += count;
        }
    }
}

/// One client of a load.
#[derive(Debug, Clone, Copy)]
struct LoadClient {
    address: SocketAddr,
    host: &'static str,
    kind: Client,
    /// Of the bodies that it sends.
    seed: usize,
}

impl LoadClient {
    fn run(self, outages: &Outages, stop: &AtomicBool, answered: &AtomicU64) -> Tally {
        let Self { address, host, kind, seed } = self;
        if let Client::Http2(requests_at_a_time) = kind {
            let client = Http2Client { address, host, seed, requests_at_a_time };
            return client.run(&format!("{kind:?}"), outages, stop, answered);
        }
        let mut tally = Tally::default();
        let mut kept: Option<BufReader<TcpStream>> = None;
        while !stop.load(Ordering::Relaxed) {
            tally.sent += 1;
            let number = tally.sent;
            let mut progress = Progress::begin();
            // idle connections end with a balancer whose supervisor was killed, and only then
            let is_usable = |kept: &BufReader<TcpStream>| outages.are_none() || !is_closed(kept);
            let connection = match kept.take().filter(is_usable) {
                Some(connection) if !kind.is_fresh() => {
                    progress.is_reused = true;
                    Ok(connection)
                }
                _ => connect(address),
            };
            match connection.and_then(|connection| self.exchange(connection, &mut progress)) {
                Ok((body, connection)) => {
                    kept = connection;
                    answered.fetch_add(1, Ordering::Relaxed);
                    *tally.answered.entry(format!("{kind:?}")).or_default() += 1;
                    if let Some(body) = body {
                        *tally.bodies.entry(body).or_default() += 1;
                    }
                }
                Err(_) if outages.excuse(&progress) => {
                    tally.unmet += 1;
                    std::thread::sleep(UNMET_PAUSE);
                }
                Err(error) => {
                    tally
                        .failures
                        .push(format!("{kind:?}, request {number} to {host}: {error}; {progress:?}"));
                }
            }
            std::thread::sleep(kind.pause());
        }
        tally
    }

    /// Sends a request and reads the answer at the same time; an error unless the answer is whole and right.
    fn exchange(
        self,
        mut connection: BufReader<TcpStream>,
        progress: &mut Progress,
    ) -> std::io::Result<Answer> {
        let Self { host, kind, seed, .. } = self;
        let (path, body, pause) = match kind {
            Client::KeepAlive | Client::Fresh | Client::Http2(_) => ("/".to_owned(), Vec::new(), None),
            Client::Slow(ms) => (format!("/slow?ms={ms}"), Vec::new(), None),
            Client::Big(bytes) => (format!("/big?bytes={bytes}"), Vec::new(), None),
            Client::Post(bytes) | Client::PostChunked(bytes) | Client::PostFresh(bytes) => {
                ("/echo".to_owned(), letters(seed, bytes), None)
            }
            Client::SlowUpload(ms) => ("/echo".to_owned(), letters(seed, 1000 * PIECES), Some(ms)),
        };
        let chunked = matches!(kind, Client::PostChunked(_));
        let method = if body.is_empty() { "GET" } else { "POST" };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        match (body.len(), chunked) {
            (0, _) => {}
            (_, true) => head.push_str("Transfer-Encoding: chunked\r\n"),
            (length, false) => head.push_str(&format!("Content-Length: {length}\r\n")),
        }
        head.push_str("\r\n");
        connection.get_mut().write_all(head.as_bytes())?;
        progress.sent = Some(Instant::now());
        let mut writer = connection.get_ref().try_clone()?;
        let (sent, read) = std::thread::scope(|scope| {
            let sending =
                (!body.is_empty()).then(|| scope.spawn(|| send(&mut writer, &body, chunked, pause)));
            let read = read_answer(&mut connection, &mut progress.is_answered);
            (sending.map_or(Ok(()), |sending| sending.join().expect("a sending thread")), read)
        });
        let (status, answer, close) = read?;
        if status != 200 {
            return Err(std::io::Error::other(format!("{status} {}", String::from_utf8_lossy(&answer))));
        }
        sent?;
        let is_right = match kind {
            Client::KeepAlive | Client::Fresh | Client::Slow(_) => {
                serde_json::from_slice::<serde_json::Value>(&answer)
                    .is_ok_and(|json| json["version"].is_string())
            }
            Client::Big(bytes) => answer.len() == bytes && answer.iter().all(|byte| *byte == b'x'),
            _ => answer == body,
        };
        if !is_right {
            return Err(std::io::Error::other(format!("{} bytes that are not the answer", answer.len())));
        }
        let text = matches!(kind, Client::KeepAlive | Client::Fresh | Client::Slow(_))
            .then(|| String::from_utf8_lossy(&answer).into_owned());
        Ok((text, (!close).then_some(connection)))
    }
}

fn connect(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(BufReader::new(stream))
}

/// Whether the other end has closed a connection on which nothing is under way.
fn is_closed(connection: &BufReader<TcpStream>) -> bool {
    let stream = connection.get_ref();
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let waits = matches!(&peeked, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
    !waits || stream.set_nonblocking(false).is_err()
}

/// The text of the response if it identifies the version; the connection if it is kept alive.
type Answer = (Option<String>, Option<BufReader<TcpStream>>);

/// Letters that differ from client to client, so that no client takes another's body for its own.
pub(crate) fn letters(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + u8::try_from((at / 7 + at + 3 * seed) % 26).unwrap_or_default()).collect()
}

/// Sends a body; in pieces where it is to take a while, or is sent in chunks.
fn send(writer: &mut TcpStream, body: &[u8], chunked: bool, over: Option<u64>) -> std::io::Result<()> {
    if !chunked && over.is_none() {
        return writer.write_all(body);
    }
    for piece in body.chunks(body.len().div_ceil(PIECES)) {
        if let Some(ms) = over {
            std::thread::sleep(Duration::from_millis(ms) / u32::try_from(PIECES).unwrap_or(1));
        }
        if chunked {
            writer.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
            writer.write_all(piece)?;
            writer.write_all(b"\r\n")?;
        } else {
            writer.write_all(piece)?;
        }
    }
    if chunked { writer.write_all(b"0\r\n\r\n") } else { Ok(()) }
}

/// Reads an answer: status, body, and whether the connection ends with it.
fn read_answer(
    connection: &mut BufReader<TcpStream>,
    has_begun: &mut bool,
) -> std::io::Result<(u16, Vec<u8>, bool)> {
    let mut line = String::new();
    if connection.fill_buf()?.is_empty() {
        return Err(std::io::Error::other("the connection was closed before an answer"));
    }
    *has_begun = true;
    connection.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("not an answer: {line:?}")))?;
    let (mut length, mut chunked, mut close) = (0, false, false);
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let lower = line.trim_end().to_ascii_lowercase();
        if lower.is_empty() {
            break;
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
        chunked |= lower.starts_with("transfer-encoding:") && lower.contains("chunked");
        close |= lower.starts_with("connection:") && lower.contains("close");
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            line.clear();
            connection.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            let mut chunk = vec![0; size + 2];
            connection.read_exact(&mut chunk)?;
            if size == 0 {
                break;
            }
            body.extend(&chunk[..size]);
        }
    } else {
        body.resize(length, 0);
        connection.read_exact(&mut body)?;
    }
    Ok((status, body, close))
}
