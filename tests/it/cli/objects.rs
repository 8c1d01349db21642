//! Objects that the scripted daemon shows.

use coxswain::api::types::{
    CertificateObject, DaemonStatus, EndpointObject, EventObject, NodeObject, ObjectCondition, ObjectImage,
    ObjectMetadata, OperationOutcome, OperationProgress, RefusedConnections, ReplicaObject, ReplicaProgress,
    RevisionObject, RolloutDeadline, RolloutFailureDetail, RolloutStatus, ServiceObject, ServiceStatus,
    VolumeObject, WriteAction, WrittenObject,
};
use coxswain::clock::wall_time;
use coxswain::controller::{ReplicaSnapshot, RevisionSnapshot};
use coxswain::model::{
    Author, CertificateState, ConditionKind, Desired, EndpointState, EndpointStats, EnvValue, Epoch,
    EventKind, EventReason, FailureReason, Generation, LastExit, Millis, NotReadyCause, OutcomeRecord, Port,
    Protocol, Reason, Replica, ReplicaName, ReplicaPhase, ReplicaStatus, ResolvedImage, Revision,
    RevisionNumber, RevisionOutcome, Rollout, RolloutDirection, RolloutFailure, RolloutState, Route,
    ServiceSpec, TableName, Trial,
};
use coxswain::testing;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Half a minute of slack either way: what is shown as `2m` stays so however slow the test is.
pub(super) fn minutes_ago(minutes: i64) -> Timestamp {
    Timestamp::from_second(wall_time().as_second() - minutes * 60 - 5).unwrap()
}

pub(super) fn image(tag: &str) -> ObjectImage {
    resolved(tag).into()
}

fn resolved(tag: &str) -> ResolvedImage {
    let digit = tag.len() % 10;
    let pinned = format!("sha256:c0ffee{}", digit.to_string().repeat(58));
    ResolvedImage::without_config(format!("users:{tag}"), pinned)
}

/// Text that YAML would take for something else if it were not quoted.
const TEXTS: [&str; 8] = ["no", "3.10", "", "~", "null", " x: y", "0o17", "2026-01-01"];

fn spec(name: &str, tag: &str) -> ServiceSpec {
    let env = TEXTS.iter().enumerate();
    ServiceSpec {
        env: env.map(|(n, text)| (format!("TEXT_{n}"), EnvValue::Text((*text).to_owned()))).collect(),
        replicas: Some(3),
        ports: vec![Port { name: "http".into(), port: 8080, protocol: Protocol::Http, listen: None }],
        routes: vec![Route::to(Some("shop.acme.dev".into()), format!("/{name}"))],
        ..ServiceSpec::of_image(format!("users:{tag}"))
    }
}

pub(super) fn condition(kind: ConditionKind, status: bool, reason: Reason, message: &str) -> ObjectCondition {
    ObjectCondition { kind, status, reason, message: message.to_owned() }
}

/// A rollout with five minutes to make progress.
pub(super) fn rollout(target: u64, stable: Option<u64>, state: RolloutState) -> RolloutStatus {
    let stable = stable.map(RevisionNumber);
    let rollout = Rollout { stable, state, since: minutes_ago(1), ..testing::rollout(target) };
    let is_under_way = rollout.state.is_under_way();
    let deadline = RolloutDeadline { remaining: Millis::secs(300), replica: None, rolls_back_to: stable };
    RolloutStatus { deadline: is_under_way.then_some(deadline), ..RolloutStatus::new(rollout, None) }
}

/// A service `name` at revision 9, all ready.
pub(super) fn service(name: &str) -> ServiceObject {
    ServiceObject {
        metadata: ObjectMetadata {
            name: name.into(),
            app: "shop".into(),
            annotations: [].into(),
            uid: "7d3f".to_owned(),
            generation: Generation(9),
            created_at: minutes_ago(3 * 24 * 60),
        },
        spec: spec(name, "v1"),
        status: ServiceStatus {
            volumes: Vec::new(),
            observed_generation: Generation(9),
            conditions: vec![condition(ConditionKind::Ready, true, Reason::AllAvailable, "")],
            wanted: 3,
            available: 3,
            image: image("v1"),
            rollout: Some(rollout(9, Some(9), RolloutState::Complete)),
            troubles: Vec::new(),
            waits: Vec::new(),
            failed_requests: None,
            cut_requests: Vec::new(),
            overrides: Vec::new(),
            restart_count: 0,
            last_exit: None,
            changed_at: minutes_ago(2),
        },
    }
}

pub(super) fn failed(revision: u64) -> RolloutFailureDetail {
    failure(revision).into()
}

pub(super) fn failure(revision: u64) -> RolloutFailure {
    let observed = vec![
        "users-10-a exited with code 1 before its first healthy check, attempt 3".to_owned(),
        "users-10-b waiting".to_owned(),
    ];
    RolloutFailure {
        revision: RevisionNumber(revision),
        reason: FailureReason::DeadlineExceeded { deadline: Millis::secs(300), observed },
        at: minutes_ago(1),
    }
}

pub(super) fn progressing() -> RolloutState {
    RolloutState::Progressing { waited: Millis(0), most_available: 0 }
}

pub(super) fn status(replica: &str, phase: ReplicaPhase) -> ReplicaStatus {
    let ready = phase == ReplicaPhase::Ready;
    ReplicaStatus {
        replica: ReplicaName::new(replica),
        phase,
        attempt: 1,
        failures: 0,
        container: Some(coxswain::model::ContainerId::new("4f".repeat(32))),
        published: Default::default(),
        address: Some("10.209.1.4".parse().unwrap()),
        ready_after: ready.then_some(Millis(2_250)),
        trial: Trial::default(),
        since: minutes_ago(5),
        diagnosis: None,
        cut: None,
        history: Default::default(),
    }
}

/// Segmentation faults, the last one 12 minutes ago.
pub(super) fn crashed_often(name: &str, phase: ReplicaPhase) -> ReplicaObject {
    let mut crashed = replica(name, phase);
    let status = crashed.status.as_mut().unwrap();
    status.attempt = 6;
    status.restart_count = 5;
    let cause = NotReadyCause::Exited { code: 139, was_healthy: true };
    let at = minutes_ago(12);
    status.last_exit =
        Some(LastExit { at, cause, container: coxswain::model::ContainerId::new("5e".repeat(32)) }.into());
    crashed
}

pub(super) fn unhealthy() -> NotReadyCause {
    NotReadyCause::unhealthy("GET /healthz → 503 \"\x1b[31mwarming cache\"")
}

pub(super) fn exited() -> ReplicaPhase {
    ReplicaPhase::BackOff {
        cause: NotReadyCause::Exited { code: 1, was_healthy: false },
        retry_at: minutes_ago(0),
    }
}

pub(super) fn replica(name: &str, phase: ReplicaPhase) -> ReplicaObject {
    let available = phase == ReplicaPhase::Ready;
    let replica = Replica {
        name: ReplicaName::new(name),
        service: "users".into(),
        app: "shop".into(),
        slot: 1,
        revision: RevisionNumber(9),
        hash: coxswain::model::TemplateHash::new("ab12"),
        node: coxswain::model::NodeId::new("ELK1"),
        created_at: None,
        desired: match phase {
            ReplicaPhase::Draining | ReplicaPhase::Stopping => {
                Desired::Remove { cause: coxswain::model::Cause::Replaced }
            }
            _ => Desired::Run,
        },
    };
    let status = Some(status(name, phase));
    let stats = EndpointStats { in_flight: 3, ..EndpointStats::default() };
    ReplicaSnapshot { replica, status, available, stats, image: resolved("v1") }.into()
}

pub(super) fn endpoint() -> EndpointObject {
    EndpointObject {
        name: "users-9-a".to_owned(),
        service: "users".into(),
        origin: coxswain::model::OriginName::Managed,
        replica: Some(ReplicaName::new("users-9-a")),
        revision: RevisionNumber(9),
        address: "10.209.1.4".parse().unwrap(),
        ports: [("http".to_owned(), 8080)].into(),
        http2_ports: [].into(),
        via: coxswain::model::EndpointVia::Direct,
        state: EndpointState::Ready,
        weight: 1,
        container: Some(coxswain::model::ContainerId::new("4f".repeat(32))),
        started_at: Some(minutes_ago(5)),
    }
}

/// A revision with its outcome; revision 9 runs.
pub(super) fn revision(number: u64, tag: &str, outcome: Option<RevisionOutcome>) -> RevisionObject {
    let record = outcome.map(|outcome| OutcomeRecord {
        revision: RevisionNumber(number),
        outcome,
        at: minutes_ago(2),
    });
    RevisionSnapshot { revision: stored_revision(number, tag), record, current: number == 9 }.into()
}

fn stored_revision(number: u64, tag: &str) -> Revision {
    Revision {
        service: "users".into(),
        number: RevisionNumber(number),
        generation: Generation(number),
        spec: spec("users", tag),
        image: resolved(tag),
        restarts: 0,
        hash: coxswain::model::TemplateHash::new("ab12"),
        hash_schema: 1,
        created_at: minutes_ago(3),
        created_by: Author { command: format!("rollout users --image {tag}"), user: "ann".to_owned() },
    }
}

pub(super) fn host() -> NodeObject {
    NodeObject {
        missing_volumes: BTreeSet::new(),
        id: coxswain::model::NodeId::new("ELK1"),
        name: "elk".to_owned(),
        engine: "Docker 29.0.1, API 1.52".to_owned(),
        available: true,
        kind: Some(coxswain::model::EngineKind::Native),
        exposure: Some(coxswain::model::ExposureMode::Bridge),
        unenforced: Vec::new(),
        containers: 4,
    }
}

/// A volume of a manifest, and one that an image declares and no service uses any more.
pub(super) fn volumes() -> Vec<VolumeObject> {
    let named = VolumeObject {
        name: "coxswain-shop.avatars-5708e000".to_owned(),
        app: "shop".into(),
        node: coxswain::model::NodeId::new("ELK1"),
        volume: Some("avatars".to_owned()),
        image_path: None,
        services: vec!["users".into(), "web".into()],
    };
    let of_image = VolumeObject {
        name: "coxswain-shop.db.1.0fc1a8d3-5708e000".to_owned(),
        volume: None,
        image_path: Some("/data/db".to_owned()),
        services: Vec::new(),
        ..named.clone()
    };
    vec![named, of_image]
}

/// A certificate whose life is over, and one that cannot be read.
pub(super) fn certificates() -> Vec<CertificateObject> {
    let over = CertificateObject {
        host: "a.shop.test".to_owned(),
        source: "/etc/ssl/a.pem".to_owned(),
        services: vec!["users".into()],
        state: CertificateState::OutOfDate,
        reason: Some("/etc/ssl/a.pem expired on 2026-01-31".to_owned()),
        not_before: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        not_after: Some("2026-01-31T00:00:00Z".parse().unwrap()),
        issuer: Some("CN=issuer".to_owned()),
    };
    let broken = CertificateObject {
        host: "shop.example".to_owned(),
        source: "/etc/ssl/shop.pem".to_owned(),
        services: vec!["users".into(), "web".into()],
        state: CertificateState::Missing,
        reason: Some("cannot read /etc/ssl/shop.pem: permission denied".to_owned()),
        not_before: None,
        not_after: None,
        issuer: None,
    };
    vec![over, broken]
}

pub(super) fn daemon() -> DaemonStatus {
    let table = TableName { store: "3f2a".into(), epoch: Epoch(2), revision: 41 };
    DaemonStatus {
        version: "0.1.0".to_owned(),
        pid: 4242,
        uptime: Millis::secs(7_300),
        store: "3f2a".into(),
        store_revision: 912,
        node: host(),
        table: Some(table.clone()),
        acknowledged: Some(table),
        balancers: Vec::new(),
        connections: RefusedConnections::default(),
        held_requests: 0,
        http: vec!["0.0.0.0:8080".to_owned()],
        https: Vec::new(),
        services: 2,
        conditions: Vec::new(),
    }
}

pub(super) fn event(kind: EventKind, reason: EventReason, message: &str) -> EventObject {
    EventObject {
        at: "2026-01-01T00:00:00.25Z".parse().unwrap(),
        object: "replica/users-9-a".to_owned(),
        kind,
        reason,
        message: message.to_owned(),
        cut_requests: Vec::new(),
    }
}

pub(super) fn result(name: &str, action: WriteAction) -> WrittenObject {
    WrittenObject {
        object: (&coxswain::model::ServiceName::new(name)).into(),
        action,
        generation: Generation(10),
        image: Some(image("v2")),
        changes: Vec::new(),
        notes: Vec::new(),
        kept: Vec::new(),
        conflicts: Vec::new(),
    }
}

/// A snapshot of users on its way from revision 9 to 10; a replica is named with its phase.
pub(super) fn snapshot(
    available: u32,
    replicas: &[(&str, ReplicaPhase)],
    outcome: Option<OperationOutcome>,
) -> OperationProgress {
    let replica = |(name, phase): &(&str, ReplicaPhase)| ReplicaProgress {
        name: ReplicaName::new(*name),
        revision: RevisionNumber(10),
        runs: !matches!(phase, ReplicaPhase::Draining | ReplicaPhase::Stopping | ReplicaPhase::Gone),
        available: *phase == ReplicaPhase::Ready,
        status: Some(status(name, phase.clone()).into()),
        in_flight: 0,
        drained: 0,
        counters: None,
    };
    OperationProgress {
        service: "users".into(),
        observed: Generation(10),
        direction: RolloutDirection::Forward,
        from: Some(RevisionNumber(9)),
        target: RevisionNumber(10),
        wanted: 2,
        stops_first: false,
        available,
        replicas: replicas.iter().map(replica).collect(),
        held_by: Vec::new(),
        counted: None,
        failed_requests: None,
        cut_requests: Vec::new(),
        outcome,
    }
}
