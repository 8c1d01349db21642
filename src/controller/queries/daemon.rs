//! The daemon and its nodes.

use super::handle::Queries;
use super::read_model::ServicesSnapshot;
use super::snapshots::{DaemonSnapshot, NodeSnapshot};
use crate::agent::{AgentState, EngineState};
use crate::controller::error::ControllerError;
use crate::model::{Condition, Reason};

impl Queries {
    /// The state of the daemon.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self) -> Result<DaemonSnapshot, ControllerError> {
        let ServicesSnapshot { revision, services } = self.model.services(&[]).await?;
        let barrier = self.registry.barrier();
        let node = self.nodes().into_iter().next();
        Ok(DaemonSnapshot {
            uptime: self.clock.mono().since(self.started),
            store: self.store.clone(),
            store_revision: revision,
            node: node.unwrap_or_else(|| NodeSnapshot { id: "".into(), state: AgentState::default() }),
            table: barrier.published.last().cloned(),
            acknowledged: barrier.reports.oldest_applied().cloned(),
            balancers: barrier.reports.iter().map(|(process, report)| (process, report.cloned())).collect(),
            connections: barrier.reports.connection_stats(),
            held_requests: barrier.reports.held_requests(),
            http: self.http.clone(),
            https: self.https.clone(),
            services: u32::try_from(services.len()).unwrap_or(u32::MAX),
            conditions: self.conditions().into_iter().chain(self.daemon_conditions.all()).collect(),
        })
    }

    /// The nodes.
    pub fn nodes(&self) -> Vec<NodeSnapshot> {
        let nodes = self.nodes.iter();
        nodes.map(|(id, state)| NodeSnapshot { id: id.clone(), state: state.borrow().clone() }).collect()
    }

    /// Conditions of the daemon that stop it from acting.
    pub fn conditions(&self) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for (_, state) in self.nodes.iter() {
            conditions.extend(node_conditions(&state.borrow()));
        }
        if !conditions.iter().any(|condition| condition.reason == Reason::BalancerUnacknowledged) {
            conditions.extend(self.balancer_outages.lock().conditions(self.clock.mono()));
        }
        conditions.extend(self.directory.conditions());
        let reports = self.registry.barrier().reports;
        let refusals = reports.connected().filter_map(|(id, report)| Some((id, report.refused.as_ref()?)));
        conditions.extend(refusals.map(|(balancer, refusal)| {
            let message = format!("balancer {balancer}, table {}: {}", refusal.table, refusal.reason);
            Condition::degraded(Reason::TableRefused, message)
        }));
        conditions
    }
}

fn node_conditions(state: &AgentState) -> Vec<Condition> {
    let mut conditions = state.conditions.clone();
    if let EngineState::Unavailable(error) = &state.engine
        && !conditions.iter().any(|condition| condition.reason == Reason::EngineUnavailable)
    {
        conditions.push(Condition::degraded(Reason::EngineUnavailable, error.to_string()));
    }
    conditions
}
