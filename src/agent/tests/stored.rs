//! What a test writes into the store and reads from it: one service `users` of the app `shop` with one revision.

use super::rig::{NODE, Rig};
use crate::clock::Clock;
use crate::model::{
    AppName, Author, Desired, Endpoint, Generation, Health, HealthCheck, NodeId, Port, Protocol, Pull,
    Replica, ReplicaName, ReplicaPhase, ReplicaStatus, ResolvedImage, Revision, RevisionNumber, Service,
    ServiceSpec, Template, TemplateHash, key,
};
use crate::store::{Op, Store, Txn};
use crate::testing;

impl Rig {
    /// Stores the service with one revision and these replicas, all desired to run.
    pub(super) async fn declare(&self, replicas: &[&str], change: impl FnOnce(&mut ServiceSpec)) {
        let mut spec = ServiceSpec::of_image("users:1");
        spec.ports =
            vec![Port { name: "http".to_owned(), port: 8080, protocol: Protocol::Http, listen: None }];
        spec.health = Health::with(HealthCheck::Http("/healthz".to_owned()));
        spec.pull = Pull::IfMissing;
        change(&mut spec);
        let revision = self.revision(spec);
        let mut ops = vec![Op::put(key::revision(&revision.service, revision.number), &revision)];
        ops.push(Op::put(key::service(&revision.service), &service(&revision)));
        for name in replicas {
            let replica = self.replica(name, Desired::Run);
            ops.push(Op::put(key::replica(&replica.service, &replica.name), &replica));
        }
        self.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    }

    fn revision(&self, spec: ServiceSpec) -> Revision {
        let image = self.image.clone();
        Revision {
            service: "users".into(),
            number: RevisionNumber(1),
            generation: Generation(1),
            hash: Template::of(&spec, &image, 0).hash(),
            image: ResolvedImage::without_config(spec.image.clone(), image),
            spec,
            restarts: 0,
            hash_schema: 1,
            created_at: self.clock.wall(),
            created_by: Author::default(),
        }
    }

    fn replica(&self, name: &str, desired: Desired) -> Replica {
        Replica {
            name: name.into(),
            service: "users".into(),
            app: AppName::new("shop"),
            slot: 1,
            revision: RevisionNumber(1),
            hash: TemplateHash::new("h"),
            node: NodeId::new(NODE),
            created_at: None,
            desired,
        }
    }

    /// Changes the desired state of a replica.
    pub(super) async fn want(&self, name: &str, desired: Desired) {
        let replica = self.replica(name, desired);
        let ops = vec![Op::put(key::replica(&replica.service, &replica.name), &replica)];
        self.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    }

    /// Deletes a replica from the store with all its keys.
    pub(super) async fn forget(&self, name: &str) {
        let service = "users".into();
        let name = ReplicaName::new(name);
        let ops = vec![
            Op::delete(key::replica(&service, &name)),
            Op::delete(key::status(&service, &name)),
            Op::delete(key::endpoint(&service, name.as_str())),
        ];
        self.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    }

    /// Deletes the service from the store, as the orchestrator does once its replicas are gone.
    pub(super) async fn forget_service(&self) {
        let service = "users".into();
        let ops =
            vec![Op::delete(key::service(&service)), Op::delete(key::revision(&service, RevisionNumber(1)))];
        self.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    }

    /// How many events have this reason.
    /// The events so far, as they are stored.
    pub(super) fn events(&self) -> Vec<String> {
        let entries = self.store.list_now(&key::events_of(&"users".into())).unwrap().entries;
        entries.iter().map(|entry| String::from_utf8_lossy(&entry.value).into_owned()).collect()
    }

    pub(super) fn count_events(&self, reason: &str) -> usize {
        self.events().iter().filter(|event| event.contains(reason)).count()
    }

    pub(super) fn status(&self, name: &str) -> Option<ReplicaStatus> {
        let key = key::status(&"users".into(), &name.into());
        self.store.get_now(&key).unwrap().map(|entry| entry.decode().unwrap())
    }

    pub(super) fn phase(&self, name: &str) -> Option<ReplicaPhase> {
        self.status(name).map(|status| status.phase)
    }

    pub(super) fn is_ready(&self, name: &str) -> bool {
        self.phase(name) == Some(ReplicaPhase::Ready)
    }

    pub(super) fn endpoint(&self, name: &str) -> Option<Endpoint> {
        let key = key::endpoint(&"users".into(), name);
        self.store.get_now(&key).unwrap().map(|entry| entry.decode().unwrap())
    }
}

fn service(revision: &Revision) -> Service {
    Service {
        spec: revision.spec.clone(),
        image: revision.image.clone(),
        written_at: revision.created_at,
        ..testing::service("users")
    }
}
