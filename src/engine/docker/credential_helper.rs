//! Docker's protocol of credential helpers: `docker-credential-NAME get` reads a registry and writes its login.
//!
//! The helper is killed at its deadline: one that waits for a passphrase would otherwise hold its pull forever.
//! A helper's output is shown only when it fails, and never what it writes on success: that is the password.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::{Output, Stdio};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::model::{io_error_text, sanitize};

/// The user name of a login that is an identity token.
const TOKEN_USER: &str = "<token>";
/// What a helper writes, with exit code 1, if it has no login for the registry.
const NOT_FOUND: &str = "credentials not found in native keychain";
const REASON_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperResponse {
    username: String,
    secret: String,
}

/// Why a helper gave no login.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum HelperError {
    #[error("`{0}` is not the name of a credential helper")]
    Name(String),
    #[error("{program} is not in PATH")]
    Missing { program: String },
    #[error("{program} cannot be run: {error}")]
    NotRun { program: String, error: String },
    #[error("{program} did not respond within {} s", limit.as_secs())]
    TimedOut { program: String, limit: Duration },
    #[error("{program} failed with {status}: {reason}")]
    Failed { program: String, status: String, reason: String },
    #[error("{program} returned an invalid response: expected a user name and a secret")]
    Garbled { program: String },
}

/// Asks the helper of this name, found in `search_path`, for the login of a server; `None` if it has none.
pub(super) async fn ask(
    helper: &str,
    server: &str,
    search_path: &OsStr,
    limit: Duration,
) -> Result<Option<DockerCredentials>, HelperError> {
    if helper.is_empty() || helper.contains('/') {
        return Err(HelperError::Name(helper.to_owned()));
    }
    let program = format!("docker-credential-{helper}");
    let not_run = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => HelperError::Missing { program: program.clone() },
        _ => HelperError::NotRun { program: program.clone(), error: io_error_text(&error) },
    };
    let child = Command::new(&program)
        .arg("get")
        .env("PATH", search_path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(not_run)?;
    let output = match timeout(limit, exchange(child, server)).await {
        Ok(output) => output.map_err(not_run)?,
        Err(_) => return Err(HelperError::TimedOut { program, limit }),
    };
    if !output.status.success() {
        return match String::from_utf8_lossy(&output.stdout).contains(NOT_FOUND) {
            true => Ok(None),
            false => {
                let status = output.status.to_string();
                Err(HelperError::Failed { program, status, reason: first_line(&output) })
            }
        };
    }
    match serde_json::from_slice(&output.stdout) {
        Ok(response) => Ok(Some(credentials(response, server))),
        Err(_) => Err(HelperError::Garbled { program }),
    }
}

async fn exchange(mut child: Child, server: &str) -> std::io::Result<Output> {
    if let Some(mut input) = child.stdin.take() {
        match tokio::io::AsyncWriteExt::write_all(&mut input, server.as_bytes()).await {
            // It exited without reading; its output says why.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written?,
        }
    }
    child.wait_with_output().await
}

fn credentials(response: HelperResponse, server: &str) -> DockerCredentials {
    let serveraddress = Some(server.to_owned());
    if response.username == TOKEN_USER {
        let identitytoken = Some(response.secret);
        return DockerCredentials { identitytoken, serveraddress, ..DockerCredentials::default() };
    }
    DockerCredentials {
        username: Some(response.username),
        password: Some(response.secret),
        serveraddress,
        ..DockerCredentials::default()
    }
}

/// The first line of its error output, else of its output: helpers use either.
fn first_line(output: &Output) -> String {
    let lines = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let line = lines.iter().flat_map(|text| text.lines()).map(str::trim).find(|line| !line.is_empty());
    sanitize(line.unwrap_or("no message")).chars().take(REASON_MAX).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::ffi::OsString;

    use super::*;

    const GENEROUS: Duration = Duration::from_secs(60);

    /// PATH with the helper `docker-credential-test` of this repository.
    pub(in crate::engine::docker) fn search_path() -> OsString {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/credentials");
        format!("{folder}:{}", std::env::var("PATH").unwrap()).into()
    }

    async fn ask_test(server: &str, limit: Duration) -> Result<Option<DockerCredentials>, HelperError> {
        ask("test", server, &search_path(), limit).await
    }

    #[tokio::test]
    async fn ask_returns_password_or_identity_token() {
        let login = ask_test("ghcr.io", GENEROUS).await.unwrap().unwrap();
        assert_eq!(
            (login.username.as_deref(), login.password.as_deref()),
            (Some("ann"), Some("from-helper"))
        );
        assert_eq!(login.serveraddress.as_deref(), Some("ghcr.io"));
        let login = ask_test("https://index.docker.io/v1/", GENEROUS).await.unwrap().unwrap();
        assert_eq!((login.username, login.identitytoken.as_deref()), (None, Some("token-from-helper")));
        assert_eq!(ask_test("quay.io", GENEROUS).await, Ok(None), "it has none");
    }

    #[tokio::test]
    async fn ask_says_why_a_helper_failed_and_never_shows_a_secret() {
        let locked = ask_test("locked.io", GENEROUS).await.unwrap_err().to_string();
        assert_eq!(locked, "docker-credential-test failed with exit status: 1: the keychain is locked");
        let garbled = ask_test("garbled.io", GENEROUS).await.unwrap_err().to_string();
        assert!(
            garbled.starts_with("docker-credential-test returned") && !garbled.contains("hunter2"),
            "{garbled}"
        );
        let missing = ask("absent", "ghcr.io", &search_path(), GENEROUS).await.unwrap_err().to_string();
        assert_eq!(missing, "docker-credential-absent is not in PATH");
        for name in ["", "../x"] {
            let error = ask(name, "ghcr.io", &search_path(), GENEROUS).await;
            assert_eq!(error, Err(HelperError::Name(name.to_owned())));
        }
    }

    #[tokio::test]
    async fn ask_gives_up_on_a_helper_that_does_not_respond() {
        let error = ask_test("hangs.io", Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(error, HelperError::TimedOut { .. }), "{error}");
    }
}
