//! The Docker Engine behind the trait: bare calls over its unix socket, each with a deadline.
//!
//! Purpose: send requests and return responses. `translate` converts both, `classify` decides what an error means.
//! Invariants: no call waits without bound, except for the next line of a followed stream; the API version is negotiated
//! again after the Engine was away, since it may have been upgraded.
//! Deliberately absent: retries, TCP and SSH (an Engine is controlled from its own node), decisions.

mod calls;
mod containers;
mod credential_helper;
mod credentials;
mod exec;
mod networks;
mod one_off;
mod streams;

use std::error::Error as _;
use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::EngineError;
use super::classify::{CallFailure, CallObject, classify};

/// Reads and small changes: milliseconds on a healthy Engine, seconds on one with a busy disk.
const QUICK: Duration = Duration::from_secs(10);

/// Creating, starting and removing a container or network: file systems and kernel namespaces, which the Engine handles
/// one at a time.
const SLOW: Duration = Duration::from_secs(60);

/// The client's own timeout, in whole seconds. It covers only headers, and a pull's come when its first layer starts, so it
/// is longer than all of ours.
const CLIENT_TIMEOUT_SECONDS: u64 = 3_600;

/// Where `dockerd` may be installed outside `PATH`.
const DAEMON_DIRS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/snap/bin"];

/// The Docker Engine on this node.
#[derive(Debug)]
pub struct DockerEngine {
    socket: String,
    credentials: Option<PathBuf>,
    client: Mutex<Option<Docker>>,
}

impl DockerEngine {
    /// The Engine behind the socket at this path, with or without `unix://`. It is opened by the first call, so a daemon can
    /// start while Docker is not running.
    pub fn new(socket: &str) -> Self {
        let socket = socket.strip_prefix("unix://").unwrap_or(socket).to_owned();
        Self { socket, credentials: None, client: Mutex::new(None) }
    }

    /// Pulls with the logins of this file, `config.json` of `$DOCKER_CONFIG` or `~/.docker`, or of the credential helpers
    /// that it names. It is read at every pull, so a later `docker login` counts.
    #[must_use]
    pub fn with_credentials_file(mut self, path: PathBuf) -> Self {
        self.credentials = Some(path);
        self
    }

    /// The client of this Engine's API version, from the last call or new.
    async fn client(&self) -> Result<Docker, EngineError> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref() {
            return Ok(client.clone());
        }
        let connected = match timeout(QUICK, self.negotiate()).await {
            Ok(connected) => connected,
            Err(_) => Err(CallFailure::Timeout),
        };
        let connected = connected.map_err(|f| classify(&self.socket, "version", CallObject::Engine, f))?;
        *client = Some(connected.clone());
        Ok(connected)
    }

    async fn negotiate(&self) -> Result<Docker, CallFailure> {
        // The client reports a socket that it has no permission for as missing, so this is checked first.
        if let Err(error) = tokio::fs::metadata(&self.socket).await {
            return Err(of_io(&error));
        }
        let client = Docker::connect_with_unix(&self.socket, CLIENT_TIMEOUT_SECONDS, API_DEFAULT_VERSION);
        let client = client.map_err(|e| of_client(&e))?.with_request_modifier(url_safe_credentials);
        client.negotiate_version().await.map_err(|e| of_client(&e))
    }

    /// Makes a call with a deadline and classifies its failure.
    async fn ask<T, F>(
        &self,
        call: &'static str,
        about: CallObject<'_>,
        deadline: Duration,
        f: impl FnOnce(Docker) -> F,
    ) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let client = self.client().await?;
        let failure = match timeout(deadline, f(client)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => of_client(&error),
            Err(_) => CallFailure::Timeout,
        };
        let error = classify(&self.socket, call, about, failure);
        if error.is_away() {
            *self.client.lock().await = None;
        }
        Err(error)
    }
}

/// Converts the client's error for [`classify`].
fn of_client(error: &bollard::errors::Error) -> CallFailure {
    use bollard::errors::Error;
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            CallFailure::Status(*status_code, message.trim().to_owned())
        }
        Error::DockerStreamError { error } => CallFailure::Reported(error.trim().to_owned()),
        Error::RequestTimeoutError => CallFailure::Timeout,
        Error::SocketNotFoundError(_) => CallFailure::NoSocket { installed: is_installed() },
        Error::JsonDataError { message, .. } => CallFailure::Garbled(message.clone()),
        Error::IOError { err } => of_io(err),
        Error::HyperLegacyError { .. } | Error::HyperResponseError { .. } => of_connection(error),
        _ => CallFailure::Garbled(error.to_string()),
    }
}

/// A connection that could not be made, or broke: one of the error's sources says which.
fn of_connection(error: &bollard::errors::Error) -> CallFailure {
    let mut cause = error.source();
    let mut last = error.to_string();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return of_io(io);
        }
        last = error.to_string();
        cause = error.source();
    }
    CallFailure::Io(std::io::ErrorKind::Other, last)
}

fn of_io(error: &std::io::Error) -> CallFailure {
    match error.kind() {
        std::io::ErrorKind::NotFound => CallFailure::NoSocket { installed: is_installed() },
        kind => CallFailure::Io(kind, error.to_string()),
    }
}

/// Where programs are searched.
fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Whether there is a `dockerd`: distinguishes "not installed" from "not running".
fn is_installed() -> bool {
    let path = search_path();
    let dirs = std::env::split_paths(&path).chain(DAEMON_DIRS.iter().map(PathBuf::from));
    dirs.map(|dir| dir.join("dockerd")).any(|file| Path::is_file(&file))
}

/// The Engine decodes credentials as URL-safe base64 and ignores them if it cannot; the client encodes them in the other
/// alphabet.
fn url_safe_credentials(mut request: BollardRequest) -> BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("X-Registry-Auth")
        && let Ok(safe) = value.to_str().unwrap_or_default().replace('+', "-").replace('/', "_").parse()
    {
        *value = safe;
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    #[tokio::test(start_paused = true)]
    async fn call_fails_at_its_deadline_if_the_engine_never_answers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let began = tokio::time::Instant::now();
        let error = DockerEngine::new(path.to_str().unwrap()).info().await.unwrap_err();
        assert!(matches!(error, EngineError::Unanswered { .. }), "{error:?}");
        assert!(began.elapsed() < 2 * QUICK, "{:?}", began.elapsed());
    }

    #[test]
    fn credentials_are_sent_as_url_safe_base64() {
        let body = bollard::body_full(bytes::Bytes::new());
        let request = http::Request::builder().header("X-Registry-Auth", "a+b/c=").body(body).unwrap();
        let request = url_safe_credentials(request);
        assert_eq!(request.headers()["X-Registry-Auth"], "a-b_c=");
    }
}
