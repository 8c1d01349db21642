//! HTTPS on the real Engine: certificates from files and from the local CA, what breaks them, reloads under load.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::daemon::{Daemon, PATIENCE, free_port, wait_for};

/// A daemon with an HTTPS address.
pub(crate) fn start() -> (Daemon, SocketAddr) {
    let https = free_port();
    let address: &'static str = Box::leak(https.to_string().into_boxed_str());
    (Daemon::start_with(&["--https", address]), https)
}

/// Writes a certificate for a host that signs itself, and its key, unless there is no path for one; returns the certificate.
pub(crate) fn write_pair(host: &str, cert: Option<&Path>, key: Option<&Path>) -> String {
    let pair = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("a host");
    let pem = params.self_signed(&pair).expect("a certificate").pem();
    if let Some(cert) = cert {
        fs::write(cert, &pem).expect("the certificate is written");
    }
    if let Some(key) = key {
        fs::write(key, pair.serialize_pem()).expect("the key is written");
    }
    pem
}

/// A client that trusts this authority alone.
#[derive(Clone)]
pub(crate) struct HttpsClient {
    address: SocketAddr,
    host: &'static str,
    config: Arc<ClientConfig>,
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

impl HttpsClient {
    pub(crate) fn new(address: SocketAddr, host: &'static str, trusted: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(trusted.as_bytes()).expect("a certificate");
        roots.add(certificate).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
        Self { address, host, config: Arc::new(config) }
    }

    fn connect(&self) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(self.host).map_err(std::io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(&self.config), name).map_err(std::io::Error::other)?;
        Ok(StreamOwned::new(session, stream))
    }

    /// The whole response to a request on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> std::io::Result<String> {
        let mut connection = self.connect()?;
        let host = self.host;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn is_answered(&self) -> bool {
        self.get("/").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
    }
}

fn manifest(image: &str, tls: &str) -> String {
    format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: hello, app: office}}\nspec:\n  image: {image}\n  port: 8080\n  \
         health: /healthz\n  route: [{{host: hello.test, tls: {tls}, hsts: {{maxAge: 1d}}}}]\n  rollout: {{healthyFor: 200ms}}\n"
    )
}

fn state_of(daemon: &Daemon) -> (String, String) {
    let list = daemon.json(&["get", "certificates", "-o", "json"]);
    let status = &list["items"][0]["status"];
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

#[test]
fn certificate_of_files_serves_until_a_better_one_is_there() {
    let (mut daemon, https) = start();
    let image = daemon.image("v1");
    let [cert, key] = [daemon.file("hello.pem", ""), daemon.file("hello.key", "")];
    let (cert_path, key_path) = (Path::new(&cert), Path::new(&key));
    let file = daemon.file("app.yaml", &manifest(&image, &format!("{{cert: {cert}, key: {key}}}")));

    let (_, refused) = daemon.expect(2, &["apply", "-f", &file]);
    assert!(refused.contains("holds no certificate") && refused.contains(&cert), "{refused}");
    let first = write_pair("hello.test", Some(cert_path), Some(key_path));
    write_pair("hello.test", None, Some(key_path));
    let (_, refused) = daemon.expect(2, &["apply", "-f", &file]);
    assert!(refused.contains("does not match the key"), "{refused}");
    let trusted = write_pair("hello.test", Some(cert_path), Some(key_path));
    assert_ne!(first, trusted);
    daemon.expect(0, &["apply", "-f", &file]);
    let client = HttpsClient::new(https, "hello.test", &trusted);
    wait_for("HTTPS", || client.is_answered());
    let answer = client.get("/").expect("an answer");
    assert!(answer.contains("strict-transport-security: max-age=86400"), "{answer}");
    assert_eq!(state_of(&daemon).0, "Valid");
    let redirect = daemon.get("hello.test", "/a?b").expect("an answer");
    assert_eq!(redirect.0, 308, "{redirect:?}");

    // the key is gone, and then the daemon starts without it
    fs::remove_file(key_path).expect("a file");
    wait_for("the loss is shown", || state_of(&daemon).0 == "Stale");
    assert!(state_of(&daemon).1.contains(&format!("cannot read {key}")), "{:?}", state_of(&daemon));
    let (why, _) = daemon.expect(0, &["why", "hello"]);
    assert!(why.contains("HTTPS of hello.test: cannot read"), "{why}");
    let (events, _) = daemon.expect(0, &["events", "hello"]);
    assert!(events.contains("CertificateInvalid"), "{events}");
    assert!(client.is_answered());
    // a release is not held up by it
    daemon.expect(0, &["rollout", "restart", "hello"]);
    daemon.kill_supervisor();
    wait_for("HTTPS after a restart", || client.is_answered());

    let renewed = write_pair("hello.test", Some(cert_path), Some(key_path));
    let client = HttpsClient::new(https, "hello.test", &renewed);
    wait_for("the new certificate", || client.is_answered());
    wait_for("it is shown", || state_of(&daemon) == ("Valid".to_owned(), String::new()));
    let (events, _) = daemon.expect(0, &["events", "hello"]);
    assert!(events.contains("CertificateLoaded"), "{events}");
    check_that_the_key_is_secret(&daemon, key_path);
}

/// The key is in no answer and no log, and in no file that others can read.
fn check_that_the_key_is_secret(daemon: &Daemon, key: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let key = fs::read_to_string(key).expect("the key");
    let secret = key.lines().nth(1).expect("a line of the key");
    for command in [
        &["get", "certificates", "-o", "yaml"][..],
        &["get", "services", "-o", "json"],
        &["get", "revisions", "-o", "json"],
        &["describe", "hello"],
    ] {
        let (printed, _) = daemon.expect(0, command);
        assert!(!printed.contains(secret), "{command:?}");
    }
    let mut folders = vec![daemon.state(), daemon.state().parent().expect("a folder").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let found = entry.metadata().expect("an entry");
            let name = entry.file_name();
            if found.is_dir() && folder.starts_with(daemon.state()) {
                folders.push(entry.path());
            } else if found.is_file() && name != "hello.key" {
                let bytes = fs::read(entry.path()).expect("a file");
                let has_key = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                let is_private = found.permissions().mode() & 0o077 == 0;
                assert!(!has_key || is_private, "{}", entry.path().display());
            }
        }
    }
}

#[test]
fn local_authority_issues_for_private_names_and_is_printed() {
    let (daemon, https) = start();
    let image = daemon.image("v1");
    daemon.expect(2, &["certificate", "trust"]);
    let file = daemon.file("app.yaml", &manifest(&image, "auto"));
    daemon.expect(0, &["apply", "-f", &file]);
    wait_for("a certificate", || state_of(&daemon).0 == "Valid");
    let (authority, instructions) = daemon.expect(0, &["certificate", "trust"]);
    assert!(instructions.contains("--install"), "{instructions}");
    let client = HttpsClient::new(https, "hello.test", &authority);
    wait_for("HTTPS", || client.is_answered());
    daemon.expect(0, &["verify", "hello", "-y", "--step", "restart"]);
    let other = HttpsClient::new(https, "other.test", &authority);
    let refused = other.get("/").expect_err("no certificate is for it").to_string();
    assert!(refused.contains("UnrecognisedName"), "{refused}");
}

#[test]
fn daemon_without_https_refuses_a_route_with_tls() {
    let daemon = Daemon::start();
    let image = daemon.image("v1");
    let file = daemon.file("app.yaml", &manifest(&image, "auto"));
    let (_, refused) = daemon.expect(2, &["apply", "-f", &file]);
    assert!(refused.contains("the daemon serves no HTTPS"), "{refused}");
}

/// Sends requests until it is stopped: on one connection as long as it is kept, or on a new one each.
fn load(client: &HttpsClient, is_kept: bool, stop: &Arc<AtomicBool>) -> JoinHandle<(Vec<String>, usize)> {
    let (client, stop) = (client.clone(), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut failures = Vec::new();
        let mut successes = 0;
        let mut open: Option<Connection> = None;
        while !stop.load(Ordering::Relaxed) {
            let kept = open.take().filter(|_| is_kept).map_or_else(|| client.connect(), Ok);
            match kept.and_then(|mut connection| Ok((request(&mut connection)?, connection))) {
                Ok((is_last, connection)) => {
                    successes += 1;
                    open = Some(connection).filter(|_| !is_last);
                }
                Err(error) => failures.push(error.to_string()),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        (failures, successes)
    })
}

/// Whether the connection ends with the response, whose body is what its length says.
fn request(connection: &mut Connection) -> std::io::Result<bool> {
    connection.write_all(b"GET / HTTP/1.1\r\nHost: hello.test\r\n\r\n")?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        return Err(std::io::Error::other(head));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    Ok(head.contains("connection: close"))
}

#[test]
fn reload_under_https_load_loses_no_request() {
    let (daemon, https) = start();
    let image = daemon.image("v1");
    let file = daemon.file("app.yaml", &manifest(&image, "auto"));
    daemon.expect(0, &["apply", "-f", &file]);
    wait_for("a certificate", || state_of(&daemon).0 == "Valid");
    let (authority, _) = daemon.expect(0, &["certificate", "trust"]);
    let client = HttpsClient::new(https, "hello.test", &authority);
    wait_for("HTTPS", || client.is_answered());
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = [true, true, false, false].iter().map(|kept| load(&client, *kept, &stop)).collect();
    for _ in 0..3 {
        daemon.expect(0, &["reload"]);
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let (failures, successes) = client.join().expect("a client");
        assert!(failures.is_empty() && successes > 50, "{successes} succeeded, {failures:?}");
    }
}
