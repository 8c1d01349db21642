//! Test support: lets a test send commands to the supervisor through the real controller process.
//!
//! Only with the feature `testing`, and only where the test sets [`ENV_RELAY`].

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::SupervisorClient;
use super::supervisor_command::{ListedListener, SupervisorCommand};

/// Path of the unix socket that takes a command as a line of JSON and answers with a [`RelayedAnswer`].
pub const ENV_RELAY: &str = "COXSWAIN_TEST_RELAY";

/// The result of a call, with the error as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayedAnswer {
    /// Of an open.
    pub address: Option<std::net::SocketAddr>,
    /// Of a list.
    pub listeners: Option<Vec<ListedListener>>,
    pub error: Option<String>,
}

/// Serves the socket in a task, if a test asks for it.
pub(super) fn start_relay(client: Arc<SupervisorClient>) {
    if let Some(path) = std::env::var_os(ENV_RELAY) {
        tokio::spawn(async move {
            if let Err(error) = serve_relay(PathBuf::from(path), client).await {
                tracing::error!(%error, "the relay of a test ended");
            }
        });
    }
}

async fn serve_relay(path: PathBuf, client: Arc<SupervisorClient>) -> std::io::Result<()> {
    // of a controller that was killed
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    loop {
        relay(listener.accept().await?.0, &client).await?;
    }
}

async fn relay(mut connection: UnixStream, client: &SupervisorClient) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(&mut connection).read_line(&mut line).await?;
    let mut answer = RelayedAnswer::default();
    let called = match serde_json::from_str(&line)? {
        SupervisorCommand::OpenListener(listener) => {
            client.open_listener(listener).await.map(|address| answer.address = Some(address))
        }
        SupervisorCommand::CloseListener(id) => client.close_listener(id).await,
        SupervisorCommand::NextIncident(recorded) => client.next_incident(recorded).await.map(|_| ()),
        SupervisorCommand::ListCrashLoops => client.list_crash_loops().await.map(|_| ()),
        SupervisorCommand::Reload => client.reload().await.map(|_| ()),
        SupervisorCommand::ListProcesses => client.list_processes().await.map(|_| ()),
        SupervisorCommand::ListListeners => {
            client.list_listeners().await.map(|listeners| answer.listeners = Some(listeners))
        }
    };
    answer.error = called.err().map(|error| error.to_string());
    connection.write_all(&serde_json::to_vec(&answer)?).await
}
