//! The daemon and its nodes.

use super::handle::Queries;
use super::objects::{DaemonStatus, NodeObject};
use super::read_model::ServicesSnapshot;
use crate::agent::{AgentState, EngineInfo, EngineState};
use crate::controller::error::ControllerError;
use crate::model::{Condition, EngineKind, NodeId, Reason};

impl Queries {
    /// The state of the daemon.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self) -> Result<DaemonStatus, ControllerError> {
        let ServicesSnapshot { revision, services } = self.model.services(&[]).await?;
        let barrier = self.registry.barrier();
        Ok(DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime: self.clock.mono().since(self.started),
            store: self.store.clone(),
            store_revision: revision,
            node: self.node(),
            table: barrier.published.last().cloned(),
            acknowledged: barrier.reports.oldest_applied().cloned(),
            http: self.http.iter().map(ToString::to_string).collect(),
            services: u32::try_from(services.len()).unwrap_or(u32::MAX),
            conditions: self.conditions(),
        })
    }

    /// The nodes.
    pub fn nodes(&self) -> Vec<NodeObject> {
        self.nodes.iter().map(|(id, state)| node_object(id, &state.borrow())).collect()
    }

    /// The node of this daemon.
    fn node(&self) -> NodeObject {
        self.nodes().into_iter().next().unwrap_or_else(|| node_object(&"".into(), &AgentState::default()))
    }

    /// Conditions of the daemon that stop it from acting.
    pub fn conditions(&self) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for (_, state) in self.nodes.iter() {
            conditions.extend(node_conditions(&state.borrow()));
        }
        if !conditions.iter().any(|condition| condition.reason == Reason::BalancerUnacknowledged) {
            conditions.extend(self.balancer_outage.lock().condition(self.clock.mono()));
        }
        conditions.extend(self.directory.conditions());
        let reports = self.registry.barrier().reports;
        let refusals = reports.connected().filter_map(|(_, report)| report.refused.as_ref());
        conditions.extend(refusals.map(|refusal| {
            let message = format!("table {}: {}", refusal.table, refusal.reason);
            Condition::degraded(Reason::TableRefused, message)
        }));
        conditions
    }
}

fn node_conditions(state: &AgentState) -> Vec<Condition> {
    let mut conditions = state.conditions.clone();
    if let EngineState::Away(error) = &state.engine
        && !conditions.iter().any(|condition| condition.reason == Reason::EngineUnavailable)
    {
        conditions.push(Condition::degraded(Reason::EngineUnavailable, error.to_string()));
    }
    conditions
}

fn node_object(id: &NodeId, state: &AgentState) -> NodeObject {
    let (name, engine) = match &state.engine {
        EngineState::Available(info) => (info.name.clone(), engine_text(info)),
        EngineState::Away(error) => (String::new(), error.to_string()),
        EngineState::Unknown => (String::new(), "not asked yet".to_owned()),
    };
    let info = match &state.engine {
        EngineState::Available(info) => Some(info),
        EngineState::Away(_) | EngineState::Unknown => None,
    };
    NodeObject {
        id: id.clone(),
        name,
        engine,
        available: info.is_some(),
        kind: info.map(|info| info.kind),
        exposure: state.exposure,
        unenforced: info.iter().flat_map(|info| &info.unenforced).map(ToString::to_string).collect(),
        containers: state.containers,
    }
}

/// `Docker 20.10.24 (API 1.41), rootless`.
fn engine_text(info: &EngineInfo) -> String {
    let kind = match info.kind {
        EngineKind::Native => "",
        EngineKind::Rootless => ", rootless",
        EngineKind::Desktop => ", of Docker Desktop",
    };
    format!("Docker {} (API {}){kind}", info.version, info.api_version)
}
