//! The handle of a running agent, and the state that it publishes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::config::AgentConfig;
use super::node::BalancerUrl;
use super::requests::NodeRequests;
use crate::clock::Clock;
use crate::engine::{Engine, EngineError, EngineInfo};
use crate::model::{Condition, ExposureMode};
use crate::registry::Registry;
use crate::store::Store;

/// The agent answers between two passes, and a pass waits only for the store: with a deadline of ten seconds for each write,
/// this allows for two late ones.
const CONFIRM_WITHIN: Duration = Duration::from_secs(25);

/// The agent did not answer in time. The request may still take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agent did not answer within {} s", CONFIRM_WITHIN.as_secs())]
pub struct AgentSilent;

/// The parts of an agent.
pub struct AgentParts {
    pub config: AgentConfig,
    pub engine: Arc<dyn Engine>,
    pub store: Arc<dyn Store>,
    pub registry: Arc<Registry>,
    pub clock: Arc<dyn Clock>,
}

/// What the user confirms.
#[derive(Debug)]
pub(super) struct Confirmation {
    /// Names in Docker of volumes whose loss the user accepts. One that vanished later was never shown, and is not among them.
    pub(super) lost_volumes: BTreeSet<String>,
    pub(super) answer: oneshot::Sender<Confirmed>,
}

/// What a confirmation allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confirmed {
    /// Names of the containers, and of services that a manifests directory no longer declares, that are now removed.
    pub removed: Vec<String>,
    /// Names in Docker of the volumes that replicas no longer wait for.
    pub lost_volumes: BTreeSet<String>,
}

/// Whether the Engine can be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EngineState {
    /// It was not called yet.
    #[default]
    Unknown,
    Available(EngineInfo),
    /// It does not respond: nothing is changed until it does.
    Unavailable(EngineError),
}

/// The node's state, as the agent observes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentState {
    pub engine: EngineState,
    /// `EngineUnavailable`, `DeletionHeld`, `VolumeMissing`, `BalancerUnacknowledged`.
    pub conditions: Vec<Condition>,
    /// Names in Docker of volumes that held data, have vanished, and are waited for.
    pub missing_volumes: BTreeSet<String>,
    /// Of containers created from now on; `None` before it is known.
    pub exposure: Option<ExposureMode>,
    /// Where containers reach the balancer; `None` before the Engine's first response.
    pub balancer: Option<BalancerUrl>,
    /// How many containers of ours there are, in every state.
    pub containers: u32,
    /// Whether the endpoints found at the start were checked, so that routing tables are published.
    pub open: bool,
}

/// Wakes the agent, reads its state and sends it requests.
#[derive(Debug, Clone)]
pub struct AgentHandle {
    pub(super) wake: Arc<Notify>,
    pub(super) confirm: mpsc::Sender<Confirmation>,
    pub(super) state: watch::Receiver<AgentState>,
    pub(super) requests: Arc<dyn NodeRequests>,
}

impl AgentHandle {
    /// Wakes the agent: something may have changed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Confirms the held removals, and the loss of those of these volumes that are waited for. Allows nothing if nothing
    /// waited, or the agent ended.
    ///
    /// # Errors
    /// The agent does not answer by a deadline.
    pub async fn confirm(&self, lost_volumes: BTreeSet<String>) -> Result<Confirmed, AgentSilent> {
        let request = async {
            let (answer, confirmed) = oneshot::channel();
            if self.confirm.send(Confirmation { lost_volumes, answer }).await.is_err() {
                return Confirmed::default();
            }
            self.wake.notify_one();
            confirmed.await.unwrap_or_default()
        };
        tokio::time::timeout(CONFIRM_WITHIN, request).await.map_err(|_| AgentSilent)
    }

    /// What the agent does on request, past its loop.
    pub fn requests(&self) -> Arc<dyn NodeRequests> {
        Arc::clone(&self.requests)
    }

    /// The node's state, and when it changes.
    pub fn state(&self) -> watch::Receiver<AgentState> {
        self.state.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::requests::LocalNode;
    use crate::engine::FakeEngine;
    use crate::model::StoreId;

    #[tokio::test(start_paused = true)]
    async fn confirm_of_a_hanging_agent_fails_and_of_an_ended_one_allows_nothing() {
        let (confirm, mut asked) = mpsc::channel(1);
        let (_, state) = watch::channel(AgentState::default());
        let engine = Arc::new(FakeEngine::new(|| jiff::Timestamp::UNIX_EPOCH));
        let requests = Arc::new(LocalNode::new(engine, StoreId::new("store"), Arc::default()));
        let handle = AgentHandle { wake: Arc::default(), confirm, state, requests };
        let started = tokio::time::Instant::now();
        assert_eq!(handle.confirm(BTreeSet::new()).await, Err(AgentSilent));
        assert_eq!(started.elapsed(), CONFIRM_WITHIN);
        assert!(asked.recv().await.is_some(), "it may yet happen");
        drop(asked);
        assert_eq!(handle.confirm(BTreeSet::new()).await, Ok(Confirmed::default()));
    }
}
