//! What others hold of a running agent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::node::BalancerUrl;
use super::requests::NodeRequests;
use crate::clock::Clock;
use crate::engine::{Engine, EngineError, EngineInfo, LABEL_INSTANCE, LABEL_STORE};
use crate::model::{BalancerReport, Condition, ExposureMode, NodeId, StoreId};
use crate::registry::Registry;
use crate::store::Store;

/// The agent answers between two passes, and a pass waits for the store alone: that has a deadline of ten seconds for each
/// write, and a pass with two late ones is not late yet.
const CONFIRM_WITHIN: Duration = Duration::from_secs(25);

/// The agent did not answer in time. What it was asked may yet happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agent did not answer within {} s", CONFIRM_WITHIN.as_secs())]
pub struct AgentSilent;

/// Who the agent is.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The Engine's id.
    pub node: NodeId,
    /// Name of the host.
    pub node_name: String,
    /// Value of the instance label: host and state directory.
    pub instance: String,
    /// What networks of apps are taken from, in CIDR notation.
    pub network_pool: String,
    /// How containers are reached; `None` follows from the kind of Engine.
    pub exposure: Option<ExposureMode>,
    /// Addresses of the HTTP entry point.
    pub http: Vec<SocketAddr>,
    /// The host by which containers reach it; `None` follows from the kind of Engine and the addresses.
    pub balancer_host: Option<String>,
    /// Id of the machine's boot; kept with the host's state.
    pub boot_id: String,
}

/// All that an agent is made from.
pub struct AgentParts {
    /// Who it is.
    pub config: AgentConfig,
    /// The Engine of its host.
    pub engine: Arc<dyn Engine>,
    /// Where replicas, statuses and endpoints are kept.
    pub store: Arc<dyn Store>,
    /// Endpoints and tables.
    pub registry: Arc<Registry>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The balancer's last word.
    pub reports: watch::Receiver<Option<BalancerReport>>,
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
    /// How containers are reached that are made from now on; `None` before that is known.
    pub exposure: Option<ExposureMode>,
    /// Where containers find the balancer; `None` before the Engine's first answer.
    pub balancer: Option<BalancerUrl>,
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
    pub(super) requests: Arc<dyn NodeRequests>,
}

impl AgentHandle {
    /// Something may have changed: look.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Lets the held removals happen; the names of their containers. Empty if nothing was held, or the agent ended.
    ///
    /// # Errors
    /// The agent does not come round to it by a deadline.
    pub async fn confirm(&self) -> Result<Vec<String>, AgentSilent> {
        let asked = async {
            let (answer, released) = oneshot::channel();
            if self.confirm.send(answer).await.is_err() {
                return Vec::new();
            }
            self.wake.notify_one();
            released.await.unwrap_or_default()
        };
        tokio::time::timeout(CONFIRM_WITHIN, asked).await.map_err(|_| AgentSilent)
    }

    /// What the agent does for commands, past its loop.
    pub fn requests(&self) -> Arc<dyn NodeRequests> {
        Arc::clone(&self.requests)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::requests::LocalNode;
    use crate::engine::FakeEngine;

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_hangs_is_told_of_and_one_that_ended_releases_nothing() {
        let (confirm, mut asked) = mpsc::channel(1);
        let (_, state) = watch::channel(AgentState::default());
        let engine = Arc::new(FakeEngine::new(|| jiff::Timestamp::UNIX_EPOCH));
        let requests = Arc::new(LocalNode::new(engine, StoreId::new("store")));
        let handle = AgentHandle { wake: Arc::default(), confirm, state, requests };
        let started = tokio::time::Instant::now();
        assert_eq!(handle.confirm().await, Err(AgentSilent));
        assert_eq!(started.elapsed(), CONFIRM_WITHIN);
        assert!(asked.recv().await.is_some(), "it may yet happen");
        drop(asked);
        assert_eq!(handle.confirm().await, Ok(Vec::new()));
    }
}
