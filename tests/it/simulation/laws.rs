//! What must never happen, noted at the moment it does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coxswain::engine::fake::{FakeEngine, Mutation};
use coxswain::engine::{ContainerState, LABEL_REPLICA, LABEL_STORE, ObservedContainer};
use coxswain::model::{
    ContainerId, EndpointId, PoolEndpoint, Replica, ReplicaName, Service, ServiceName, StoreId, key,
};
use coxswain::orchestrator::Bounds;
use coxswain::store::{EmbeddedStore, Op};

use super::balancer::{Balancer, container_of};
use super::clock::SimClock;

/// The judge of a run.
pub(super) struct Laws {
    store: StoreId,
    clock: SimClock,
    engine: FakeEngine,
    pub(super) balancer: Arc<Mutex<Balancer>>,
    /// The drain time of every release of the run.
    pub(super) drain: Duration,
    found: Mutex<Vec<String>>,
    /// What happened, in order: printed with a violation.
    story: Mutex<Vec<String>>,
    /// Replicas by the uid of their service, and whether they are stored still.
    issued: Mutex<BTreeMap<(String, ReplicaName), bool>>,
    /// Of which object of a service a replica was last issued.
    of: Mutex<BTreeMap<ReplicaName, String>>,
    /// Containers that ran, by that and their name.
    ran: Mutex<BTreeMap<(String, String), ContainerId>>,
}

impl Laws {
    pub(super) fn new(
        store: StoreId,
        clock: SimClock,
        engine: FakeEngine,
        balancer: Arc<Mutex<Balancer>>,
        drain: Duration,
    ) -> Self {
        let (found, story) = (Mutex::default(), Mutex::default());
        let (issued, of, ran) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { store, clock, engine, balancer, drain, found, story, issued, of, ran }
    }

    /// Something worth reading happened.
    pub(super) fn tell(&self, what: impl std::fmt::Display) {
        let at = self.clock.elapsed().as_millis();
        self.story.lock().unwrap().push(format!("{at:>8} {what}"));
    }

    fn note(&self, what: String) {
        self.tell(format!("!! {what}"));
        self.found.lock().unwrap().push(what);
    }

    /// The first violation, if there is one.
    pub(super) fn broken(&self) -> Option<String> {
        self.found.lock().unwrap().first().cloned()
    }

    /// The whole run so far, its end in full.
    pub(super) fn story(&self, last: usize) -> String {
        let story = self.story.lock().unwrap();
        story[story.len().saturating_sub(last)..].join("\n")
    }

    /// All of it, as a number: two runs of one seed have the same.
    pub(super) fn fingerprint(&self) -> (usize, u64) {
        let story = self.story.lock().unwrap();
        let bytes = story.iter().flat_map(|line| line.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (story.len(), hash)
    }

    pub(super) fn is_ours(&self, container: &ObservedContainer) -> bool {
        container.labels.get(LABEL_STORE).map(String::as_str) == Some(self.store.as_str())
    }

    /// The Engine did this because it was asked to; `before` is how its containers were.
    pub(super) fn happened(&self, mutation: &Mutation, before: &[ObservedContainer]) {
        self.tell(format!("{mutation:?}"));
        let find = |id: &ContainerId| before.iter().find(|c| c.id == *id);
        match mutation {
            Mutation::Kill { id, .. } | Mutation::Remove { id, .. } => {
                find(id).into_iter().for_each(|container| self.ended(container));
            }
            Mutation::Start { id, .. } => {
                find(id).into_iter().for_each(|container| self.started(container, before));
            }
            Mutation::RemoveNetwork { name } => {
                let ours = name.ends_with(&self.store.as_str()[..8]);
                if !ours {
                    self.note(format!("the foreign network {name} was removed"));
                }
            }
            Mutation::Untag { tag } => {
                if !tag.starts_with("coxswain") {
                    self.note(format!("the user's tag {tag} was taken away"));
                }
            }
            Mutation::Create { .. }
            | Mutation::CreateNetwork { .. }
            | Mutation::Pull { .. }
            | Mutation::Tag { .. } => {}
        }
    }

    fn ended(&self, container: &ObservedContainer) {
        let name = &container.name;
        if !self.is_ours(container) {
            return self.note(format!("the foreign container {name} was told to end"));
        }
        let Some(started) = container.started_at.filter(|_| is_up(container)) else { return };
        let id = EndpointId::new(&container.id, started);
        let balancer = self.balancer.lock().unwrap();
        if balancer.may_choose().any(|e| e.id == id) {
            self.note(format!("{name} was told to end while the balancer may choose it"));
        }
        let young = balancer.requests.iter().find(|r| r.endpoint == id && r.began.elapsed() < self.drain);
        if let Some(request) = young {
            let age = request.began.elapsed();
            self.note(format!("{name} was told to end with a request of {age:?} under way"));
        }
    }

    fn started(&self, container: &ObservedContainer, before: &[ObservedContainer]) {
        let name = &container.name;
        if !self.is_ours(container) {
            self.note(format!("the foreign container {name} was started"));
        }
        let replica = container.labels.get(LABEL_REPLICA);
        let of = replica.and_then(|name| self.of.lock().unwrap().get(&ReplicaName::new(name)).cloned());
        let key = (of.unwrap_or_default(), name.clone());
        let earlier = self.ran.lock().unwrap().insert(key, container.id.clone());
        if earlier.is_some_and(|id| id != container.id) {
            self.note(format!("the name {name} was another container's before"));
        }
        let others = before.iter().filter(|c| c.id != container.id && self.is_ours(c) && is_up(c));
        for other in others.filter(|c| c.labels.get(LABEL_REPLICA) == replica) {
            self.note(format!("{name} was started while {} is alive", other.name));
        }
        for endpoint in self.balancer.lock().unwrap().may_choose() {
            let same = container.addresses.values().any(|address| *address == endpoint.address);
            if same && container_of(&endpoint.id) != container.id {
                let (address, there) = (endpoint.address, &endpoint.replica);
                self.note(format!("{name} has {address}, where the balancer still finds {there}"));
            }
        }
    }

    /// A request is sent to this endpoint.
    pub(super) fn sent(&self, endpoint: &PoolEndpoint) {
        if let Some(answer) = self.engine.answer(endpoint.address)
            && answer.container != container_of(&endpoint.id)
        {
            let replica = &endpoint.replica;
            self.note(format!("a request for {replica} reached another container at {}", endpoint.address));
        }
    }

    /// This is stored now.
    pub(super) fn stored(&self, ops: &[Op], store: &EmbeddedStore) {
        let mut grown: Vec<ServiceName> = Vec::new();
        for op in ops {
            match op {
                Op::Put { key, value, .. } if key.starts_with(key::REPLICAS) => {
                    let replica: Replica = serde_json::from_slice(value).unwrap();
                    let desired = replica.desired;
                    self.tell(format!("store {} r{} {desired:?}", replica.name, replica.revision));
                    let Some(uid) = service(store, &replica.service).map(|s| s.metadata.uid) else {
                        continue;
                    };
                    self.of.lock().unwrap().insert(replica.name.clone(), uid.clone());
                    let id = (uid, replica.name.clone());
                    let known = self.issued.lock().unwrap().insert(id, true);
                    match known {
                        None => grown.push(replica.service),
                        Some(true) => {}
                        Some(false) => self.note(format!("{} was issued again", replica.name)),
                    }
                }
                Op::Delete { key } if key.starts_with(key::REPLICAS) => {
                    self.tell(format!("store without {key}"));
                    let name = key.rsplit('/').next().unwrap_or_default();
                    let mut issued = self.issued.lock().unwrap();
                    issued.iter_mut().filter(|(id, _)| id.1.as_str() == name).for_each(|(_, is)| *is = false);
                }
                Op::Put { key, value, .. }
                    if [key::STATUS, key::ENDPOINTS, key::ROLLOUTS].iter().any(|p| key.starts_with(p)) =>
                {
                    self.tell(format!("store {key} {}", String::from_utf8_lossy(value)));
                }
                Op::Put { key, .. } | Op::Delete { key } => self.tell(format!("store {key}")),
            }
        }
        grown.iter().for_each(|name| self.grew(name, store));
    }

    fn grew(&self, name: &ServiceName, store: &EmbeddedStore) {
        let Some(service) = service(store, name) else { return };
        let entries = store.list_now(&key::replicas_of(name)).unwrap().entries;
        let running = entries.iter().filter(|e| e.decode::<Replica>().unwrap().runs()).count();
        let ceiling = Bounds::of(&service.spec).ceiling;
        if running > ceiling {
            self.note(format!("{running} replicas of {name} run, {ceiling} may"));
        }
    }
}

fn service(store: &EmbeddedStore, name: &ServiceName) -> Option<Service> {
    store.get_now(&key::service(name)).unwrap().map(|entry| entry.decode().unwrap())
}

pub(super) fn is_up(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Paused)
}
