//! The Docker Engine behind the trait: naked calls over its unix socket, each with a deadline of its own.
//!
//! Purpose: ask and pass on. What is asked and what the answer means is translated in `translate`; what an error means
//! is decided in `error`.
//! Invariants: no call waits without bound, except for the next line of a stream that was asked to follow; the API
//! version is negotiated again after the Engine was away, for it may have been upgraded.
//! Deliberately absent: retries, TCP and SSH (an Engine is driven from its own host), choices.

mod calls;
mod credentials;
mod exec;
mod streams;

use std::error::Error as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::EngineError;
use super::classify::{CallFailure, CallObject, classify};

/// Questions and small changes: milliseconds on a healthy Engine, seconds on one that is starved for disk.
const QUICK: Duration = Duration::from_secs(10);

/// Making, starting and removing a container or network: file systems and kernel namespaces, one after the other when
/// many start at once.
const SLOW: Duration = Duration::from_secs(60);

/// The client's own timeout, in seconds; it covers only headers and knows whole seconds only, so it is put out of the
/// way of ours. A pull's headers come when its first layer starts.
const OUT_OF_THE_WAY: u64 = 3_600;

/// Where `dockerd` may lie besides `PATH`.
const DAEMON_DIRS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/snap/bin"];

/// The Docker Engine on this host.
#[derive(Debug)]
pub struct DockerEngine {
    socket: String,
    credentials: Option<PathBuf>,
    client: Mutex<Option<Docker>>,
}

impl DockerEngine {
    /// The Engine behind the socket at this path (`unix://` before it is fine). Nothing is opened before the first
    /// call, so a daemon can start while Docker is not there.
    pub fn new(socket: &str) -> Self {
        let socket = socket.strip_prefix("unix://").unwrap_or(socket).to_owned();
        Self { socket, credentials: None, client: Mutex::new(None) }
    }

    /// Pulls with the logins of this file: `config.json` of `$DOCKER_CONFIG` or of `~/.docker`. It is read at every
    /// pull, so a later `docker login` counts.
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
        // The client reports a socket it may not see as one that is not there, so this is asked first.
        if let Err(error) = tokio::fs::metadata(&self.socket).await {
            return Err(of_io(&error));
        }
        let client = Docker::connect_with_unix(&self.socket, OUT_OF_THE_WAY, API_DEFAULT_VERSION);
        let client = client.map_err(|e| of_client(&e))?.with_request_modifier(url_safe_credentials);
        client.negotiate_version().await.map_err(|e| of_client(&e))
    }

    /// One call with its deadline, its failure understood.
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

/// What the client's error is, for [`classify`].
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

/// A connection that could not be made or broke: the cause of the cause says which.
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

/// Whether a `dockerd` lies where programs lie. Tells "not installed" from "not running".
fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(DAEMON_DIRS.iter().map(PathBuf::from));
    dirs.map(|dir| dir.join("dockerd")).any(|file| Path::is_file(&file))
}

/// The Engine decodes credentials as URL-safe base64, and takes what it cannot decode for none; the client encodes them
/// in the other alphabet.
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
    async fn an_engine_that_accepts_and_never_answers_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let began = tokio::time::Instant::now();
        let error = DockerEngine::new(path.to_str().unwrap()).info().await.unwrap_err();
        assert!(matches!(error, EngineError::Unanswered { .. }), "{error:?}");
        assert!(began.elapsed() < 2 * QUICK, "{:?}", began.elapsed());
    }

    #[test]
    fn credentials_are_sent_in_the_alphabet_that_docker_reads() {
        let body = bollard::body_full(bytes::Bytes::new());
        let request = http::Request::builder().header("X-Registry-Auth", "a+b/c=").body(body).unwrap();
        let request = url_safe_credentials(request);
        assert_eq!(request.headers()["X-Registry-Auth"], "a-b_c=");
    }
}
