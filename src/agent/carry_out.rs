//! Carries out a plan: withdraws, probes, starts actions and writes, in the order that a crash at any point allows.

use std::sync::Arc;

use super::commit::commit;
use super::execute::execute;
use super::node_plan::NodePlan;
use super::run::Agent;
use super::task::TaskReport;
use crate::model::{Now, key};
use crate::store::{Op, StoreError, Txn};

impl Agent {
    pub(super) async fn carry_out(&mut self, plan: &NodePlan, now: Now) -> Result<(), StoreError> {
        self.publisher.withdraw(&plan.withdraw);
        self.probes.retain(&plan.probes.iter().map(|t| t.id.clone()).collect());
        plan.probes.iter().for_each(|target| self.probes.watch(target.clone()));
        self.store_state(plan).await?;
        self.memory.planned(plan, now.mono);
        self.start_actions(plan);
        if !plan.endpoints.is_empty() {
            self.publisher.endpoints_written();
        }
        commit(&*self.store, &self.facts.node, plan).await?;
        self.memory.stored(plan, now.mono);
        if self.watch.availability.answers() {
            self.publisher.open().await?;
        }
        self.publisher.catch_up().await
    }

    async fn store_state(&self, plan: &NodePlan) -> Result<(), StoreError> {
        let Some(state) = &plan.state else { return Ok(()) };
        let ops = vec![Op::put(key::node_state(&self.facts.node), state)];
        self.store.txn(Txn { compare: Vec::new(), ops }).await?;
        Ok(())
    }

    fn start_actions(&mut self, plan: &NodePlan) {
        for action in &plan.actions {
            self.busy.insert(action.subject());
            let engine = Arc::clone(&self.engine);
            let ticks = self.watch.ticks.clone();
            let policy = Arc::clone(&self.host_paths);
            let action = action.clone();
            self.tasks.spawn(async move {
                let tick = ticks.next();
                let outcome = execute(&*engine, &policy, &ticks, &action).await;
                TaskReport::Acted { tick, action, outcome }
            });
        }
    }
}
