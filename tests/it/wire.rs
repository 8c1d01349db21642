//! The JSON of every kind of answer, from stored objects in which everything is set, and every word that answers use: the
//! interface of `-o json`.

use std::collections::BTreeMap;

use coxswain::api::types::{
    AuthorityObject, CertificateObject, DaemonStatus, DesiredName, EndpointObject, EventObject,
    FailureReasonName, NodeObject, NotReadyReason, OperationProgress, ReloadOutcomeName, ReplicaObject,
    ReplicaPhaseName, RevisionObject, RevisionOutcomeName, RolloutStateName, RouteResult, ServiceObject,
    WrittenObject,
};
use coxswain::controller::{
    AgentState, AuthorityCertificate, CertificateSnapshot, DaemonSnapshot, EngineInfo, EngineState,
    FieldChange, LogEntry, NodeSnapshot, OperationEnd, Overridden, ProgressSnapshot, ReplicaSnapshot,
    RevisionSnapshot, RolloutDeadline, ServiceSnapshot, WriteAction, WriteResult,
};
use coxswain::manifest::{API_VERSION, ManifestSource, parse};
use coxswain::model::{
    Author, BalancerProcess, BalancerReport, Cause, CertificateState, Condition, ConditionKind,
    ConnectionStats, CutRequests, DaemonRole, Desired, Diagnosis, Endpoint, EndpointOrigin, EndpointState,
    EndpointStats, EndpointVia, EngineKind, Epoch, Event, EventKind, EventReason, Evidence, ExposureMode,
    FailedReplica, FailureReason, Generation, Incarnation, InterventionKind, LastExit, Latencies, Millis,
    Mono, NotReadyCause, OriginName, OutcomeRecord, Override, ProcessState, Reason, Replica, ReplicaHistory,
    ReplicaPhase, ReplicaStatus, ResolvedImage, Revision, RevisionNumber, RevisionOutcome, Rollout,
    RolloutDirection, RolloutFailure, RolloutIntervention, RolloutState, Service, ServiceName, ServiceSpec,
    TableName, Trial,
};
use coxswain::testing;
use jiff::Timestamp;
use serde::Serialize;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn ann() -> Author {
    Author { command: "scale users=3".to_owned(), user: "ann".to_owned() }
}

fn image() -> ResolvedImage {
    ResolvedImage::without_config("users:2", "sha256:aa")
}

fn spec() -> ServiceSpec {
    ServiceSpec { replicas: Some(3), ..ServiceSpec::of_image("users:2") }
}

fn diagnosis() -> Diagnosis {
    Diagnosis {
        cause: NotReadyCause::Exited { code: 1, was_healthy: false },
        evidence: Evidence {
            times: 3,
            within: Millis::secs(14),
            listening: None,
            log: vec!["panic: no such file".to_owned()],
        },
    }
}

fn failure() -> RolloutFailure {
    let case = FailedReplica { replica: "users-3-a".into(), diagnosis: diagnosis(), deadline: None };
    RolloutFailure { revision: RevisionNumber(3), reason: FailureReason::Replica(case), at: at(30) }
}

fn cut() -> CutRequests {
    CutRequests { replica: "users-2-b".into(), requests: Some(3), drain: Some(Millis::secs(10)) }
}

fn rollout() -> Rollout {
    Rollout {
        observed_generation: Generation(4),
        stable: Some(RevisionNumber(2)),
        last_revision: RevisionNumber(3),
        issued_names: BTreeMap::from([(RevisionNumber(3), 7)]),
        failure_baseline: BTreeMap::from([("users-2-a".into(), 1)]),
        paused: true,
        state: RolloutState::RollingBack { failure: failure(), waited: Millis::secs(5), most_available: 1 },
        since: at(31),
        ..testing::rollout(2)
    }
}

fn service() -> Service {
    let mut service = testing::service("users");
    service.metadata.annotations = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
    Service {
        spec: spec(),
        restarts: 1,
        intervention: Some(RolloutIntervention { kind: InterventionKind::Pause, by: ann(), at: at(20) }),
        source: Some("/manifests".to_owned()),
        overrides: vec![Override {
            field: "spec.replicas".to_owned(),
            old: Some(2.into()),
            new: Some(3.into()),
            by: ann(),
            at: at(21),
        }],
        deleted_at: Some(at(50)),
        deletes_volumes: true,
        ..service
    }
}

fn last_exit() -> LastExit {
    let cause = NotReadyCause::Exited { code: 139, was_healthy: true };
    LastExit { at: at(32), cause, container: "c0".into() }
}

fn replica() -> ReplicaSnapshot {
    let cause = NotReadyCause::Exited { code: 1, was_healthy: false };
    ReplicaSnapshot {
        replica: Replica {
            name: "users-3-a".into(),
            service: "users".into(),
            app: "shop".into(),
            slot: 1,
            revision: RevisionNumber(3),
            hash: "ab12".into(),
            node: "node-1".into(),
            created_at: None,
            desired: Desired::Remove { cause: Cause::RolledBack },
        },
        status: Some(ReplicaStatus {
            replica: "users-3-a".into(),
            phase: ReplicaPhase::BackOff { cause, retry_at: at(40) },
            attempt: 4,
            failures: 3,
            container: Some("c1".into()),
            published: BTreeMap::from([(8080, 32768)]),
            address: Some([10, 209, 1, 4].into()),
            ready_after: Some(Millis(2250)),
            trial: Trial { total: Millis(33_000), container: Millis(0), counted_at: Some(at(39)) },
            since: at(33),
            diagnosis: Some(diagnosis()),
            cut: Some(cut()),
            history: ReplicaHistory {
                containers: 4,
                last_exit: Some(last_exit()),
                ..ReplicaHistory::default()
            },
        }),
        available: false,
        stats: EndpointStats {
            in_flight: 2,
            drained: 41,
            requests: 100,
            errors: 1,
            latencies: Latencies::from(vec![0, 0, 100]),
        },
        image: image(),
    }
}

fn node() -> NodeSnapshot {
    let info = EngineInfo {
        id: "node-1".to_owned(),
        name: "elk".to_owned(),
        version: "29.0.1".to_owned(),
        api_version: "1.52".to_owned(),
        memory: "8Gi".parse().ok(),
        cpu: "2".parse().ok(),
        kind: EngineKind::Rootless,
        unenforced: vec!["memory"],
    };
    let state = AgentState {
        engine: EngineState::Available(info),
        exposure: Some(ExposureMode::Published),
        containers: 4,
        ..AgentState::default()
    };
    NodeSnapshot { id: "node-1".into(), state }
}

fn condition() -> Condition {
    Condition::degraded(Reason::EngineUnavailable, "Docker is stopped".to_owned())
}

fn json(answer: &impl Serialize) -> String {
    serde_json::to_string_pretty(answer).unwrap()
}

fn service_snapshot(service: Service) -> ServiceSnapshot {
    ServiceSnapshot {
        service,
        rollout: Some(rollout()),
        deadline: Some(RolloutDeadline {
            remaining: Millis::secs(55),
            replica: Some("users-2-b".into()),
            rolls_back_to: Some(RevisionNumber(2)),
        }),
        conditions: vec![condition()],
        wanted: 3,
        available: 2,
        image: image(),
        troubles: vec!["users-3-a: exited with code 1".to_owned()],
        waits: vec!["users-2-b must stay healthy for another 8s".to_owned()],
        failed_requests: Some(0),
        cut: vec![cut()],
        volumes: vec!["coxswain-shop.data-3f2a".to_owned()],
        restart_count: 3,
        last_exit: Some(("users-3-a".into(), last_exit())),
    }
}

#[test]
fn service_shows_its_rollout_without_what_only_the_orchestrator_needs() {
    insta::assert_snapshot!("service", json(&ServiceObject::from(service_snapshot(service()))));
}

#[test]
fn spec_of_an_answer_is_read_as_the_manifest_that_it_came_from() {
    let read = |text: String| {
        let documents = parse(&[ManifestSource::new("users.yaml", text)]).unwrap();
        documents[0].spec.as_service().unwrap().clone()
    };
    let spec = read(include_str!("../manifests/every-field.yaml").to_owned());
    let stored = Service { spec: spec.clone(), ..service() };
    let answer = ServiceObject::from(service_snapshot(stored));
    let mut shown = serde_json::to_value(&answer).unwrap();
    shown["apiVersion"] = API_VERSION.into();
    shown["kind"] = "Service".into();
    assert_eq!(read(serde_saphyr::to_string(&shown).unwrap()), spec);
}

#[test]
fn replica_shows_phase_and_reason_as_words() {
    insta::assert_snapshot!("replica", json(&ReplicaObject::from(replica())));
}

#[test]
fn revision_shows_its_outcome() {
    let revision = Revision {
        service: "users".into(),
        number: RevisionNumber(3),
        generation: Generation(4),
        spec: spec(),
        image: image(),
        restarts: 1,
        hash: "ab12".into(),
        hash_schema: 1,
        created_at: at(10),
        created_by: ann(),
    };
    let outcome = RevisionOutcome::RolledBack { failure: failure() };
    let record = Some(OutcomeRecord { revision: RevisionNumber(3), outcome, at: at(32) });
    let object = RevisionObject::from(RevisionSnapshot { revision, record, current: true });
    insta::assert_snapshot!("revision", json(&object));
}

#[test]
fn endpoint_event_and_log_line_show_all_they_have() {
    let endpoint = Endpoint {
        service: "users".into(),
        origin: EndpointOrigin::Managed {
            replica: "users-3-a".into(),
            container: "c1".into(),
            started_at: at(30),
        },
        revision: RevisionNumber(3),
        address: [10, 209, 1, 4].into(),
        ports: BTreeMap::from([("http".to_owned(), 8080)]),
        http2_ports: [].into(),
        via: EndpointVia::Direct,
        state: EndpointState::Draining,
        weight: 2,
    };
    let external = Endpoint { origin: EndpointOrigin::External, ..endpoint.clone() };
    let event = Event {
        at: at(34),
        object: "replica/users-3-a".to_owned(),
        kind: EventKind::Warning,
        reason: EventReason::ContainerExited,
        message: "exited with code 1".to_owned(),
        cut: vec![cut(), CutRequests { requests: None, drain: None, ..cut() }],
    };
    let text = "listening".to_owned();
    let line = LogEntry { replica: "users-3-a".into(), at: Some(at(35)), stderr: true, text, life: true };
    let objects = [
        json(&EndpointObject::from(endpoint)),
        json(&EndpointObject::from(external)),
        json(&EventObject::from(event)),
        json(&line),
    ];
    insta::assert_snapshot!("endpoint_event_log", objects.join("\n"));
}

#[test]
fn daemon_shows_its_node_and_tables() {
    let table = TableName { store: "3f2a".into(), epoch: Epoch(2), revision: 41 };
    let process = |id: &str, pid| BalancerProcess { id: id.into(), pid };
    let snapshot = DaemonSnapshot {
        uptime: Millis::secs(7300),
        store: "3f2a".into(),
        store_revision: 912,
        node: node(),
        table: Some(table.clone()),
        acknowledged: Some(table.clone()),
        balancers: vec![
            (
                process("1a2b3c4d", Some(4711)),
                Some(BalancerReport { applied: Some(table), draining: true, ..testing::report("i") }),
            ),
            (process("5e6f7a8b", None), None),
        ],
        connections: ConnectionStats {
            over_client_limit: 3,
            without_descriptor: 2,
            evicted: 1,
            failed_handshakes: 5,
        },
        held_requests: 4,
        http: vec!["0.0.0.0:8080".parse().unwrap()],
        https: vec!["0.0.0.0:8443".parse().unwrap()],
        services: 2,
        conditions: vec![condition()],
    };
    let status = DaemonStatus { pid: 1, version: "0.0.0".to_owned(), ..snapshot.into() };
    assert_eq!(status.node, NodeObject::from(node()));
    insta::assert_snapshot!("daemon", json(&status));
}

#[test]
fn progress_has_counters_only_for_clients_that_ask() {
    let snapshot = ProgressSnapshot {
        service: "users".into(),
        deleting: false,
        rollout: Some(rollout()),
        wanted: 3,
        stops_first: false,
        available: 2,
        replicas: vec![replica()],
        held_by: vec![condition()],
        counted: Some((Incarnation("b".to_owned()), Mono(5000))),
        failed_requests: Some(1),
        cut: vec![cut()],
        end: Some(OperationEnd::RolledBack { failure: failure() }),
    };
    let without = OperationProgress::new(snapshot.clone(), false);
    assert_eq!((&without.counted, &without.replicas[0].counters), (&None, &None));
    insta::assert_snapshot!("progress", json(&OperationProgress::new(snapshot, true)));
}

#[test]
fn certificate_shows_what_the_daemon_reports_and_no_key() {
    let snapshot = CertificateSnapshot {
        host: "*.shop.test".parse().unwrap(),
        source: "/etc/ssl/shop.pem".to_owned(),
        services: ["users".into(), "web".into()].into(),
        state: CertificateState::Stale,
        reason: Some("cannot read /etc/ssl/shop.key: permission denied".to_owned()),
        not_before: Some(at(1)),
        not_after: Some(at(2)),
        issuer: Some("CN=issuer".to_owned()),
    };
    insta::assert_snapshot!("certificate", json(&CertificateObject::from(snapshot)));
    let authority =
        AuthorityCertificate { pem: "PEM".to_owned(), not_after: at(3), path: "/state/local-ca.pem".into() };
    insta::assert_snapshot!("authority", json(&AuthorityObject::from(authority)));
}

#[test]
fn written_object_shows_what_a_write_did() {
    let overridden = Overridden {
        field: "spec.replicas".to_owned(),
        file: Some("2".to_owned()),
        applied: Some("1".to_owned()),
        live: Some("3".to_owned()),
        by: ann(),
        at: at(21),
    };
    let change = FieldChange {
        path: "spec.replicas".to_owned(),
        old: Some("2".to_owned()),
        new: Some("3".to_owned()),
    };
    let result = WriteResult {
        object: (&ServiceName::new("users")).into(),
        action: WriteAction::Changed,
        generation: Generation(4),
        image: Some(image()),
        changes: vec![change],
        notes: vec!["its volumes are kept: data".to_owned()],
        kept: vec![overridden.clone()],
        conflicts: vec![overridden],
    };
    insta::assert_snapshot!("write", json(&WrittenObject::from(result)));
}

/// The enums without data of answers, with all their variants.
macro_rules! words {
    ($($of:ident: $($variant:ident)+;)+) => {
        /// The enums whose words are pinned here.
        pub(super) const PINNED_WORDS: &[&str] = &[$(stringify!($of)),+];

        /// The words of each enum, in the order of its variants.
        fn words() -> BTreeMap<&'static str, Vec<serde_json::Value>> {
            $(
                // Does not compile where a variant is missing below.
                let _ = |value: $of| match value { $($of::$variant => ()),+ };
            )+
            let word = |value: serde_json::Result<serde_json::Value>| value.unwrap();
            [$((stringify!($of), vec![$(word(serde_json::to_value($of::$variant))),+])),+].into()
        }
    };
}

words! {
    Cause: Deleted ScaledDown Replaced RolledBack;
    CertificateState: Valid Expiring OutOfDate Stale Missing;
    ConditionKind: Ready Progressing Degraded;
    DaemonRole: Supervisor Controller Balancer;
    DesiredName: Run Retain Remove;
    EndpointState: Ready Draining Unready;
    EndpointVia: Direct DockerProxy;
    EngineKind: Native Rootless Desktop;
    EventKind: Normal Warning;
    EventReason: RolloutStarted RolloutCompleted RolloutFailed RolloutRecovered RollingBack RolledBack RolloutPaused
        RolloutResumed RolloutAborted Scaled Deleting ServiceDeleted ImagePulling ImagePulled ImageUnavailable ContainerStarted
        ContainerExited Killed ContainerPaused OffNetwork ReplicaReady ContainerMissing Unhealthy NotReadyInTime BackOff
        EngineRefused VolumeMissing NoFreeAddress Draining Stopping DrainExceeded GraceExceeded Stopped Retained BalancerUnacknowledged
        DaemonCrashLooping Unknown SocketBoundAgain BalancerKilled CrashLooping CrashLoopEnded ReadinessFlapping
        ReadinessFlappingEnded BalancerUnreachable BalancerReachable PortUnavailable PortOpened
        CertificateInvalid CertificateLoaded;
    ExposureMode: Bridge Published;
    FailureReasonName: DeadlineExceeded ImageNotFound PullDenied CannotStart CrashLoop Completed OutOfMemory
        BadAnswer WrongPort NeverHealthy Aborted;
    OriginName: Managed Registered External;
    ProcessState: Starting Serving Draining;
    NotReadyReason: ImageNotFound PullDenied ImageUnavailable CannotStart Exited Completed OutOfMemory Unhealthy
        VolumeMissing NoFreeAddress OffNetwork ContainerPaused;
    Reason: AllAvailable TooFewAvailable ReplicaHeldUp RollingOut RolloutPaused RollingBack RolledOut RolledBack
        RolloutFailed Deleting EngineUnavailable DeletionHeld ManifestsRefused VolumeMissing VolumeInUse
        BalancerUnacknowledged KillFailed TableRefused StoreUnavailable StoreFull
        ProbesNotMade AllSilent CrashLooping ReadinessFlapping BalancerUnreachable DaemonCrashLooping PortUnavailable
        CertificateInvalid;
    ReloadOutcomeName: Done Refused Failed;
    RouteResult: Taken LessSpecific NotMatched;
    ReplicaPhaseName: Waiting Pulling Starting Ready Unready BackOff Draining Stopping Retained Gone;
    RevisionOutcomeName: InProgress Complete Failed RolledBack Aborted Superseded;
    RolloutDirection: Forward Rollback;
    RolloutStateName: Progressing Complete RollingBack RolledBack Failed;
    WriteAction: Created Changed Unchanged Deleted;
}

#[test]
fn words_of_answers_stay_as_they_are() {
    let line = |(of, words): (&str, Vec<serde_json::Value>)| {
        let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        format!("{of}: {}", words.join(" "))
    };
    let lines: Vec<String> = words().into_iter().map(line).collect();
    insta::assert_snapshot!("words", lines.join("\n"));
}
