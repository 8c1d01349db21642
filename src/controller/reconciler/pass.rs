//! One pass: read a service, plan, commit, and queue the next pass.

use std::collections::BTreeMap;

use super::handle::Reconciler;
use crate::controller::service_state::ServiceState;
use crate::model::{Endpoint, Millis, Mono, ReplicaName, ServiceName};
use crate::orchestrator::{self, Blocker, Changes, InvalidPlan};
use crate::registry::Barrier;
use crate::store::StoreError;

/// When a service is planned again whose plan was refused, unless something wakes it before.
const RETRY_REFUSED_PLAN_AFTER: Millis = Millis::secs(5);

impl Reconciler {
    /// One pass over one service.
    ///
    /// # Errors
    /// The store's; the time until the next pass does not count towards a deadline then.
    pub async fn pass(&self, name: &ServiceName) -> Result<(), StoreError> {
        let passed = self.try_pass(name).await;
        if passed.is_err() {
            self.memory.lock().update(name, |memory| memory.wait.interrupt());
        }
        passed
    }

    async fn try_pass(&self, name: &ServiceName) -> Result<(), StoreError> {
        let Some(state) = ServiceState::read(self.store.as_ref(), name).await? else {
            self.memory.lock().forget(name);
            return self.drop_last_writes(name).await;
        };
        let now = self.clock.now();
        // Before the barrier is read: a report that arrives in between wakes another pass.
        self.memory.lock().awaiting.insert(name.clone());
        let barrier = self.registry.barrier();
        // No replica becomes available without every balancer's acknowledgement, and the release is not to blame for that.
        let engines_answer = self.nodes.engines_answer(state.replicas.iter().map(|replica| &replica.node));
        let progress_possible = engines_answer && barrier.reports.are_all_connected();
        let (available, unsaved, removal) = self.memory.lock().update(name, |memory| {
            memory.facts.ready = memory.facts.ready.at(&state, &barrier, now.mono);
            let available = memory.facts.ready.lengths(now.mono);
            let unsaved = memory.wait.pass(now.mono, progress_possible);
            (available, unsaved, memory.removal.state(now.mono))
        });
        if !awaits_balancer(&state, &available, &barrier) {
            self.memory.lock().awaiting.remove(name);
        }
        let view = state.view(&available, self.nodes.ids(), unsaved, removal);
        let changes = match orchestrator::plan(&view, now) {
            Ok(changes) => changes,
            Err(invalid) => {
                self.refuse_plan(name, &invalid, now.mono);
                return Ok(());
            }
        };
        let nothing = changes.is_empty() && state.stray_statuses().next().is_none();
        if nothing || self.commit(&state, &changes).await? {
            self.committed(&state, &changes, &barrier, now.mono);
        } else {
            self.mark(name.clone());
        }
        Ok(())
    }

    fn committed(&self, state: &ServiceState, changes: &Changes, barrier: &Barrier, now: Mono) {
        let name = state.service.name();
        let mut memory = self.memory.lock();
        if changes.forget_service {
            memory.forget(name);
            return;
        }
        memory.update(name, |memory| {
            memory.committed(state, changes, barrier, now);
            if changes.remove_volumes {
                memory.removal.request(&state.service);
            }
        });
        memory.queue.mark_at(name.clone(), changes.wake_after.map(|wait| now.after(wait)));
        if changes.remove_volumes {
            self.removal_requested.notify_one();
        }
    }

    /// A plan that breaks an invariant is a defect of the orchestrator: nothing of it is written, and the service stays
    /// unchanged until another pass makes a valid plan.
    fn refuse_plan(&self, name: &ServiceName, invalid: &InvalidPlan, now: Mono) {
        tracing::error!(service = %name, violations = %invalid, "plan refused; nothing is written");
        let violations = invalid.violations.iter().map(ToString::to_string).collect();
        let mut memory = self.memory.lock();
        memory.update(name, |memory| {
            memory.wait.interrupt();
            memory.facts.blockers = vec![Blocker::PlanRefused { violations }];
            memory.facts.passed_at = now;
        });
        memory.queue.mark_at(name.clone(), Some(now.after(RETRY_REFUSED_PLAN_AFTER)));
    }

    /// The first service whose last plan was refused, with the rules that it broke: a simulation must not find one.
    #[cfg(any(test, feature = "testing"))]
    pub fn refused_plan(&self) -> Option<(ServiceName, Vec<String>)> {
        self.memory.lock().services.iter().find_map(|(name, memory)| match memory.facts.blockers.first() {
            Some(Blocker::PlanRefused { violations }) => Some((name.clone(), violations.clone())),
            _ => None,
        })
    }
}

/// Whether an endpoint of the service is in the store and not yet acknowledged by every balancer.
fn awaits_balancer(
    state: &ServiceState,
    available: &BTreeMap<ReplicaName, Millis>,
    barrier: &Barrier,
) -> bool {
    let is_awaited = |endpoint: &Endpoint| {
        let is_available = endpoint.replica().is_some_and(|replica| available.contains_key(replica));
        !is_available && !barrier.acked_present(&endpoint.id())
    };
    state.endpoints.values().any(is_awaited)
}
