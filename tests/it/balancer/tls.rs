//! HTTPS over real sockets, with a client that checks certificates.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coxswain::balancer::{BalancerLimits, DrainReason};
use coxswain::model::{
    ConnectionStats, Listener, ListenerId, PrivateKeyPem, ProtocolKind, RouteHttps, RoutingTable, TableRoute,
    TlsCertificate,
};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::harness::{
    Backend, Balancer, PATIENCE, Setup, exchange, listen, read_head, route, route_with, status, table,
};

/// A certificate for these names, and what a client that trusts it has.
struct Site {
    certificate: TlsCertificate,
    roots: RootCertStore,
}

impl Site {
    fn new(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem();
        let mut roots = RootCertStore::empty();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()).unwrap();
        let key = PrivateKeyPem::new(key.serialize_pem());
        Self { certificate: TlsCertificate { chain: chain.into(), key }, roots }
    }

    fn config(&self, alpn: &[&[u8]], versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }

    async fn connect(
        &self,
        address: SocketAddr,
        name: &'static str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        connect(address, name, self.config(&[b"http/1.1"], rustls::ALL_VERSIONS)).await
    }
}

async fn connect(
    address: SocketAddr,
    name: &'static str,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name).unwrap();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream);
    tokio::time::timeout(PATIENCE, connected).await.expect("the handshake ends in time")
}

/// A balancer with an HTTPS listener.
struct Secure {
    balancer: Balancer,
    https: SocketAddr,
}

impl Secure {
    async fn start(setup: Setup) -> Self {
        let threads = setup.threads;
        let balancer = Balancer::start(setup).await;
        let https = listen(&balancer, &ListenerId::public_https(), ProtocolKind::Https, threads).await;
        Self { balancer, https }
    }

    /// One service behind all hosts, with these certificates; requests without TLS are redirected.
    fn table(&self, revision: u64, backend: &Backend, certificates: &[(&str, &Site)]) -> RoutingTable {
        let https = RouteHttps { redirect: true, hsts: Some("max-age=60".to_owned()) };
        let secured = route_with(route(None, "/", "web"), |forward| forward.https = https);
        let listeners = [ListenerId::public_http(), ListenerId::public_https()].into();
        let secured = TableRoute { listeners, ..secured };
        let mut table = table(revision, &[secured], &[("web", &[backend])]);
        table.listeners.insert(ListenerId::public_https(), Listener::public_https(self.https.port()));
        let certificates = certificates.iter();
        table.certificates =
            certificates.map(|(host, site)| (host.parse().unwrap(), site.certificate.clone())).collect();
        table
    }

    async fn publish(&mut self, table: RoutingTable) {
        self.balancer.publish(table).await;
    }
}

/// Sends a request and reads until the other side ends its stream.
async fn answer(mut stream: TlsStream<TcpStream>, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // an end without close_notify is an error
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

fn get(host: &str) -> String {
    format!("GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn client_gets_the_certificate_of_the_name_that_it_asks_for() {
    let [shop, wild] = [Site::new(&["shop.test"]), Site::new(&["*.shop.test"])];
    let backend = Backend::echo("web").await;
    let mut secure = Secure::start(Setup::default()).await;
    secure.publish(secure.table(1, &backend, &[("shop.test", &shop), ("*.shop.test", &wild)])).await;
    for (site, name) in [(&shop, "shop.test"), (&shop, "SHOP.test"), (&wild, "a.shop.test")] {
        let stream = site.connect(secure.https, name).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = answer(stream, &get(name)).await;
        assert!(
            answer.contains("web GET /x") && answer.contains("strict-transport-security: max-age=60"),
            "{answer}"
        );
    }
    let a = Site::new(&["a.shop.test"]);
    secure.publish(secure.table(2, &backend, &[("a.shop.test", &a), ("*.shop.test", &wild)])).await;
    assert!(a.connect(secure.https, "a.shop.test").await.is_ok(), "the exact name goes first");
    assert!(wild.connect(secure.https, "b.shop.test").await.is_ok());
    secure.publish(secure.table(3, &backend, &[("shop.test", &shop)])).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = connect(secure.https, "shop.test", shop.config(&[], &[version])).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(status(&answer(stream, &get("shop.test")).await), 200);
    }
}

#[tokio::test]
async fn client_that_prefers_http2_gets_it_over_tls_with_the_same_rules() {
    let shop = Site::new(&["shop.test"]);
    let other = Site::new(&["other.test"]);
    let backend = Backend::echo("web").await;
    let mut secure = Secure::start(Setup::default()).await;
    secure.publish(secure.table(1, &backend, &[("shop.test", &shop), ("other.test", &other)])).await;
    let config = shop.config(&[b"h2", b"http/1.1"], rustls::ALL_VERSIONS);
    let stream = connect(secure.https, "shop.test", config).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    for (host, code) in [("shop.test", 200), ("other.test", 421), ("shop.test", 200)] {
        let mut sender = sender.clone().ready().await.unwrap();
        let request = http::Request::get(format!("https://{host}/x")).body(()).unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        let response = tokio::time::timeout(PATIENCE, response).await.unwrap().unwrap();
        assert_eq!(response.status(), code, "{host}");
        let hsts = response.headers().get("strict-transport-security");
        assert_eq!(hsts.is_some(), code == 200, "{host}");
    }
    drop(sender);
    secure.balancer.drain(DrainReason::Stopped);
    // GOAWAY, then close_notify
    tokio::time::timeout(PATIENCE, connection).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn unknown_name_gets_an_alert_and_no_certificate() {
    let shop = Site::new(&["shop.test"]);
    let backend = Backend::echo("web").await;
    let mut secure = Secure::start(Setup::default()).await;
    secure.publish(secure.table(1, &backend, &[("shop.test", &shop)])).await;
    for name in ["other.test", "deep.shop.test", "127.0.0.1"] {
        let refused = shop.connect(secure.https, name).await.unwrap_err().to_string();
        assert!(refused.contains("UnrecognisedName"), "{name}: {refused}");
    }
    let refused = connect(secure.https, "shop.test", shop.config(&[b"spdy/3"], rustls::ALL_VERSIONS)).await;
    assert!(refused.unwrap_err().to_string().contains("NoApplicationProtocol"));
    let report = secure.balancer.until(|report| report.connections.failed_handshakes >= 4).await;
    assert_eq!(report.connections, ConnectionStats { failed_handshakes: 4, ..ConnectionStats::default() });
}

#[tokio::test]
async fn plain_http_on_the_https_port_is_answered_in_words() {
    let backend = Backend::echo("web").await;
    let mut secure = Secure::start(Setup::default()).await;
    secure.publish(secure.table(1, &backend, &[])).await;
    let answer = exchange(secure.https, &get("shop.test")).await;
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(answer.contains("this port serves HTTPS"), "{answer}");
}

#[tokio::test]
async fn request_for_a_host_of_another_certificate_is_misdirected() {
    let [shop, other] = [Site::new(&["shop.test", "a.shop.test"]), Site::new(&["other.test"])];
    let backend = Backend::echo("web").await;
    let mut secure = Secure::start(Setup::default()).await;
    let certificates = [("shop.test", &shop), ("*.shop.test", &shop), ("other.test", &other)];
    secure.publish(secure.table(1, &backend, &certificates)).await;
    for (name, host, code) in [
        ("shop.test", "shop.test:8443", 200),
        ("shop.test", "other.test", 421),
        ("shop.test", "unknown.test", 421),
        ("a.shop.test", "b.shop.test", 200),
        ("a.shop.test", "shop.test", 421),
    ] {
        let stream = shop.connect(secure.https, name).await.unwrap();
        let answer = answer(stream, &get(host)).await;
        assert_eq!(status(&answer), code, "{name} {host}: {answer}");
    }
}

#[tokio::test]
async fn service_sees_that_the_client_uses_https() {
    let shop = Site::new(&["shop.test"]);
    let backend = Backend::raw("web", |mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap().to_lowercase();
        let body =
            head.lines().find(|line| line.starts_with("x-forwarded-proto")).unwrap_or("none").to_owned();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let mut secure = Secure::start(Setup::default()).await;
    secure.publish(secure.table(1, &backend, &[("shop.test", &shop)])).await;
    let stream = shop.connect(secure.https, "shop.test").await.unwrap();
    let forged = get("shop.test").replace("Connection", "X-Forwarded-Proto: http\r\nConnection");
    let answer = answer(stream, &forged).await;
    assert!(answer.contains("x-forwarded-proto: https"), "{answer}");
}

#[tokio::test]
async fn request_without_tls_is_redirected_but_for_acme_challenges() {
    let shop = Site::new(&["shop.test"]);
    let backend = Backend::echo("web").await;
    let mut secure = Secure::start(Setup::default()).await;
    secure.publish(secure.table(1, &backend, &[("shop.test", &shop)])).await;
    let port = secure.https.port();
    let request = |method: &str, target: &str| {
        format!(
            "{method} {target} HTTP/1.1\r\nHost: Shop.test:8080\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    };
    for (method, target, location) in [
        ("GET", "/a/../b?c=/d", format!("https://shop.test:{port}/b?c=/d")),
        ("POST", "/", format!("https://shop.test:{port}/")),
    ] {
        let answer = exchange(secure.balancer.address, &request(method, target)).await;
        assert_eq!(status(&answer), 308, "{answer}");
        assert!(answer.contains(&format!("location: {location}\r\n")), "{answer}");
        assert!(!answer.contains("strict-transport-security"), "{answer}");
    }
    let challenge = "/.well-known/acme-challenge/token";
    let answer = exchange(secure.balancer.address, &request("GET", challenge)).await;
    assert!(answer.contains(&format!("web GET {challenge}")), "{answer}");
    assert!(!answer.contains("strict-transport-security"), "{answer}");
}

#[tokio::test]
async fn large_bodies_pass_both_ways_over_a_kept_connection() {
    const LENGTH: usize = 3 << 20;
    let shop = Site::new(&["shop.test"]);
    // sends back what it is sent
    let backend = Backend::raw("web", |mut stream, _| async move {
        loop {
            if read_head(&mut stream).await.is_none() {
                return;
            }
            let mut body = vec![0; LENGTH];
            stream.read_exact(&mut body).await.unwrap();
            stream
                .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n").as_bytes())
                .await
                .unwrap();
            stream.write_all(&body).await.unwrap();
        }
    })
    .await;
    let mut secure = Secure::start(Setup::default()).await;
    secure.publish(secure.table(1, &backend, &[("shop.test", &shop)])).await;
    let stream = shop.connect(secure.https, "shop.test").await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let sent: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
    for _ in 0..3 {
        let head = format!("POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {LENGTH}\r\n\r\n");
        let sending = async {
            write.write_all(head.as_bytes()).await.unwrap();
            write.write_all(&sent).await.unwrap();
            write.flush().await.unwrap();
        };
        let receiving = async {
            let head = read_head(&mut read).await.unwrap();
            assert_eq!(status(&head), 200);
            // slower than it comes
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut body = vec![0; LENGTH];
            read.read_exact(&mut body).await.unwrap();
            body
        };
        let ((), body) =
            tokio::time::timeout(PATIENCE, async { tokio::join!(sending, receiving) }).await.unwrap();
        assert!(body == sent, "the body came back as it was sent");
    }
}

#[tokio::test]
async fn websocket_passes_over_tls_and_is_closed_politely_in_a_drain() {
    const SWITCHED: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    const LENGTH: usize = 1 << 20;
    let shop = Site::new(&["shop.test"]);
    let backend = Backend::raw("web", |mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(SWITCHED).await.unwrap();
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    })
    .await;
    let limits = BalancerLimits { tcp_drain_idle: Duration::from_millis(100), ..BalancerLimits::default() };
    let mut secure = Secure::start(Setup { limits, ..Setup::default() }).await;
    secure.publish(secure.table(1, &backend, &[("shop.test", &shop)])).await;
    let mut stream = shop.connect(secure.https, "shop.test").await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(status(&read_head(&mut stream).await.unwrap()), 101);
    // one binary frame of a MiB, and far more than the buffers of two sockets hold
    let mut frame = vec![0x82, 127];
    frame.extend_from_slice(&(LENGTH as u64).to_be_bytes());
    frame.extend((0..LENGTH).map(|at| (at % 251) as u8));
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = async {
        for _ in 0..8 {
            write.write_all(&frame).await.unwrap();
        }
        write.flush().await.unwrap();
    };
    let receiving = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        for _ in 0..8 {
            let mut back = vec![0; frame.len()];
            read.read_exact(&mut back).await.unwrap();
            assert!(back == frame, "the frame came back as it was sent");
        }
    };
    tokio::time::timeout(PATIENCE, async { tokio::join!(sending, receiving) }).await.unwrap();
    secure.balancer.drain(DrainReason::Stopped);
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, read.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, [0x88, 2, 0x03, 0xe9], "going away, and close_notify");
}

#[tokio::test]
async fn idle_connection_ends_with_close_notify_and_a_cut_response_does_not() {
    let shop = Site::new(&["shop.test"]);
    let backend = Backend::raw("web", |mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap();
        let body = if head.starts_with("GET /half") {
            "content-length: 9\r\n\r\nhalf"
        } else {
            "content-length: 0\r\n\r\n"
        };
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{body}").as_bytes()).await.unwrap();
    })
    .await;
    let limits = BalancerLimits { idle: Duration::from_millis(200), ..BalancerLimits::default() };
    let mut secure = Secure::start(Setup { limits, ..Setup::default() }).await;
    secure.publish(secure.table(1, &backend, &[("shop.test", &shop)])).await;
    for (target, is_polite) in [("/", true), ("/half", false)] {
        let mut stream = shop.connect(secure.https, "shop.test").await.unwrap();
        stream
            .write_all(format!("GET {target} HTTP/1.1\r\nHost: shop.test\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        assert_eq!(ended.is_ok(), is_polite, "{target}: {ended:?}");
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn client_that_stalls_in_its_handshake_is_cut_and_others_are_served_meanwhile() {
    let shop = Site::new(&["shop.test"]);
    let backend = Backend::echo("web").await;
    let mut secure = Secure::start(Setup::default()).await;
    secure.publish(secure.table(1, &backend, &[("shop.test", &shop)])).await;
    let mut stalled = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(secure.https).await.unwrap();
        // the beginning of a record of 512 bytes
        stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        stalled.push(stream);
    }
    let stream = shop.connect(secure.https, "shop.test").await.unwrap();
    assert_eq!(status(&answer(stream, &get("shop.test")).await), 200);
    for mut stream in stalled {
        let mut rest = Vec::new();
        // an end, or a reset
        let _ =
            tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is cut in time");
    }
    secure.balancer.until(|report| report.connections.failed_handshakes == 200).await;
}

#[tokio::test]
async fn new_certificate_serves_new_connections_and_leaves_open_ones_alone() {
    let [old, new] = [Site::new(&["shop.test"]), Site::new(&["shop.test"])];
    let backend = Backend::echo("web").await;
    let mut secure = Secure::start(Setup::default()).await;
    secure.publish(secure.table(1, &backend, &[("shop.test", &old)])).await;
    let kept = old.connect(secure.https, "shop.test").await.unwrap();
    secure.publish(secure.table(2, &backend, &[("shop.test", &new)])).await;
    assert!(old.connect(secure.https, "shop.test").await.is_err());
    let fresh = new.connect(secure.https, "shop.test").await.unwrap();
    for stream in [kept, fresh] {
        assert_eq!(status(&answer(stream, &get("shop.test")).await), 200);
    }
    let broken = Site {
        certificate: TlsCertificate { chain: "no PEM".into(), key: PrivateKeyPem::new("none") },
        ..old
    };
    secure.publish(secure.table(3, &backend, &[("shop.test", &broken)])).await;
    assert!(new.connect(secure.https, "shop.test").await.is_ok(), "the last good one stays");
}

#[tokio::test]
async fn balancer_without_a_controller_serves_tls_from_its_table_file_which_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let shop = Site::new(&["shop.test"]);
    let backend = Backend::echo("web").await;
    let directory = tempfile::tempdir().unwrap();
    let path = Some(directory.path().to_owned());
    let mut first = Secure::start(Setup { directory: path.clone(), ..Setup::default() }).await;
    first.publish(first.table(1, &backend, &[("shop.test", &shop)])).await;
    first.balancer.stop().await;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
    }
    let second = Secure::start(Setup { directory: path, controller: false, ..Setup::default() }).await;
    let stream = shop.connect(second.https, "shop.test").await.unwrap();
    assert_eq!(status(&answer(stream, &get("shop.test")).await), 200);
}
