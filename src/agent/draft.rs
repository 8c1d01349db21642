//! A plan in the making, and the plan. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::address;
use super::round::{self, Holding, Round, Stand};
use super::view::{NetworkRecord, NodeState, NodeView, Subject};
use crate::engine::{ContainerSpec, NetworkSpec};
use crate::model::{
    AppName, Condition, ContainerId, Endpoint, EndpointId, Event, ExposureMode, Millis, Now, Port,
    ReplicaName, ReplicaStatus, ServiceName, WaitReason,
};
use crate::probe::ProbeTarget;

/// Containers being made or started at once. Eight keep two cores and one Docker daemon busy; more only queue in it.
pub const MAX_STARTS: usize = 8;
/// Images pulled at once, Docker's own number of layers at once.
pub const MAX_PULLS: usize = 3;

/// Something to do. The executor does it and makes no choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentAction {
    /// Ask whether the Engine has an image.
    FindImage {
        /// Pinned form.
        image: String,
    },
    /// Pull an image.
    Pull {
        /// Pinned form.
        image: String,
    },
    /// Make the network of an app.
    CreateNetwork {
        /// What.
        spec: Box<NetworkSpec>,
    },
    /// Make the volumes of a container and the container, start it and look at it.
    Create {
        /// Whose.
        replica: ReplicaName,
        /// Which attempt it is.
        attempt: u32,
        /// Where the rounds stand that this pass has taken from so far.
        rounds: BTreeMap<Round, Stand>,
        /// What.
        spec: Box<ContainerSpec>,
    },
    /// Start a container that was made before, and look at it.
    Start {
        /// Whose.
        replica: ReplicaName,
        /// Which.
        container: ContainerId,
    },
    /// Ask a container to stop.
    Signal {
        /// Which.
        container: ContainerId,
        /// What runs in it.
        instance: EndpointId,
        /// With which signal.
        signal: String,
        /// Whether it is the last word.
        kill: bool,
    },
    /// Look into a container that does not get healthy.
    Examine {
        /// Whose.
        replica: ReplicaName,
        /// Which.
        container: ContainerId,
    },
    /// Remove a container.
    Remove {
        /// Which.
        container: ContainerId,
    },
    /// Remove a network.
    RemoveNetwork {
        /// Which.
        name: String,
    },
    /// Protect an image by a tag of ours.
    Tag {
        /// Pinned form.
        image: String,
        /// `repository:tag`.
        tag: String,
    },
    /// Take such a tag away.
    Untag {
        /// `repository:tag`.
        tag: String,
    },
}

impl AgentAction {
    /// What it is under way on.
    pub fn subject(&self) -> Subject {
        match self {
            Self::FindImage { image } => Subject::Image(image.clone()),
            Self::Pull { image } => Subject::Pull(image.clone()),
            Self::CreateNetwork { spec } => Subject::Network(spec.name.clone()),
            Self::Create { replica, .. } | Self::Start { replica, .. } => Subject::Replica(replica.clone()),
            Self::Signal { container, .. } | Self::Remove { container } | Self::Examine { container, .. } => {
                Subject::Container(container.clone())
            }
            Self::RemoveNetwork { name } => Subject::Network(name.clone()),
            Self::Tag { tag, .. } | Self::Untag { tag } => Subject::Tag(tag.clone()),
        }
    }
}

/// A write of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointWrite {
    /// Register it, or change its state.
    Put(Endpoint),
    /// Withdraw it.
    Delete {
        /// Of which service.
        service: ServiceName,
        /// Of which replica.
        replica: ReplicaName,
    },
}

/// What a new container is given to be reached at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allotment {
    /// On its app's network.
    pub(super) address: Ipv4Addr,
    /// Its own ports with those of 127.0.0.1, where it is to be published.
    pub(super) published: BTreeMap<u16, u16>,
}

/// Everything one pass decided.
#[derive(Debug, Clone, Default)]
pub struct NodePlan {
    /// Out of our own balancer now, before any write: what ran there has ended.
    pub withdraw: Vec<EndpointId>,
    /// To be stored before the actions start.
    pub state: Option<NodeState>,
    /// To do, at once and side by side.
    pub actions: Vec<AgentAction>,
    /// To be stored, each together with its endpoint.
    pub statuses: Vec<(ServiceName, ReplicaStatus)>,
    /// To be stored.
    pub endpoints: Vec<EndpointWrite>,
    /// To be stored.
    pub events: Vec<(ServiceName, Event)>,
    /// Everything to be probed; what is not here is not probed any more.
    pub probes: Vec<ProbeTarget>,
    /// Containers whose removal waits for `ctl confirm`.
    pub held: Vec<(ContainerId, String)>,
    /// Containers without a replica that are on their way out.
    pub released: Vec<ContainerId>,
    /// Endpoints whose long wait for a balancer is told with this plan.
    pub told: Vec<EndpointId>,
    /// What is so of this host.
    pub conditions: Vec<Condition>,
    /// Look again after this long even if nothing wakes us.
    pub wake_after: Option<Millis>,
    /// Whether a balancer's report may change the next plan.
    pub awaits_balancer: bool,
}

impl NodePlan {
    /// Whether there is nothing to do and nothing to write.
    pub fn is_empty(&self) -> bool {
        self.withdraw.is_empty()
            && self.state.is_none()
            && self.actions.is_empty()
            && self.statuses.is_empty()
            && self.endpoints.is_empty()
            && self.events.is_empty()
    }
}

/// A plan in the making: the plan, and what is left to give out in this pass.
pub(super) struct Draft<'a> {
    pub(super) view: &'a NodeView,
    pub(super) now: Now,
    pub(super) plan: NodePlan,
    state: NodeState,
    starts_left: usize,
    pulls_left: usize,
    in_use: BTreeSet<Holding>,
    rounds: BTreeMap<Round, Stand>,
    claimed: BTreeSet<Subject>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(view: &'a NodeView, now: Now) -> Self {
        let count = |f: fn(&Subject) -> bool| view.busy.iter().filter(|s| f(s)).count();
        let starts = count(|s| matches!(s, Subject::Replica(_)));
        let pulls = count(|s| matches!(s, Subject::Pull(_)));
        Self {
            view,
            now,
            plan: NodePlan::default(),
            state: view.state.clone(),
            starts_left: MAX_STARTS.saturating_sub(starts),
            pulls_left: MAX_PULLS.saturating_sub(pulls),
            in_use: view.memory.holdings.in_use(),
            rounds: BTreeMap::new(),
            claimed: BTreeSet::new(),
        }
    }

    /// Does this unless something is under way on its subject, or failed on it a moment ago. Says whether it will be done.
    pub(super) fn act(&mut self, action: AgentAction) -> bool {
        let subject = action.subject();
        if let Some(rest) = self.view.memory.rests_for(&subject, self.now.mono) {
            self.wake(rest);
            return false;
        }
        let free = !self.is_busy(&subject) && self.claimed.insert(subject);
        if free {
            self.plan.actions.push(action);
        }
        free
    }

    pub(super) fn is_busy(&self, subject: &Subject) -> bool {
        self.view.busy.contains(subject)
    }

    /// Whether something is under way on it, or will be with this plan.
    pub(super) fn is_claimed(&self, subject: &Subject) -> bool {
        self.is_busy(subject) || self.claimed.contains(subject)
    }

    /// Looks again then at the latest.
    pub(super) fn wake(&mut self, after: Millis) {
        let soonest = self.plan.wake_after.map_or(after, |before| before.min(after));
        self.plan.wake_after = Some(soonest);
    }

    /// One of the starts of this pass, if there is one left.
    pub(super) fn take_start(&mut self) -> bool {
        let left = self.may_start();
        self.starts_left = self.starts_left.saturating_sub(1);
        left
    }

    /// Whether there is one left.
    pub(super) fn may_start(&self) -> bool {
        self.starts_left > 0
    }

    /// Pulls an image unless it is being pulled already, or too many are.
    pub(super) fn pull(&mut self, image: &str) {
        if self.pulls_left > 0 && self.act(AgentAction::Pull { image: image.to_owned() }) {
            self.pulls_left -= 1;
        }
    }

    /// The host's state as this pass leaves it.
    pub(super) fn state_mut(&mut self) -> &mut NodeState {
        &mut self.state
    }

    pub(super) fn state(&self) -> &NodeState {
        &self.state
    }

    /// What a new container with these ports of its own is given.
    pub(super) fn allot(&mut self, app: &AppName, ports: &[Port]) -> Result<Allotment, WaitReason> {
        let address = self.take_address(app).ok_or(WaitReason::NoFreeAddress)?;
        let mut published = BTreeMap::new();
        for own in ports.iter().filter(|_| self.view.facts.exposure == ExposureMode::Published) {
            let port = self.take_port().ok_or_else(|| {
                let message = "every port of 127.0.0.1 that it could be published at is taken".to_owned();
                WaitReason::EngineRefused { message }
            })?;
            published.insert(own.port, port);
        }
        Ok(Allotment { address, published })
    }

    /// An address for a new container; `None` while none is free.
    fn take_address(&mut self, app: &AppName) -> Option<Ipv4Addr> {
        let record: NetworkRecord = self.state.networks.get(app)?.clone();
        let address = |place| Holding::Address(record.subnet.at(place));
        let (place, reserved) =
            self.take(Round::Addresses(app.clone()), address::ROUND, record.reserved, address)?;
        if reserved != record.reserved {
            self.state.networks.insert(app.clone(), NetworkRecord { reserved, ..record });
        }
        Some(record.subnet.at(place))
    }

    /// A port of 127.0.0.1 to publish a container's at; `None` while none is free.
    fn take_port(&mut self) -> Option<u16> {
        let reserved = self.state.ports.unwrap_or_else(|| round::first_port(&self.view.facts.store));
        let port = |place| Holding::Port(round::port(place));
        let (place, reserved) = self.take(Round::Ports, round::ports(), reserved, port)?;
        self.state.ports = Some(reserved);
        Some(round::port(place))
    }

    /// The next free place of a round, and up to where it is reserved then: another block where the last is used up.
    fn take(
        &mut self,
        round: Round,
        length: u64,
        reserved: u64,
        holding: impl Fn(u64) -> Holding,
    ) -> Option<(u64, u64)> {
        let known = self.rounds.get(&round).copied();
        let stand = known.unwrap_or_else(|| self.view.memory.holdings.stand(&round, reserved));
        let since_start = self.now.mono.since(self.view.memory.started);
        let is_free = |place| !self.in_use.contains(&holding(place));
        let place = round::choose(length, stand, since_start, is_free)?;
        self.in_use.insert(holding(place));
        self.rounds.insert(round, Stand { next: place + 1, ..stand });
        Some((place, if place >= reserved { place + round::BLOCK } else { reserved }))
    }

    /// Where the rounds stand that were used in this pass.
    pub(super) fn rounds(&self) -> &BTreeMap<Round, Stand> {
        &self.rounds
    }

    pub(super) fn finish(mut self) -> NodePlan {
        if self.state != self.view.state {
            self.plan.state = Some(self.state);
        }
        self.plan
    }
}
