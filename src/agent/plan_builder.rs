//! A plan under construction, with the limits of one pass. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::action::{ActionSubject, AgentAction};
use super::allocator::{NetworkAllocation, NetworkAllocator};
use super::mass_silence;
use super::memory::AgentMemory;
use super::node_plan::NodePlan;
use super::node_state::NodeState;
use super::ring_allocator::{LeasePool, PoolCursor};
use super::view::NodeView;
use crate::model::{AppName, Millis, NotReadyCause, Now, Port, ServiceName};

/// Containers created or started at once. Eight keep two cores and one Docker daemon busy; more only queue in it.
pub const MAX_STARTS: usize = 8;
/// Images pulled at once, Docker's own number of layers at once.
pub const MAX_PULLS: usize = 3;

/// The plan so far, and what this pass may still do.
pub(super) struct PlanBuilder<'a> {
    pub(super) view: &'a NodeView,
    pub(super) memory: &'a AgentMemory,
    pub(super) now: Now,
    pub(super) plan: NodePlan,
    /// The node's state as this pass leaves it.
    pub(super) state: NodeState,
    /// Services whose silent replicas stay in rotation.
    pub(super) all_silent: BTreeSet<ServiceName>,
    starts_left: usize,
    pulls_left: usize,
    allocator: NetworkAllocator<'a>,
    claimed: BTreeSet<ActionSubject>,
}

impl<'a> PlanBuilder<'a> {
    pub(super) fn new(view: &'a NodeView, memory: &'a AgentMemory, now: Now) -> Self {
        let starts = view.busy.iter().filter(|s| matches!(s, ActionSubject::Replica(_))).count();
        let pulls = view.busy.iter().filter(|s| matches!(s, ActionSubject::Pull(_))).count();
        Self {
            view,
            memory,
            now,
            plan: NodePlan::default(),
            state: view.state.clone(),
            all_silent: mass_silence::services(view),
            starts_left: MAX_STARTS.saturating_sub(starts),
            pulls_left: MAX_PULLS.saturating_sub(pulls),
            allocator: NetworkAllocator::new(&memory.leases, now.mono.since(memory.started)),
            claimed: BTreeSet::new(),
        }
    }

    /// Plans an action unless one is under way on its subject, or failed on it a moment ago; returns whether it is planned.
    pub(super) fn act(&mut self, action: AgentAction) -> bool {
        let subject = action.subject();
        if let Some(wait) = self.memory.retries.wait(&subject, self.now.mono) {
            self.wake(wait);
            return false;
        }
        let free = !self.is_busy(&subject) && self.claimed.insert(subject);
        if free {
            self.plan.actions.push(action);
        }
        free
    }

    pub(super) fn is_busy(&self, subject: &ActionSubject) -> bool {
        self.view.busy.contains(subject)
    }

    /// Whether an action is under way on it, or planned.
    pub(super) fn is_claimed(&self, subject: &ActionSubject) -> bool {
        self.is_busy(subject) || self.claimed.contains(subject)
    }

    /// The next pass is due after this long at the latest.
    pub(super) fn wake(&mut self, after: Millis) {
        let soonest = self.plan.wake_after.map_or(after, |before| before.min(after));
        self.plan.wake_after = Some(soonest);
    }

    /// Takes one of the starts of this pass; returns whether there was one left.
    pub(super) fn take_start(&mut self) -> bool {
        let left = self.may_start();
        self.starts_left = self.starts_left.saturating_sub(1);
        left
    }

    pub(super) fn may_start(&self) -> bool {
        self.starts_left > 0
    }

    /// Pulls an image unless it is being pulled already, or too many are.
    pub(super) fn pull(&mut self, image: &str) {
        if self.pulls_left > 0 && self.act(AgentAction::Pull { image: image.to_owned() }) {
            self.pulls_left -= 1;
        }
    }

    /// Allocates address and ports for a new container.
    pub(super) fn allocate(
        &mut self,
        app: &AppName,
        ports: &[Port],
    ) -> Result<NetworkAllocation, NotReadyCause> {
        self.allocator.allocate(&self.view.facts, &mut self.state, app, ports)
    }

    /// The cursors of the pools that this pass has allocated from.
    pub(super) fn cursors(&self) -> &BTreeMap<LeasePool, PoolCursor> {
        self.allocator.cursors()
    }

    pub(super) fn finish(mut self) -> NodePlan {
        if self.state != self.view.state {
            self.plan.state = Some(self.state);
        }
        self.plan
    }
}
