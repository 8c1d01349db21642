//! What others hold of a running agent.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::engine::{Engine, EngineError, EngineInfo, LABEL_INSTANCE, LABEL_STORE};
use crate::model::{Condition, HostId, StoreId};

/// Who the agent is.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The Engine's id.
    pub host: HostId,
    /// Name of the host.
    pub host_name: String,
    /// Value of the instance label: host and state directory.
    pub instance: String,
    /// What networks of apps are taken from, in CIDR notation.
    pub network_pool: String,
    /// First HTTP port of the balancer that covers the gateways of apps' networks; `None` where there is none.
    pub http_port: Option<u16>,
    /// Id of the machine's boot; kept with the host's state.
    pub boot_id: String,
}

/// Whether the Engine can be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EngineState {
    /// It was not asked yet.
    #[default]
    Unknown,
    /// It answers.
    Available(EngineInfo),
    /// It does not: nothing is changed until it does.
    Away(EngineError),
}

/// What is so of the host, as the agent sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentState {
    /// The Engine.
    pub engine: EngineState,
    /// Names of containers whose removal waits for a confirmation.
    pub held: Vec<String>,
    /// `EngineUnavailable`, `DeletionHeld`, `BalancerUnacknowledged`.
    pub conditions: Vec<Condition>,
    /// Containers of ours, in every state.
    pub containers: u32,
    /// Whether the endpoints found at the start were checked, so that routing tables go out.
    pub open: bool,
}

/// Wakes the agent, and tells what it sees.
#[derive(Debug, Clone)]
pub struct AgentHandle {
    pub(super) wake: Arc<Notify>,
    pub(super) confirm: mpsc::Sender<oneshot::Sender<Vec<String>>>,
    pub(super) state: watch::Receiver<AgentState>,
}

impl AgentHandle {
    /// Something may have changed: look.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Lets the held removals happen; the names of their containers. Empty if nothing was held, or the agent ended.
    pub async fn confirm(&self) -> Vec<String> {
        let (answer, released) = oneshot::channel();
        if self.confirm.send(answer).await.is_err() {
            return Vec::new();
        }
        self.wake.notify_one();
        released.await.unwrap_or_default()
    }

    /// What is so of the host, and when that changes.
    pub fn state(&self) -> watch::Receiver<AgentState> {
        self.state.clone()
    }
}

/// Names of the containers of this instance (host and state directory) that belong to another store: a daemon that finds
/// any must not take their place unless it was told to start with a new store.
pub async fn check_instance(
    engine: &dyn Engine,
    instance: &str,
    store: &StoreId,
) -> Result<Vec<String>, EngineError> {
    let containers = engine.list().await?;
    let is = |labels: &std::collections::BTreeMap<String, String>, key: &str, value: &str| {
        labels.get(key).map(String::as_str) == Some(value)
    };
    let foreign = containers
        .into_iter()
        .filter(|c| is(&c.labels, LABEL_INSTANCE, instance) && !is(&c.labels, LABEL_STORE, store.as_str()));
    Ok(foreign.map(|c| c.name).collect())
}
