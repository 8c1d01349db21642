//! The loop: one pass at a time, woken by anything, each from the whole state.
//!
//! A pass never waits for the Engine: listings and actions are tasks, and their results are recorded at the start of the
//! next pass. It waits for the store only.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::action::ActionSubject;
use super::address::{self, SubnetError};
use super::config::AgentConfig;
use super::engine_watch::EngineWatch;
use super::handle::{AgentHandle, AgentParts, AgentState, Confirmation, EngineState};
use super::memory::AgentMemory;
use super::node::{BalancerUrl, NodeFacts};
use super::node_plan::NodePlan;
use super::observe::follow_events;
use super::plan::plan;
use super::publisher::Publisher;
use super::requests::{DoneOnRequest, LocalNode};
use super::snapshot::StoreSnapshot;
use super::task::TaskReport;
use super::view::{NodeView, instance_of};
use super::wake::{changed, follow_store};
use crate::clock::Clock;
use crate::engine::{Engine, EngineError, ObservedContainer, is_check_of, is_of_store};
use crate::model::{Backoff, BalancerReports, Condition, ContainerId, HostPathPolicy, Millis, Reason, key};
use crate::probe::{Prober, Probes};
use crate::store::{Store, StoreError};

/// The shortest time between two passes that nothing has woken.
const SHORTEST_WAIT: Millis = Millis(5);
/// Waits after the store failed.
const STORE_RETRY: Backoff = Backoff::new(Millis(400), Millis::secs(5));
/// Confirmations that may wait; each is answered by the next pass.
const CONFIRM_QUEUE: usize = 16;

/// The agent of one node. Containers keep running when it ends.
pub struct Agent {
    pub(super) config: AgentConfig,
    pub(super) facts: NodeFacts,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    reports: watch::Receiver<BalancerReports>,
    pub(super) probes: Arc<dyn Probes>,
    wake: Arc<Notify>,
    pub(super) confirmations: mpsc::Receiver<Confirmation>,
    state: watch::Sender<AgentState>,
    pub(super) watch: EngineWatch,
    pub(super) publisher: Publisher,
    pub(super) memory: AgentMemory,
    pub(super) snapshot: StoreSnapshot,
    pub(super) busy: BTreeSet<ActionSubject>,
    pub(super) tasks: JoinSet<TaskReport>,
    pub(super) host_paths: Arc<HostPathPolicy>,
    pub(super) held: Vec<(ContainerId, String)>,
    pub(super) missing_volumes: BTreeSet<String>,
    done: Arc<DoneOnRequest>,
    store_failures: u32,
}

/// The result of a pass.
#[derive(Debug, Clone, Default)]
pub struct AgentPass {
    /// Empty until the Engine's objects were listed.
    pub plan: NodePlan,
    /// The next pass is due after this long at the latest.
    pub wake_after: Millis,
}

impl Agent {
    /// An agent that probes over the network.
    ///
    /// # Errors
    /// The network pool is not a subnet.
    pub fn new(parts: AgentParts) -> Result<(Agent, AgentHandle), SubnetError> {
        let wake = Arc::new(Notify::new());
        let woken = wake.clone();
        let prober = Prober::new(parts.clock.clone(), parts.engine.clone(), move || woken.notify_one());
        Self::build(parts, Arc::new(prober), wake)
    }

    /// As [`Agent::new`], with the caller's probes.
    #[cfg(any(test, feature = "testing"))]
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
        let AgentParts { config, engine, store, registry, clock } = parts;
        let facts = NodeFacts {
            node: config.node.clone(),
            node_name: config.node_name.clone(),
            instance: config.instance.clone(),
            store: store.identity().id.clone(),
            pool: address::parse(&config.network_pool)?,
            exposure: config.exposure.unwrap_or_default(),
            balancer: BalancerUrl::default(),
            program: None,
        };
        let (confirm, confirmations) = mpsc::channel(CONFIRM_QUEUE);
        let (state, states) = watch::channel(AgentState::default());
        let done = Arc::<DoneOnRequest>::default();
        let host_paths = Arc::new(config.host_paths.clone());
        let local = LocalNode::new(Arc::clone(&engine), facts.store.clone(), Arc::clone(&done));
        let requests = Arc::new(local.with_host_paths(Arc::clone(&host_paths)));
        let handle = AgentHandle { wake: wake.clone(), confirm, state: states, requests };
        let agent = Agent {
            config,
            facts,
            engine,
            store,
            reports: registry.reports(),
            probes,
            wake,
            confirmations,
            state,
            watch: EngineWatch::default(),
            publisher: Publisher::new(registry),
            memory: AgentMemory::new(clock.mono()),
            clock,
            snapshot: StoreSnapshot::default(),
            busy: BTreeSet::new(),
            tasks: JoinSet::new(),
            host_paths,
            held: Vec::new(),
            missing_volumes: BTreeSet::new(),
            done,
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
                () = shutdown.cancelled() => return self.abandon_checks().await,
                () = wake.notified() => {}
                Some(report) = self.tasks.join_next() => self.absorb(report),
                received = changed(&mut reports), if pass.plan.awaits_balancer => {
                    if received.is_err() { reports = None; }
                }
                () = tokio::time::sleep(pass.wake_after.std()) => {}
            }
        }
    }

    /// Follows the Engine's events, for as long as it is polled: for simulations, which call [`Agent::pass`] themselves.
    pub fn follow_events(&self) -> impl Future<Output = ()> + Send + use<> {
        let registry = self.publisher.registry();
        follow_events(self.engine.clone(), registry, self.watch.hints.clone(), self.wake.clone())
    }

    /// Reports that the Engine has never answered, for a daemon that cannot run its agent before it does.
    pub(super) fn waits_for_engine(&self, error: EngineError) {
        self.state.send_modify(|state| state.engine = EngineState::Unavailable(error));
    }

    /// One pass: records what tasks reported, reads, decides, starts actions, writes.
    pub async fn pass(&mut self) -> AgentPass {
        while let Some(report) = self.tasks.try_join_next() {
            self.absorb(report);
        }
        self.answer_confirmations();
        self.watch.note_actions(&self.busy, self.clock.mono());
        self.start_listings();
        let decided = match self.publisher.may_plan() {
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
                tracing::warn!(%error, "the store failed; the agent retries");
                self.store_failures += 1;
                let wake_after = Some(STORE_RETRY.wait(self.store_failures));
                NodePlan { wake_after, ..NodePlan::default() }
            }
        };
        self.publish_state(&plan);
        self.watch.note_actions(&self.busy, now);
        let next_listing = self.watch.next_listing(now).max(SHORTEST_WAIT);
        let wake_after =
            plan.wake_after.map_or(next_listing, |wait| wait.max(SHORTEST_WAIT).min(next_listing));
        AgentPass { plan, wake_after }
    }

    /// Passes until nothing is under way and a pass decides nothing more: for simulations, whose engine answers at once.
    /// At most `limit` passes; returns whether that was enough.
    #[cfg(any(test, feature = "testing"))]
    pub async fn pass_until_idle(&mut self, limit: usize) -> bool {
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
        self.publisher.catch_up().await?;
        self.memory.allow_recreation(&self.done.take_removed_volumes());
        self.memory.exits.killed_on_request(self.done.take_killed());
        let now = self.clock.now();
        let (plan, memory) = plan(&self.view(), std::mem::take(&mut self.memory), now);
        self.memory = memory;
        self.held.clone_from(&plan.held);
        self.missing_volumes.clone_from(&plan.missing_volumes);
        self.carry_out(&plan, now).await?;
        Ok(plan)
    }

    fn view(&self) -> NodeView {
        let observation = &self.watch.observation;
        let instances = observation.containers().filter_map(instance_of);
        let probes = instances.filter_map(|id| self.probes.state(&id).map(|state| (id, state))).collect();
        NodeView {
            facts: self.facts.clone(),
            engine_answers: self.watch.availability.answers(),
            state: self.snapshot.state.clone(),
            apps: self.snapshot.apps(),
            replicas: self.snapshot.replicas(&self.facts.node),
            stray_endpoints: self.snapshot.stray_endpoints(),
            revisions: self.snapshot.revisions(),
            containers: observation.containers().cloned().collect(),
            networks: observation.networks().to_vec(),
            subnets: observation.subnets().to_vec(),
            probes,
            barrier: self.publisher.barrier(),
            busy: self.busy.clone(),
        }
    }

    fn publish_state(&self, plan: &NodePlan) {
        let availability = &self.watch.availability;
        let mut conditions = plan.conditions.clone();
        if let EngineState::Unavailable(error) = availability.state() {
            conditions.push(Condition::degraded(Reason::EngineUnavailable, error.to_string()));
        }
        if let Some(message) = self.probes.shortage() {
            let message = format!("probes cannot be made, replicas keep their state: {message}");
            conditions.push(Condition::degraded(Reason::ProbesNotMade, message));
        }
        let is_known = self.publisher.may_plan();
        let containers = self.watch.observation.containers();
        let store = &self.facts.store;
        let is_ours =
            |c: &&ObservedContainer| is_of_store(&c.labels, store) && !is_check_of(&c.labels, store);
        let ours = containers.filter(is_ours).count();
        let new = AgentState {
            engine: availability.state().clone(),
            conditions,
            missing_volumes: plan.missing_volumes.clone(),
            exposure: is_known.then_some(self.facts.exposure).or(self.config.exposure),
            balancer: is_known.then(|| self.facts.balancer.clone()),
            containers: u32::try_from(ours).unwrap_or(u32::MAX),
            open: self.publisher.is_open(),
        };
        self.state.send_if_modified(|old| {
            let differs = *old != new;
            *old = new;
            differs
        });
    }
}
