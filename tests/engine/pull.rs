//! Pulls by the real Engine from a registry of our own, which lives on the loopback address and has nothing to give.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coxswain::engine::{DockerEngine, Engine, EngineError};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::images;

/// A registry that asks for a password and then knows no image.
struct Registry {
    host: String,
    /// `user:password` of each request that had one.
    logins: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let logins = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&logins);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&seen)));
            }
        });
        Self { host, logins }
    }
}

/// Answers one request and closes.
async fn answer(stream: TcpStream, logins: Arc<Mutex<Vec<String>>>) {
    let mut lines = BufReader::new(stream).lines();
    let mut login = None;
    while let Ok(Some(line)) = lines.next_line().await {
        if line.is_empty() {
            break;
        }
        if let Some(encoded) = line.strip_prefix("Authorization: Basic ") {
            login = Some(String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap());
        }
    }
    let (head, body) = match login {
        Some(login) => {
            logins.lock().unwrap().push(login);
            ("404 Not Found", r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#)
        }
        None => {
            let asks = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"";
            (asks, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#)
        }
    };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {head}\r\nDocker-Distribution-Api-Version: registry/2.0\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    // The Engine may have gone already; what it then says is what the test looks at.
    let _ = lines.into_inner().into_inner().write_all(text.as_bytes()).await;
}

async fn pull(engine: &DockerEngine, host: &str) -> EngineError {
    engine.pull(&format!("{host}/acme/users:1")).await.unwrap_err()
}

#[tokio::test]
async fn pull_sends_the_login_of_the_configuration_file() {
    let registry = Registry::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    // Such a password needs the two characters in which the alphabets of base64 differ.
    let login = "ann:~~~???>>>";
    let config =
        serde_json::json!({ "auths": { (registry.host.clone()): { "auth": STANDARD.encode(login) } } });
    std::fs::write(&file, config.to_string()).unwrap();

    let engine = images::engine().await.with_credentials_file(file);
    let error = pull(&engine, &registry.host).await;
    assert!(matches!(error, EngineError::ImageUnknown { .. }), "{error:?}");
    let logins = registry.logins.lock().unwrap().clone();
    assert!(!logins.is_empty() && logins.iter().all(|seen| seen == login), "{logins:?}");
}

#[tokio::test]
async fn denied_pull_says_why_the_credential_helper_gave_no_login() {
    let registry = Registry::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    std::fs::write(&file, r#"{"credsStore": "coxswain-absent"}"#).unwrap();

    let error = pull(&images::engine().await, &registry.host).await;
    assert!(matches!(error, EngineError::PullDenied { .. }), "{error:?}");
    let error = pull(&images::engine().await.with_credentials_file(file), &registry.host).await;
    let EngineError::PullDenied { message, .. } = &error else { panic!("{error:?}") };
    assert!(message.contains("docker-credential-coxswain-absent is not in PATH"), "{message}");
}

#[tokio::test]
async fn pull_from_an_unreachable_registry_fails_as_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let engine = images::engine().await;
    let error = pull(&engine, &host).await;
    assert!(matches!(error, EngineError::RegistryUnreachable { .. }), "{error:?}");
    let error = engine.pull("../containers/x").await.unwrap_err();
    assert!(matches!(error, EngineError::Invalid { .. }), "{error:?}");
}
