//! A balancer in this process, with the controller's end of its plane and backends of the test's own.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use coxswain::balancer::{
    self, AcceptSocket, BalancerConfig, BalancerError, BalancerLimits, DrainReason, SocketChange,
};
use coxswain::clock::{Clock, RealClock, VirtualClock};
use coxswain::model::{
    BalancerReport, BalancerReports, EndpointId, EndpointVia, Epoch, ForwardAction, HostPattern, Listener,
    ListenerId, Millis, PathMatch, ProtocolKind, RevisionNumber, RouteAction, RouteFilters, RouteHttps,
    RouteWaits, RoutingTable, TableEndpoint, TableName, TableRoute, TableService, TrustedProxies,
    WeightedBackend,
};
use coxswain::plane::PlaneServer;
use coxswain::testing;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longest wait for a value that must come, on a busy machine too; shorter than the 60 s after which the balancer closes an
/// idle connection to an endpoint on its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(50);

/// How a balancer is started.
pub(crate) struct Setup {
    pub(crate) threads: usize,
    pub(crate) limits: BalancerLimits,
    pub(crate) trusted_proxies: TrustedProxies,
    /// Whether there is a controller.
    pub(crate) controller: bool,
    /// What the controller has published before the balancer starts.
    pub(crate) first_table: Option<RoutingTable>,
    pub(crate) boot: &'static str,
    /// Where the table file lies; a directory of its own if not given.
    pub(crate) directory: Option<PathBuf>,
    /// A socket of one more thread.
    pub(crate) extra_socket: Option<std::net::TcpListener>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Setup {
    /// One thread, whose connections to endpoints can therefore be counted, and a stopped clock: however slow
    /// the machine is, no ejection ends and no connection gets old.
    pub(crate) fn still() -> Self {
        Self { threads: 1, clock: Arc::new(VirtualClock::new(1)), ..Self::default() }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            threads: 2,
            limits: BalancerLimits::default(),
            trusted_proxies: TrustedProxies::default(),
            controller: true,
            first_table: None,
            boot: "boot-1",
            directory: None,
            extra_socket: None,
            clock: Arc::new(RealClock::new()),
        }
    }
}

/// A running balancer.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    /// The socket at which it looks for a controller.
    pub(crate) plane: PathBuf,
    /// What the supervisor delivers.
    pub(crate) sockets: mpsc::Sender<SocketChange>,
    /// What the controller publishes.
    pub(crate) tables: watch::Sender<Option<Arc<RoutingTable>>>,
    /// What the balancer said last.
    pub(crate) reports: watch::Receiver<BalancerReports>,
    /// How many watch the counters: one from the start.
    pub(crate) watchers: watch::Sender<usize>,
    pub(crate) heartbeats: Arc<AtomicUsize>,
    drain: watch::Sender<Option<DrainReason>>,
    _controller: DropGuard,
    thread: Option<std::thread::JoinHandle<Result<(), BalancerError>>>,
    _directory: tempfile::TempDir,
}

impl Balancer {
    /// A balancer on a free port of the loopback address.
    pub(crate) async fn start(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("plane.sock");
        let (tables, tables_rx) = watch::channel(setup.first_table.map(Arc::new));
        let (watchers, watchers_rx) = watch::channel(1);
        let (reports_tx, reports) = watch::channel(testing::reports(None));
        let controller = CancellationToken::new();
        if setup.controller {
            let listener = UnixListener::bind(&socket).unwrap();
            let server = PlaneServer {
                tables: tables_rx,
                metrics_subscribers: watchers_rx,
                reports: reports_tx,
                running: testing::running(&["local"]),
            };
            tokio::spawn(server.serve(listener, controller.clone()));
        }
        let first = reuse_port("127.0.0.1:0".parse().unwrap());
        let address = first.local_addr().unwrap();
        let mut accepting = vec![first];
        accepting.resize_with(setup.threads, || reuse_port(address));
        accepting.extend(setup.extra_socket);
        let threads = accepting.len();
        let (sockets, sockets_rx) = mpsc::channel(16);
        for (thread, socket) in accepting.into_iter().enumerate() {
            sockets.send(open_socket(ListenerId::public_http(), thread, socket)).await.unwrap();
        }
        let heartbeats = Arc::new(AtomicUsize::new(0));
        let beats = Arc::clone(&heartbeats);
        let (drain, drain_rx) = watch::channel(None);
        let file = setup.directory.unwrap_or_else(|| directory.path().to_owned()).join("table");
        let config = BalancerConfig {
            id: testing::balancer(),
            threads,
            sockets: sockets_rx,
            plane: socket.clone(),
            table_file: file,
            boot_id: setup.boot.to_owned(),
            clock: setup.clock,
            limits: setup.limits,
            trusted_proxies: setup.trusted_proxies,
            on_thread: || {},
            heartbeat: Box::new(move |_| {
                beats.fetch_add(1, Ordering::Relaxed);
            }),
            drain: drain_rx,
        };
        let thread = std::thread::spawn(move || balancer::run(config));
        Self {
            address,
            plane: socket,
            sockets,
            tables,
            reports,
            watchers,
            heartbeats,
            drain,
            _controller: controller.drop_guard(),
            thread: Some(thread),
            _directory: directory,
        }
    }

    /// Publishes a table and waits until it is acknowledged.
    pub(crate) async fn publish(&mut self, table: RoutingTable) {
        let name = table.name.clone();
        self.tables.send_replace(Some(Arc::new(table)));
        self.until(|report| report.applied.as_ref().is_some_and(|applied| applied.covers(&name))).await;
    }

    /// The first report that is as wanted.
    pub(crate) async fn until(&mut self, mut wanted: impl FnMut(&BalancerReport) -> bool) -> BalancerReport {
        let found = self.reports.wait_for(|reports| reports.connected().any(|(_, report)| wanted(report)));
        let reports = tokio::time::timeout(PATIENCE, found).await.expect("the report came in time").unwrap();
        let (_, report) = reports.connected().next().unwrap();
        report.clone()
    }

    /// Asks it to drain.
    pub(crate) fn drain(&self, reason: DrainReason) {
        self.drain.send_replace(Some(reason));
    }

    /// Stops it and waits for its end.
    pub(crate) async fn stop(mut self) {
        self.drain.send_replace(Some(DrainReason::Stopped));
        self.ended().await.unwrap();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(std::thread::JoinHandle::is_finished)
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> Result<(), BalancerError> {
        let thread = self.thread.take().unwrap();
        let ended = tokio::task::spawn_blocking(move || thread.join().unwrap());
        tokio::time::timeout(PATIENCE, ended).await.expect("the balancer ended in time").unwrap()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.drain.send_replace(Some(DrainReason::Stopped));
    }
}

pub(crate) fn open_socket(
    listener: ListenerId,
    thread: usize,
    socket: std::net::TcpListener,
) -> SocketChange {
    SocketChange::Open { thread, socket: AcceptSocket { listener, protocol: ProtocolKind::Http, socket } }
}

/// Gives the balancer the sockets of a TCP listener with this id; returns its address.
pub(crate) async fn listen_for_tcp(balancer: &Balancer, id: &ListenerId, threads: usize) -> SocketAddr {
    listen(balancer, id, ProtocolKind::Tcp, threads).await
}

/// Gives the balancer the sockets of a listener; returns its address.
pub(crate) async fn listen(
    balancer: &Balancer,
    id: &ListenerId,
    protocol: ProtocolKind,
    threads: usize,
) -> SocketAddr {
    let first = reuse_port("127.0.0.1:0".parse().unwrap());
    let address = first.local_addr().unwrap();
    let mut sockets = vec![first];
    sockets.resize_with(threads, || reuse_port(address));
    for (thread, socket) in sockets.into_iter().enumerate() {
        let socket = AcceptSocket { listener: id.clone(), protocol, socket };
        balancer.sockets.send(SocketChange::Open { thread, socket }).await.unwrap();
    }
    address
}

pub(crate) fn reuse_port(address: SocketAddr) -> std::net::TcpListener {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(1024).unwrap();
    socket.into()
}

/// A backend: an endpoint's name and address.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    via: EndpointVia,
    /// Whether the table says that it speaks HTTP/2.
    speaks_http2: bool,
    /// Connections accepted so far.
    pub(crate) accepted: Arc<AtomicUsize>,
    _task: Arc<AbortOnDrop>,
}

#[derive(Debug)]
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Backend {
    /// Runs `talk` for each connection.
    pub(crate) async fn raw<F, Talk>(name: &str, talk: F) -> Self
    where
        F: Fn(TcpStream, usize) -> Talk + Send + 'static,
        Talk: Future<Output = ()> + Send + 'static,
    {
        Self::raw_via(EndpointVia::Direct, name, talk).await
    }

    /// As [`Self::raw`], as behind Docker's proxy of a published port.
    pub(crate) async fn published<F, Talk>(name: &str, talk: F) -> Self
    where
        F: Fn(TcpStream, usize) -> Talk + Send + 'static,
        Talk: Future<Output = ()> + Send + 'static,
    {
        Self::raw_via(EndpointVia::DockerProxy, name, talk).await
    }

    async fn raw_via<F, Talk>(via: EndpointVia, name: &str, talk: F) -> Self
    where
        F: Fn(TcpStream, usize) -> Talk + Send + 'static,
        Talk: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(talk(stream, counter.fetch_add(1, Ordering::SeqCst)));
            }
        });
        let task = Arc::new(AbortOnDrop(task.abort_handle()));
        Self { name: name.into(), address, via, speaks_http2: false, accepted, _task: task }
    }

    /// Answers each request with what `answer` makes of it.
    pub(crate) async fn http<F, Answer>(name: &str, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Answer + Clone + Send + 'static,
        Answer: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Self::raw(name, move |stream, _| {
            let answer = answer.clone();
            async move {
                let service = service_fn(move |request| {
                    let response = answer(request);
                    async move { Ok::<_, Infallible>(response.await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // the balancer may leave at any time
                let _ = connection.await;
            }
        })
        .await
    }

    /// Answers with its name and how it saw the request.
    pub(crate) async fn echo(name: &str) -> Self {
        let own = name.to_owned();
        Self::http(name, move |request| {
            let own = own.clone();
            async move {
                let (head, body) = request.into_parts();
                let mut text = format!("{own} {} {}\n", head.method, head.uri);
                for (name, value) in &head.headers {
                    text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
                }
                let body = body.collect().await.unwrap().to_bytes();
                text.push_str(&format!("\n{}", String::from_utf8_lossy(&body)));
                Response::new(text.into())
            }
        })
        .await
    }

    /// The table says that it speaks HTTP/2.
    pub(crate) fn declared_h2c(self) -> Self {
        Self { speaks_http2: true, ..self }
    }

    /// A backend without a listener.
    pub(crate) async fn absent(name: &str) -> Self {
        let backend = Self::raw(name, |_, _| async {}).await;
        backend._task.0.abort();
        while TcpStream::connect(backend.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        backend
    }

    pub(crate) fn id(&self) -> EndpointId {
        EndpointId::new(&self.name.as_str().into(), jiff::Timestamp::UNIX_EPOCH)
    }

    fn endpoint(&self) -> TableEndpoint {
        let ports = [("http".to_owned(), self.address.port())].into();
        let replica = self.name.as_str().into();
        let managed = TableEndpoint::managed(self.id(), replica, RevisionNumber(1), self.address.ip(), ports);
        let http2_ports = if self.speaks_http2 { ["http".to_owned()].into() } else { [].into() };
        TableEndpoint { via: self.via, http2_ports, ..managed }
    }
}

/// A route to a service's port `http`, whose requests do not wait for an endpoint.
pub(crate) fn route(host: Option<&str>, path: &str, service: &str) -> TableRoute {
    TableRoute {
        listeners: [ListenerId::public_http()].into(),
        hosts: [host.map_or(HostPattern::Any, |host| host.parse().unwrap())].into(),
        path: PathMatch::Prefix(path.into()),
        conditions: [].into(),
        action: RouteAction::Forward(ForwardAction {
            backends: vec![WeightedBackend { service: service.into(), port: "http".into(), weight: 1 }],
            timeout: Millis::secs(10),
            strip_prefix: false,
            waits: RouteWaits { hold: Millis(0), ..RouteWaits::default() },
            https: RouteHttps::default(),
        }),
        filters: RouteFilters::default(),
    }
}

/// The route with something about its forwarding changed.
pub(crate) fn route_with(mut route: TableRoute, change: impl FnOnce(&mut ForwardAction)) -> TableRoute {
    if let RouteAction::Forward(forward) = &mut route.action {
        change(forward);
    }
    route
}

/// A table of epoch 1 with the public listener.
pub(crate) fn table(revision: u64, routes: &[TableRoute], services: &[(&str, &[&Backend])]) -> RoutingTable {
    let service = |backends: &[&Backend]| TableService {
        endpoints: backends.iter().map(|b| b.endpoint()).collect(),
        ..TableService::default()
    };
    RoutingTable {
        name: TableName { store: "s".into(), epoch: Epoch(1), revision },
        listeners: [(ListenerId::public_http(), Listener::PUBLIC_HTTP)].into(),
        routes: routes.to_vec(),
        services: services.iter().map(|(name, backends)| ((*name).into(), service(backends))).collect(),
        certificates: [].into(),
    }
}

/// A table with one service behind every path of every host.
pub(crate) fn simple(revision: u64, backends: &[&Backend]) -> RoutingTable {
    table(revision, &[route(None, "/", "web")], &[("web", backends)])
}

/// Sends bytes on a connection of its own and returns all that comes back until the balancer ends it.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // a reset after the answer is an end too
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the connection ended in time");
    String::from_utf8_lossy(&answer).into_owned()
}

/// GET on a connection of its own.
pub(crate) async fn get(address: SocketAddr, host: &str, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// A client that keeps its connection.
pub(crate) struct Client {
    sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    /// Status and body.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<(u16, String), hyper::Error> {
        self.sender.ready().await?;
        let request = Request::builder().method(method).uri(path).header("host", "web");
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Reads a request's head from a raw connection; `None` where the peer ends it first.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}
