//! What must never happen, noted at the moment it does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coxswain::engine::fake::{FakeEngine, Mutation};
use coxswain::engine::{ContainerState, LABEL_REPLICA, LABEL_STORE, ObservedContainer};
use coxswain::model::{
    Cause, ContainerId, Desired, EndpointId, Pace, Replica, ReplicaName, ReplicaPhase, ReplicaStatus,
    Revision, Rollout, RolloutState, Service, ServiceName, StoreId, TableEndpoint, Volume, key,
};
use coxswain::store::{EmbeddedStore, Op, Store};

use super::balancer::{Balancer, container_of};
use super::clock::SimClock;

/// A pass may decide on what it read so long before it writes: what was ready then counts as ready.
const JUST_NOW: Duration = Duration::from_millis(500);

/// By then a ready replica is in the table of a balancer that is there, and the controller has heard so.
const IN_ROTATION: Duration = Duration::from_secs(2);

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
    /// How many daemons have died, and what calls of dead ones made or started when another lived.
    deaths: Mutex<u64>,
    late: Mutex<BTreeSet<ContainerId>>,
    started_late: Mutex<BTreeSet<ContainerId>>,
    /// Containers that a status named.
    reported: Mutex<BTreeSet<ContainerId>>,
    /// From when until when a replica's status last said that it is ready.
    ready: Mutex<BTreeMap<ReplicaName, (Duration, Duration)>>,
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
        let (deaths, late, started_late, reported, ready) = Default::default();
        Self {
            store,
            clock,
            engine,
            balancer,
            drain,
            found,
            story,
            issued,
            of,
            ran,
            deaths,
            late,
            started_late,
            reported,
            ready,
        }
    }

    /// Adds a line to the log of the run.
    pub(super) fn log(&self, what: impl std::fmt::Display) {
        let at = self.clock.elapsed().as_millis();
        self.story.lock().unwrap().push(format!("{at:>8} {what}"));
    }

    /// What the daemon knew and had not stored is lost: a container that it never reported, and that is removed from outside
    /// before the next one looks, was never there.
    pub(super) fn daemon_died(&self) {
        let reported = self.reported.lock().unwrap();
        self.ran.lock().unwrap().retain(|_, container| reported.contains(container));
        *self.deaths.lock().unwrap() += 1;
        self.log("the daemon dies");
    }

    /// Which daemon lives, counted.
    pub(super) fn life(&self) -> u64 {
        *self.deaths.lock().unwrap()
    }

    fn note(&self, what: String) {
        self.log(format!("!! {what}"));
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

    /// The Engine did this because the daemon of that life asked for it; `before` is how its containers were.
    pub(super) fn happened(&self, mutation: &Mutation, before: &[ObservedContainer], life: u64) {
        self.log(format!("{mutation:?}"));
        if let Mutation::Create { id, .. } = mutation
            && life != self.life()
        {
            self.late.lock().unwrap().insert(id.clone());
        }
        let find = |id: &ContainerId| before.iter().find(|c| c.id == *id);
        match mutation {
            Mutation::Kill { id, .. } | Mutation::Remove { id, .. } => {
                find(id).into_iter().for_each(|container| self.ended(container));
            }
            Mutation::Start { id, .. } => {
                find(id).into_iter().for_each(|container| self.started(container, before, life));
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
            | Mutation::Connect { .. }
            | Mutation::CreateNetwork { .. }
            | Mutation::Pull { .. }
            | Mutation::Tag { .. } => {}
        }
    }

    fn ended(&self, container: &ObservedContainer) {
        let name = &container.name;
        if !self.is_ours(container) {
            return self.note(format!("the foreign container {name} was stopped"));
        }
        let Some(started) = container.started_at.filter(|_| is_up(container)) else { return };
        let id = EndpointId::new(&container.id, started);
        let balancer = self.balancer.lock().unwrap();
        if balancer.may_choose().any(|e| e.id == id) {
            self.note(format!("{name} was stopped while the balancer may choose it"));
        }
        // Off its network no request of it can end.
        let drain = if container.addresses.is_empty() { Duration::ZERO } else { self.drain };
        let young = balancer.requests().find(|r| r.endpoint == id && r.began.elapsed() < drain);
        if let Some(request) = young {
            let age = request.began.elapsed();
            self.note(format!("{name} was stopped with a request of {age:?} under way"));
        }
    }

    /// A container that no living daemon has seen was removed from outside. The last daemon may have created it as it died,
    /// without a report: then its name is given again.
    pub(super) fn removed_unseen(&self, container: &ContainerId) {
        self.ran.lock().unwrap().retain(|_, id| id != container);
    }

    fn started(&self, container: &ObservedContainer, before: &[ObservedContainer], life: u64) {
        let name = &container.name;
        if !self.is_ours(container) {
            self.note(format!("the foreign container {name} was started"));
        }
        let replica = container.labels.get(LABEL_REPLICA);
        let of = replica.and_then(|name| self.of.lock().unwrap().get(&ReplicaName::new(name)).cloned());
        let key = (of.unwrap_or_default(), name.clone());
        let earlier = self.ran.lock().unwrap().insert(key, container.id.clone());
        let is_late = self.late.lock().unwrap().contains(&container.id);
        if earlier.is_some_and(|id| id != container.id) && !is_late {
            self.note(format!("the name {name} was another container's before"));
        }
        // What a dead daemon asked for comes when it comes; its successor sees it, and one of the two goes.
        let is_late = life != self.life();
        let mut started_late = self.started_late.lock().unwrap();
        if is_late {
            started_late.insert(container.id.clone());
        }
        let is_known = |c: &ObservedContainer| !is_late && !started_late.contains(&c.id);
        let others =
            before.iter().filter(|c| c.id != container.id && self.is_ours(c) && is_up(c) && is_known(c));
        for other in others.filter(|c| c.labels.get(LABEL_REPLICA) == replica) {
            self.note(format!("{name} was started while {} is alive", other.name));
        }
        for endpoint in self.balancer.lock().unwrap().may_choose() {
            let same = container.addresses.values().any(|address| *address == endpoint.address);
            let published = endpoint.address.is_loopback()
                && endpoint.ports.values().any(|port| container.published.values().any(|own| own == port));
            if (same || published) && container_of(&endpoint.id) != container.id {
                let (address, there) = (endpoint.address, &endpoint.id);
                self.note(format!("{name} has {address}, where the balancer still finds {there}"));
            }
        }
    }

    /// A request is sent to this endpoint.
    pub(super) fn sent(&self, endpoint: &TableEndpoint) {
        let port = endpoint.ports.values().next().copied().unwrap_or_default();
        if let Some(reached) = self.engine.reach((endpoint.address, port).into())
            && reached.container != container_of(&endpoint.id)
        {
            let replica = &endpoint.id;
            self.note(format!("a request for {replica} reached another container at {}", endpoint.address));
        }
    }

    /// This is stored now.
    pub(super) fn stored(&self, ops: &[Op], store: &EmbeddedStore) {
        let mut grown: Vec<Replica> = Vec::new();
        for op in ops {
            match op {
                Op::Put { key, value, .. } if key.starts_with(key::REPLICAS) => {
                    let replica: Replica = serde_json::from_slice(value).unwrap();
                    let desired = replica.desired;
                    self.log(format!("store {} r{} {desired:?}", replica.name, replica.revision));
                    let Some(uid) = service(store, &replica.service).map(|s| s.metadata.uid) else {
                        continue;
                    };
                    self.of.lock().unwrap().insert(replica.name.clone(), uid.clone());
                    let id = (uid, replica.name.clone());
                    let known = self.issued.lock().unwrap().insert(id, true);
                    match known {
                        None => grown.push(replica),
                        Some(true) => {
                            if let Desired::Remove { cause } | Desired::Retain { cause } = desired {
                                self.shrank(&replica, cause, store);
                            }
                        }
                        Some(false) => self.note(format!("{} was issued again", replica.name)),
                    }
                }
                Op::Delete { key } if key.starts_with(key::REPLICAS) => {
                    self.log(format!("store without {key}"));
                    let name = key.rsplit('/').next().unwrap_or_default();
                    let mut issued = self.issued.lock().unwrap();
                    issued.iter_mut().filter(|(id, _)| id.1.as_str() == name).for_each(|(_, is)| *is = false);
                }
                Op::Put { key, value, .. } if key.starts_with(key::STATUS) => {
                    let status: ReplicaStatus = serde_json::from_slice(value).unwrap();
                    self.reported.lock().unwrap().extend(status.container.clone());
                    let (now, mut ready) = (self.clock.elapsed(), self.ready.lock().unwrap());
                    let (since, until) = ready.entry(status.replica.clone()).or_default();
                    match (status.is_ready(), *until == Duration::MAX) {
                        (true, false) => (*since, *until) = (now, Duration::MAX),
                        (false, true) => *until = now,
                        (true, true) | (false, false) => {}
                    }
                    drop(ready);
                    self.log(format!("store {key} {}", String::from_utf8_lossy(value)));
                }
                Op::Put { key, value, .. }
                    if [key::ENDPOINTS, key::ROLLOUTS].iter().any(|p| key.starts_with(p)) =>
                {
                    self.log(format!("store {key} {}", String::from_utf8_lossy(value)));
                }
                Op::Put { key, .. } | Op::Delete { key } | Op::Unencodable { key, .. } => {
                    self.log(format!("store {key}"))
                }
            }
        }
        grown.iter().for_each(|replica| self.grew(replica, store));
    }

    fn grew(&self, new: &Replica, store: &EmbeddedStore) {
        let name = &new.service;
        let Some(service) = service(store, name) else { return };
        let replicas: Vec<Replica> = all(store, &key::replicas_of(name));
        let running = replicas.iter().filter(|r| r.runs()).count();
        let Pace { surge, .. } = service.spec.pace(false);
        let ceiling = usize::try_from(service.spec.replica_count() + surge).unwrap();
        if running > ceiling {
            self.note(format!("{running} replicas of {name} run, {ceiling} may"));
        }
        let written = |replica: &Replica| writes(replica, service.spec.replica_count(), store);
        for other in replicas.iter().filter(|r| r.name != new.name && !has_ended(r, store)) {
            if let Some(volume) = written(other).intersection(&written(new)).next() {
                self.note(format!(
                    "{} is created while {} exists, and both write to {volume}",
                    new.name, other.name
                ));
            }
        }
    }

    /// A replica is not to run any more.
    fn shrank(&self, gone: &Replica, cause: Cause, store: &EmbeddedStore) {
        let name = &gone.service;
        let Some(service) = service(store, name).filter(|s| s.deleted_at.is_none()) else { return };
        let (now, ready) = (self.clock.elapsed(), self.ready.lock().unwrap());
        let is_of =
            |c: &ObservedContainer| c.labels.get(LABEL_REPLICA).is_some_and(|r| *r == gone.name.to_string());
        let runs = self.engine.containers().iter().any(|c| is_of(c) && is_up(c));
        let is_routed = runs && self.balancer.lock().unwrap().chooses(&gone.name);
        let ready_since = ready.get(&gone.name).filter(|spell| spell.1 == Duration::MAX).map(|spell| spell.0);
        if !is_routed || ready_since.is_none_or(|since| now - since < IN_ROTATION) {
            return;
        }
        let rollout: Vec<Rollout> = all(store, &key::rollout(name));
        let back_to = rollout.iter().find(|r| matches!(r.state, RolloutState::RollingBack { .. }));
        if cause != Cause::ScaledDown && back_to.is_some_and(|rollout| rollout.target == gone.revision) {
            self.note(format!("a rollback takes out {}, which it goes back to", gone.name));
        }
        let replicas: Vec<Replica> = all(store, &key::replicas_of(name));
        let was_ready =
            |r: &Replica| ready.get(&r.name).is_some_and(|(_, until)| now.saturating_sub(*until) <= JUST_NOW);
        let left = replicas.iter().filter(|r| r.runs() && was_ready(r)).count();
        let revisions: Vec<Revision> = all(store, &key::revisions_of(name));
        let has_volumes =
            |r: &Revision| !r.spec.volumes.is_empty() || !r.release().image_volumes().is_empty();
        let Pace { missing, .. } = service.spec.pace(revisions.iter().any(has_volumes));
        let floor = service.spec.replica_count().saturating_sub(missing) as usize;
        if left < floor {
            self.note(format!(
                "{} is taken out ({cause:?}), {left} ready are left, {floor} must be",
                gone.name
            ));
        }
    }
}

fn all<T: serde::de::DeserializeOwned>(store: &EmbeddedStore, prefix: &str) -> Vec<T> {
    store.list_now(prefix).unwrap().entries.iter().map(|entry| entry.decode().unwrap()).collect()
}

fn status(replica: &Replica, store: &EmbeddedStore) -> Option<ReplicaStatus> {
    let entry = store.get_now(&key::status(&replica.service, &replica.name)).unwrap()?;
    Some(entry.decode().unwrap())
}

fn has_ended(replica: &Replica, store: &EmbeddedStore) -> bool {
    status(replica, store)
        .is_some_and(|status| matches!(status.phase, ReplicaPhase::Gone | ReplicaPhase::Retained))
}

/// Volumes that bear one container at a time and that this one writes to: its slot's, and a shared one where one is
/// wanted.
fn writes(replica: &Replica, wanted: u32, store: &EmbeddedStore) -> BTreeSet<String> {
    let entry = store.get_now(&key::revision(&replica.service, replica.revision)).unwrap();
    let volumes = entry.map(|entry| entry.decode::<Revision>().unwrap().spec.volumes).unwrap_or_default();
    let alone = |v: &&Volume| !v.read_only && (v.per_replica || wanted <= 1);
    let store = Store::identity(store).id.clone();
    volumes.iter().filter(alone).filter_map(|v| v.docker_name(&replica.app, replica.slot, &store)).collect()
}

fn service(store: &EmbeddedStore, name: &ServiceName) -> Option<Service> {
    store.get_now(&key::service(name)).unwrap().map(|entry| entry.decode().unwrap())
}

pub(super) fn is_up(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Paused)
}
