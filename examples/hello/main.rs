//! A small HTTP service to try things with: says who it is, and misbehaves on request.
//!
//! | path | answer |
//! | --- | --- |
//! | `/` | version, host and replica as JSON |
//! | `/healthz` | 200, or 503 while `HEALTH_AFTER` seconds have not passed or `HEALTH=fail` |
//! | `/slow?ms=500` | the same as `/`, that much later |
//! | `/status/404` | that status |
//! | `/echo` | the body, as it comes |
//! | `/headers` | the request's headers |
//! | `/big?bytes=1000000` | a body of that size |
//! | `/trickle?ms=2000` | a body whose second half comes that much later |
//! | `/data/NAME` | the file of that name under `DATA` (`/data`); `PUT` writes it |
//! | `/exit?code=3` | none: the process ends with that code |
//! | `/sick?ms=3000` | 200; `/healthz` answers 503 for that long |
//! | `/eat?bytes=100000000` | 200 once so much memory is in use for good |
//!
//! `hello check` asks the one that runs for `/healthz`, for a health check in the container; `hello check 500` does so
//! that many milliseconds later.
//!
//! With `LINES_PORT` it also answers lines on that port, as a small database would: `v1 hello-1-a ping` to `ping`, and to `slow 500`
//! that many milliseconds later.
//!
//! Environment: `PORT` (8080), `LINES_PORT`, `BIND` (0.0.0.0), `EAT_MEMORY=1` (takes memory until it is stopped), `VERSION`, `REPLICA`,
//! `HEALTH`, `HEALTH_AFTER` (seconds), `START_DELAY_MS`, `DATA`,
//! `EXIT_AT_START` (code), `EXIT_UNTIL` (seconds since 1970: exits with 1 before), `IGNORE_SIGTERM=1`, `EXIT_ON_TERM=now` (else requests under way are finished on SIGTERM).

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type Body = BoxBody<Bytes, hyper::Error>;

/// Who this is and how it behaves.
struct Service {
    version: String,
    host: String,
    replica: Option<String>,
    warm: AtomicBool,
    fails: bool,
    sick_until: Mutex<Option<Instant>>,
    eaten: Mutex<Vec<Vec<u8>>>,
}

/// Since 1970.
#[allow(clippy::disallowed_methods)] // a program of its own, with the machine's clock
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some("check") = arguments.first().map(String::as_str) {
        let wait = arguments.get(1).and_then(|ms| ms.parse().ok()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        std::process::exit(check().await?);
    }
    if let Some(code) = number("EXIT_AT_START") {
        say("stopping: EXIT_AT_START is set");
        std::process::exit(code);
    }
    if number::<u64>("EXIT_UNTIL").is_some_and(|until| seconds() < until) {
        say("stopping: the database does not answer");
        std::process::exit(1);
    }
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::time::sleep(Duration::from_millis(number("START_DELAY_MS").unwrap_or(0))).await;

    let service = Arc::new(Service::from_env());
    warm_up(&service);
    if number("EAT_MEMORY") == Some(1) {
        eat_memory();
    }
    let bind = number("BIND").unwrap_or(Ipv4Addr::UNSPECIFIED);
    let address = SocketAddr::from((bind, number("PORT").unwrap_or(8080)));
    let listener = TcpListener::bind(address).await?;
    say(&format!("hello {} listens on {address}", service.version));

    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    if let Some(port) = number("LINES_PORT") {
        let lines = TcpListener::bind(SocketAddr::from((bind, port))).await?;
        tasks.spawn(accept_lines(lines, Arc::clone(&service), tasks.clone(), stop.clone()));
    }
    let ignores_term = std::env::var("IGNORE_SIGTERM").is_ok_and(|v| v == "1");
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tasks.spawn(serve(stream, Arc::clone(&service), stop.clone()));
                }
            }
            _ = term.recv() => if !ignores_term { break },
            _ = interrupt.recv() => break,
        }
    }
    drop(listener);
    if std::env::var("EXIT_ON_TERM").is_ok_and(|v| v == "now") {
        say("stopping at once");
        return Ok(());
    }
    say("stopping once open requests are finished");
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// The exit code of `hello check`; what was answered is printed.
async fn check() -> std::io::Result<i32> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, number("PORT").unwrap_or(8080)));
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    say(answer.split("\r\n\r\n").nth(1).unwrap_or("no answer"));
    Ok(i32::from(!answer.starts_with("HTTP/1.1 200")))
}

fn say(line: &str) {
    // A closed standard output is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Takes memory and uses it until the kernel kills the process.
fn eat_memory() {
    const BITE: usize = 1 << 20;
    say("eating memory");
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    loop {
        // Not zero: untouched pages cost nothing.
        eaten.push(vec![1; BITE]);
        std::hint::black_box(&eaten);
    }
}

fn warm_up(service: &Arc<Service>) {
    if let Some(seconds) = number::<f64>("HEALTH_AFTER").and_then(|s| Duration::try_from_secs_f64(s).ok()) {
        service.warm.store(false, Ordering::Relaxed);
        let service = Arc::clone(service);
        tokio::spawn(async move {
            tokio::time::sleep(seconds).await;
            service.warm.store(true, Ordering::Relaxed);
        });
    }
}

async fn serve(stream: TcpStream, service: Arc<Service>, stop: CancellationToken) {
    let answer = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that goes away in the middle is its own business.
    drop(result);
}

async fn accept_lines(
    listener: TcpListener,
    service: Arc<Service>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        if let Ok((stream, _)) = accepted {
            let (service, stop) = (Arc::clone(&service), stop.clone());
            tasks.spawn(async move {
                if let Err(error) = serve_lines(stream, &service, &stop).await {
                    say(&format!("a client of the lines left: {error}"));
                }
            });
        }
    }
}

/// Answers line after line; once it is to stop, the one that it has begun is the last.
async fn serve_lines(
    mut stream: TcpStream,
    service: &Service,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = stop.run_until_cancelled(lines.next_line()).await {
        let Some(line) = line? else { break };
        let wait = line.strip_prefix("slow ").and_then(|ms| ms.parse().ok()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let replica = service.replica.as_deref().unwrap_or(&service.host);
        write.write_all(format!("{} {replica} {line}\n", service.version).as_bytes()).await?;
    }
    write.shutdown().await
}

impl Service {
    fn from_env() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            version: std::env::var("VERSION").unwrap_or_else(|_| "dev".to_owned()),
            host: host.trim().to_owned(),
            replica: std::env::var("REPLICA").ok(),
            warm: AtomicBool::new(true),
            fails: std::env::var("HEALTH").is_ok_and(|v| v == "fail"),
            sick_until: Mutex::default(),
            eaten: Mutex::default(),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let query = query(request.uri().query().unwrap_or(""));
        let asked = |name: &str| query.get(name).and_then(|v| v.parse::<u64>().ok());
        match request.uri().path() {
            "/" => json(&self.identity()),
            "/healthz" if self.fails => text(StatusCode::SERVICE_UNAVAILABLE, "set to fail"),
            "/healthz" if !self.warm.load(Ordering::Relaxed) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "warming cache")
            }
            "/healthz" if self.is_sick() => text(StatusCode::SERVICE_UNAVAILABLE, "sick"),
            "/healthz" => text(StatusCode::OK, "ok"),
            "/sick" => {
                let until = Instant::now() + Duration::from_millis(asked("ms").unwrap_or(1000));
                *lock(&self.sick_until) = Some(until);
                text(StatusCode::OK, "sick\n")
            }
            "/eat" => {
                // Pages that were never written to cost nothing.
                let size = usize::try_from(asked("bytes").unwrap_or(1 << 20)).unwrap_or(usize::MAX);
                lock(&self.eaten).push(vec![1; size]);
                text(StatusCode::OK, "eaten\n")
            }
            "/slow" => {
                tokio::time::sleep(Duration::from_millis(asked("ms").unwrap_or(1000))).await;
                json(&self.identity())
            }
            "/echo" => Response::new(request.into_body().boxed()),
            "/headers" => json(&headers(&request)),
            "/big" => Response::new(big(asked("bytes").unwrap_or(1 << 20))),
            "/trickle" => Response::new(trickle(Duration::from_millis(asked("ms").unwrap_or(1000)))),
            "/exit" => {
                say("stopping: exit requested");
                std::process::exit(asked("code").and_then(|c| i32::try_from(c).ok()).unwrap_or(1))
            }
            path if path.starts_with("/data/") => data(request).await,
            path => {
                let status = path.strip_prefix("/status/").and_then(|code| code.parse::<StatusCode>().ok());
                text(status.unwrap_or(StatusCode::NOT_FOUND), "as you like\n")
            }
        }
    }

    fn is_sick(&self) -> bool {
        lock(&self.sick_until).is_some_and(|until| Instant::now() < until)
    }

    fn identity(&self) -> serde_json::Value {
        serde_json::json!({ "version": self.version, "host": self.host, "replica": self.replica })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn query(text: &str) -> HashMap<&str, String> {
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k, v.to_owned())).collect()
}

fn headers(request: &Request<Incoming>) -> serde_json::Value {
    let value = |v: &http::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
    let all = request.headers().iter().map(|(name, v)| serde_json::json!([name.as_str(), value(v)]));
    serde_json::json!({ "method": request.method().as_str(), "headers": all.collect::<Vec<_>>() })
}

/// Reads or writes a file; only its name counts, so nothing outside of the directory can be had.
async fn data(request: Request<Incoming>) -> Response<Body> {
    let directory = std::env::var("DATA").unwrap_or_else(|_| "/data".to_owned());
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    let file = std::path::Path::new(&directory).join(name);
    let done = if request.method() == http::Method::PUT {
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        std::fs::write(file, &body).map(|()| body)
    } else {
        std::fs::read(file).map(Bytes::from)
    };
    match done {
        Ok(bytes) => Response::new(full(bytes)),
        Err(error) => {
            let mut response = Response::new(full(error.to_string()));
            *response.status_mut() = match error.kind() {
                std::io::ErrorKind::NotFound => StatusCode::NOT_FOUND,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            response
        }
    }
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

fn text(status: StatusCode, body: &'static str) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response
}

fn json(value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string()));
    let kind = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// The two halves of a body, with a pause between them.
fn trickle(pause: Duration) -> Body {
    let halves = futures::stream::unfold(0, move |sent| async move {
        if sent == 1 {
            tokio::time::sleep(pause).await;
        }
        (sent < 2).then(|| (Ok(Frame::data(Bytes::from_static(b"half\n"))), sent + 1))
    });
    streamed(halves)
}

fn big(bytes: u64) -> Body {
    const CHUNK: u64 = 64 * 1024;
    let chunks = futures::stream::unfold(bytes, |left| async move {
        let size = usize::try_from(left.min(CHUNK)).unwrap_or(0);
        let chunk = Bytes::from_static(&[b'x'; CHUNK as usize]).slice(..size);
        (left > 0).then(|| (Ok(Frame::data(chunk)), left.saturating_sub(CHUNK)))
    });
    streamed(chunks)
}

fn streamed(
    frames: impl futures::Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send + Sync + 'static,
) -> Body {
    StreamBody::new(frames).boxed()
}
