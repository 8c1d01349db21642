//! The loop: one pass at a time, woken by anything, each from the whole state.
//!
//! A pass never waits for the Engine: looks and actions are tasks of their own, and what they bring is taken note of at
//! the start of the next pass. Only the store is waited for.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::address::SubnetError;
use super::availability::Availability;
use super::commit::commit;
use super::draft::NodePlan;
use super::execute::execute;
use super::handle::{AgentConfig, AgentHandle, AgentParts, AgentState, EngineState};
use super::memory::AgentMemory;
use super::node::{BalancerUrl, NodeFacts};
use super::observe::{Hints, Observation, Ticks, follow_events};
use super::plan::plan;
use super::probing::Probes;
use super::report::Report;
use super::requests::LocalNode;
use super::snapshot::Snapshot;
use super::view::{NodeView, Subject};
use super::wake::{changed, follow_store};
use crate::clock::Clock;
use crate::engine::{ContainerState, Engine, EngineError, ObservedContainer};
use crate::model::{BalancerReport, Condition, ContainerId, Millis, Mono, Now, Reason, key};
use crate::probe::Prober;
use crate::registry::{Barrier, Registry};
use crate::store::{Op, Store, StoreError, Txn};

/// Everything is looked at again at least this often.
pub(super) const RESYNC_EVERY: Millis = Millis::secs(30);
/// With an action under way for that long: an Engine that hangs is found out by a look, long before the action's own deadline, so that
/// no rollout runs out of time meanwhile. A pull does not count: it takes as long as it takes.
const RESYNC_WHILE_ACTING: Millis = Millis::secs(5);
/// The loop never comes round faster by itself.
const SHORTEST_WAIT: Millis = Millis(5);
/// Waits after the store failed, from the first to the longest.
const STORE_RETRY: (Millis, Millis) = (Millis(200), Millis::secs(5));
/// Confirmations that may wait; each is answered by the next pass.
const CONFIRM_QUEUE: usize = 16;

/// The agent of one host. Containers are left running when it ends.
pub struct Agent {
    pub(super) config: AgentConfig,
    pub(super) facts: NodeFacts,
    pub(super) engine: Arc<dyn Engine>,
    store: Arc<dyn Store>,
    registry: Arc<Registry>,
    pub(super) clock: Arc<dyn Clock>,
    reports: watch::Receiver<Option<BalancerReport>>,
    probes: Arc<dyn Probes>,
    pub(super) wake: Arc<Notify>,
    confirmations: mpsc::Receiver<oneshot::Sender<Vec<String>>>,
    state: watch::Sender<AgentState>,
    pub(super) hints: Arc<Hints>,
    pub(super) ticks: Ticks,
    pub(super) observation: Observation,
    pub(super) memory: AgentMemory,
    pub(super) availability: Availability,
    snapshot: Snapshot,
    pub(super) busy: BTreeSet<Subject>,
    pub(super) tasks: JoinSet<Report>,
    held: Vec<(ContainerId, String)>,
    pub(super) looked_at: Option<Mono>,
    pub(super) looking: bool,
    /// Since when there has been an action under way, other than pulls, or Docker at removing a container.
    acting_since: Option<Mono>,
    /// Whether the first table went out.
    open: bool,
    /// Whether endpoints were written and the registry has not read them yet: until then no acknowledgement counts.
    unpublished: bool,
    store_failures: u32,
}

/// What a pass came to.
#[derive(Debug, Clone, Default)]
pub struct Pass {
    /// What it decided; empty while nothing is known of the Engine yet.
    pub plan: NodePlan,
    /// Look again after this long at the latest.
    pub wake_after: Millis,
}

impl Agent {
    /// An agent that probes over the network. An error is a network pool that is none.
    pub fn new(parts: AgentParts) -> Result<(Agent, AgentHandle), SubnetError> {
        let wake = Arc::new(Notify::new());
        let woken = wake.clone();
        let (clock, engine) = (parts.clock.clone(), parts.engine.clone());
        let prober = Prober::new(clock, engine, move || woken.notify_one());
        Self::build(parts, Arc::new(prober), wake)
    }

    /// As [`Agent::new`], with probes of the caller's own.
    pub fn with_probes(
        parts: AgentParts,
        probes: Arc<dyn Probes>,
    ) -> Result<(Agent, AgentHandle), SubnetError> {
        Self::build(parts, probes, Arc::new(Notify::new()))
    }

    fn build(
        parts: AgentParts,
        probes: Arc<dyn Probes>,
        wake: Arc<Notify>,
    ) -> Result<(Agent, AgentHandle), SubnetError> {
        let AgentParts { config, engine, store, registry, clock, reports } = parts;
        let facts = NodeFacts {
            node: config.node.clone(),
            node_name: config.node_name.clone(),
            instance: config.instance.clone(),
            store: store.identity().id.clone(),
            pool: config.network_pool.parse()?,
            exposure: config.exposure.unwrap_or_default(),
            balancer: BalancerUrl::default(),
        };
        let (confirm, confirmations) = mpsc::channel(CONFIRM_QUEUE);
        let (state, seen) = watch::channel(AgentState::default());
        let requests = Arc::new(LocalNode::new(Arc::clone(&engine), facts.store.clone()));
        let handle = AgentHandle { wake: wake.clone(), confirm, state: seen, requests };
        let memory = AgentMemory::new(clock.mono());
        let agent = Agent {
            config,
            facts,
            engine,
            store,
            registry,
            clock,
            reports,
            probes,
            wake,
            confirmations,
            state,
            hints: Arc::default(),
            ticks: Ticks::default(),
            observation: Observation::default(),
            memory,
            availability: Availability::default(),
            snapshot: Snapshot::default(),
            busy: BTreeSet::new(),
            tasks: JoinSet::new(),
            held: Vec::new(),
            looked_at: None,
            looking: false,
            acting_since: None,
            open: false,
            unpublished: true,
            store_failures: 0,
        };
        Ok((agent, handle))
    }

    /// Reconciles until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut followers = JoinSet::new();
        followers.spawn(self.follow_events());
        for prefix in [key::REPLICAS, key::SERVICES] {
            followers.spawn(follow_store(self.store.clone(), self.wake.clone(), prefix));
        }
        let mut reports = Some(self.reports.clone());
        loop {
            let pass = self.pass().await;
            let wake = self.wake.clone();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = wake.notified() => {}
                Some(report) = self.tasks.join_next() => self.absorb(report),
                heard = changed(&mut reports), if pass.plan.awaits_balancer => {
                    if heard.is_err() { reports = None; }
                }
                () = tokio::time::sleep(pass.wake_after.std()) => {}
            }
        }
    }

    /// Hears the Engine's events, for as long as it is polled: for simulations, which call [`Agent::pass`] themselves.
    pub fn follow_events(&self) -> impl Future<Output = ()> + Send + use<> {
        let (engine, registry) = (self.engine.clone(), self.registry.clone());
        follow_events(engine, registry, self.hints.clone(), self.wake.clone())
    }

    /// Tells that the Engine was never there, for a daemon that cannot run its agent before it is.
    pub fn waits_for_engine(&self, error: EngineError) {
        self.state.send_modify(|state| state.engine = EngineState::Away(error));
    }

    /// One pass: takes note of what tasks brought, reads, decides, starts actions, writes.
    pub async fn pass(&mut self) -> Pass {
        while let Some(report) = self.tasks.try_join_next() {
            self.absorb(report);
        }
        self.answer_confirmations();
        self.note_acting();
        self.start_looks();
        let decided = match self.observation.is_complete() {
            true => self.decide().await,
            false => Ok(NodePlan::default()),
        };
        let now = self.clock.mono();
        let plan = match decided {
            Ok(plan) => {
                self.store_failures = 0;
                plan
            }
            Err(error) => {
                tracing::warn!(%error, "the store failed; the agent tries again");
                self.store_failures += 1;
                let wait = STORE_RETRY.0.0 << self.store_failures.min(10);
                let wake_after = Some(Millis(wait).min(STORE_RETRY.1));
                NodePlan { wake_after, ..NodePlan::default() }
            }
        };
        self.publish(&plan);
        self.note_acting();
        // A look under way wakes us by itself when it ends.
        let next_look = match self.looking {
            true => RESYNC_EVERY,
            false => self.next_look(now).max(SHORTEST_WAIT),
        };
        let wake_after = plan.wake_after.map_or(next_look, |wait| wait.max(SHORTEST_WAIT).min(next_look));
        Pass { plan, wake_after }
    }

    fn note_acting(&mut self) {
        let removing = |c: &ObservedContainer| c.state == ContainerState::Removing;
        let acting = self.busy.iter().any(|subject| !matches!(subject, Subject::Pull(_)))
            || self.observation.containers().any(removing);
        let since = self.acting_since.unwrap_or_else(|| self.clock.mono());
        self.acting_since = acting.then_some(since);
    }

    /// How long until the next full look is due.
    pub(super) fn next_look(&self, now: Mono) -> Millis {
        let regular = self.availability.next_look(self.looked_at, RESYNC_EVERY, now);
        let Some(since) = self.acting_since else { return regular };
        let sooner = self.looked_at.max(Some(since)).map(|at| at.after(RESYNC_WHILE_ACTING).since(now));
        match self.availability.answers() {
            true => sooner.map_or(regular, |wait| wait.min(regular)),
            false => regular,
        }
    }

    /// Passes until nothing is under way and a pass decides nothing more: for simulations, whose engine answers at once.
    /// At most `limit` passes; says whether that was enough.
    pub async fn settle(&mut self, limit: usize) -> bool {
        for _ in 0..limit {
            let pass = self.pass().await;
            match self.tasks.join_next().await {
                Some(report) => self.absorb(report),
                None if pass.plan.is_empty() => return true,
                None => {}
            }
        }
        false
    }

    async fn decide(&mut self) -> Result<NodePlan, StoreError> {
        self.snapshot.refresh(&*self.store, &self.facts.node).await?;
        if self.unpublished && self.open {
            self.registry.rebuild().await?;
            self.unpublished = false;
        }
        let now = self.clock.now();
        let mut view = self.view();
        self.memory.notice(&view, now);
        view.memory = self.memory.clone();
        let plan = plan(&view, now);
        self.held = plan.held.clone();
        self.carry_out(&plan, now).await?;
        Ok(plan)
    }

    async fn carry_out(&mut self, plan: &NodePlan, now: Now) -> Result<(), StoreError> {
        if !plan.withdraw.is_empty() {
            self.registry.withdraw_now(&plan.withdraw);
        }
        self.probes.retain(&plan.probes.iter().map(|t| t.id.clone()).collect());
        plan.probes.iter().for_each(|target| self.probes.watch(target.clone()));
        let boot_changed = self.snapshot.state.boot_id != self.config.boot_id;
        if plan.state.is_some() || (boot_changed && self.availability.answers()) {
            let mut state = plan.state.clone().unwrap_or_else(|| self.snapshot.state.clone());
            state.boot_id = self.config.boot_id.clone();
            let ops = vec![Op::put(key::node(&self.facts.node), &state)];
            self.store.txn(Txn { compare: Vec::new(), ops }).await?;
        }
        self.memory.planned(plan, now.mono);
        for action in &plan.actions {
            self.busy.insert(action.subject());
            let (engine, ticks, action) = (self.engine.clone(), self.ticks.clone(), action.clone());
            self.tasks.spawn(async move {
                let tick = ticks.next();
                let outcome = execute(&*engine, &ticks, &action).await;
                Report::Acted { tick, action, outcome }
            });
        }
        self.unpublished |= !plan.endpoints.is_empty();
        commit(&*self.store, plan).await?;
        self.memory.stored(plan, now.mono);
        if !self.open && self.availability.answers() {
            self.registry.open().await?;
            self.open = true;
        } else if self.unpublished && self.open {
            self.registry.rebuild().await?;
        }
        self.unpublished &= !self.open;
        Ok(())
    }

    fn view(&self) -> NodeView {
        let replicas = self.snapshot.replicas(&self.facts.node);
        let instances = self.observation.containers().filter_map(super::view::instance_of);
        let probes = instances.filter_map(|id| self.probes.state(&id).map(|state| (id, state))).collect();
        NodeView {
            facts: self.facts.clone(),
            engine_answers: self.availability.answers(),
            state: self.snapshot.state.clone(),
            apps: self.snapshot.apps(),
            replicas,
            stray_endpoints: self.snapshot.stray_endpoints(),
            revisions: self.snapshot.revisions(),
            containers: self.observation.containers().cloned().collect(),
            networks: self.observation.networks().to_vec(),
            subnets: self.observation.subnets().to_vec(),
            probes,
            barrier: if self.open { self.registry.barrier() } else { Barrier::default() },
            busy: self.busy.clone(),
            memory: self.memory.clone(),
        }
    }

    fn answer_confirmations(&mut self) {
        while let Ok(answer) = self.confirmations.try_recv() {
            self.memory.deletion_guard.confirm(self.held.iter().map(|(id, _)| id.clone()));
            // Whoever asked may be gone; the confirmation stands all the same.
            let _ = answer.send(self.held.iter().map(|(_, name)| name.clone()).collect());
        }
    }

    fn publish(&self, plan: &NodePlan) {
        let mut conditions = plan.conditions.clone();
        if let EngineState::Away(error) = self.availability.state() {
            conditions.push(Condition::degraded(Reason::EngineUnavailable, error.to_string()));
        }
        let ours = |c: &&ObservedContainer| {
            c.labels.get(crate::engine::LABEL_STORE).map(String::as_str) == Some(self.facts.store.as_str())
        };
        let new = AgentState {
            engine: self.availability.state().clone(),
            held: self.held.iter().map(|(_, name)| name.clone()).collect(),
            conditions,
            exposure: self.observation.is_complete().then_some(self.facts.exposure).or(self.config.exposure),
            balancer: self.observation.is_complete().then(|| self.facts.balancer.clone()),
            containers: u32::try_from(self.observation.containers().filter(ours).count()).unwrap_or(u32::MAX),
            open: self.open,
        };
        self.state.send_if_modified(|old| {
            let differs = *old != new;
            *old = new;
            differs
        });
    }
}
