//! Values for tests: of this crate, under `tests/` and in the benchmarks.
//!
//! Built for tests and with the feature `testing` only. A test sets the fields that it is about and takes the rest from
//! here: `BalancerReport { applied, ..report("b") }`. So a new field is added in one place.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    Author, BalancerId, BalancerProcess, BalancerReport, BalancerReports, Gadget, GadgetSpec, Generation,
    Incarnation, Metadata, Millis, ReplicaHistory, ReplicaPhase, ReplicaStatus, ResolvedImage,
    RevisionNumber, Rollout, RolloutCuts, RolloutState, Service, ServiceSpec, Trial,
};
use crate::plane::ListBalancers;

/// The report of a balancer that has no table and has served no request.
pub fn report(incarnation: &str) -> BalancerReport {
    BalancerReport::new(Incarnation(incarnation.to_owned()))
}

/// The balancer of a test that has one.
pub fn balancer() -> BalancerId {
    BalancerId::new("local")
}

/// The reports while [`balancer`] is the only one; without a report it is not connected.
pub fn reports(report: Option<BalancerReport>) -> BalancerReports {
    let mut reports = BalancerReports::of_known([balancer()]);
    reports.set(&balancer(), report);
    reports
}

/// Lists these balancers as running.
pub fn running(ids: &[&str]) -> ListBalancers {
    let process = |id: &&str| BalancerProcess { id: BalancerId::new(*id), pid: None };
    let running: Vec<BalancerProcess> = ids.iter().map(process).collect();
    Arc::new(move || Ok(running.clone()))
}

/// A service of the app `shop` with one replica of `image:1`, as `ctl apply` writes it for the first time.
pub fn service(name: &str) -> Service {
    Service {
        metadata: Metadata {
            name: name.into(),
            app: "shop".into(),
            annotations: BTreeMap::new(),
            uid: "u".to_owned(),
            generation: Generation(1),
            created_at: Timestamp::UNIX_EPOCH,
        },
        spec: ServiceSpec { replicas: Some(1), ..ServiceSpec::of_image("image:1") },
        image: ResolvedImage::without_config("image:1", "sha256:aa"),
        restarts: 0,
        intervention: None,
        overrides: Vec::new(),
        deleted_at: None,
        deletes_volumes: false,
        source: None,
        written_by: Author::from("apply"),
        written_at: Timestamp::UNIX_EPOCH,
    }
}

/// A gadget of the app `shop`, as an apply writes it for the first time.
pub fn gadget(name: &str, spec: GadgetSpec) -> Gadget {
    let Service { metadata, written_by, .. } = service(name);
    Gadget { metadata, spec, overrides: Vec::new(), source: None, written_by, is_being_deleted: false }
}

/// The status of a replica in this phase, without a container, since the epoch.
pub fn status(replica: &str, phase: ReplicaPhase) -> ReplicaStatus {
    ReplicaStatus {
        replica: replica.into(),
        phase,
        attempt: 1,
        failures: 0,
        container: None,
        published: BTreeMap::new(),
        address: None,
        ready_after: None,
        since: Timestamp::UNIX_EPOCH,
        trial: Trial::default(),
        diagnosis: None,
        cut: None,
        history: ReplicaHistory::default(),
    }
}

/// A rollout to a revision, in progress since the epoch.
pub fn rollout(target: u64) -> Rollout {
    Rollout {
        observed_generation: Generation(target),
        target: RevisionNumber(target),
        stable: None,
        last_revision: RevisionNumber(target),
        issued_names: BTreeMap::new(),
        failure_baseline: BTreeMap::new(),
        paused: false,
        unstable: BTreeMap::new(),
        cut: RolloutCuts::default(),
        state: RolloutState::Progressing { waited: Millis(0), most_available: 0 },
        since: Timestamp::UNIX_EPOCH,
    }
}
