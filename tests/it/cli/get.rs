//! What is shown: get, status, logs, events.

use coxswain::api::types::{
    AuthorityObject, BalancerObject, DaemonStatus, List, LogEntry, NodeObject, RefusedConnections,
    RolloutStatus, ServiceExit, ServiceObject,
};
use coxswain::model::{
    ConditionKind, EngineKind, Epoch, EventKind, EventReason, ExposureMode, Reason, ReplicaName,
    ReplicaPhase, RolloutState, TableName,
};

use super::objects::{
    certificates, condition, crashed_often, daemon, endpoint, event, exited, failure, host, image,
    minutes_ago, progressing, replica, revision, rollout, service, unhealthy, volumes,
};
use super::stub::{Reply, Stub};
use super::transcript::{run, transcript};

/// One service that rolls, one whose rollout was undone, one in trouble.
fn services() -> Vec<ServiceObject> {
    let mut checkout = service("checkout");
    checkout.status.rollout = Some(rollout(13, Some(12), progressing()));
    checkout.status.conditions.push(condition(ConditionKind::Progressing, true, Reason::RollingOut, ""));
    checkout.status.available = 2;
    let mut users = service("users");
    users.status.rollout = Some(rollout(9, Some(9), RolloutState::RolledBack { failure: failure(10) }));
    let mut web = service("web");
    web.metadata.app = "default".into();
    web.spec.routes.clear();
    web.status.available = 1;
    web.status.image = image("22");
    web.status.changed_at = minutes_ago(3 * 60);
    let crashed = crashed_often("web-4-b", ReplicaPhase::Ready).status.unwrap();
    web.status.restart_count = crashed.restart_count;
    web.status.last_exit = crashed.last_exit.map(|exit| ServiceExit { replica: "web-4-b".into(), exit });
    web.status.troubles = vec!["web-4-b: HealthCheckFailing GET / → 500 \x1b[2J\"oops\"".to_owned()];
    vec![checkout, users, web]
}

fn stub() -> Stub {
    let replicas = vec![
        replica("users-9-a", ReplicaPhase::Ready),
        crashed_often("users-9-b", exited()),
        replica("users-9-c", ReplicaPhase::Starting { cause: Some(unhealthy()) }),
        replica("users-9-d", ReplicaPhase::Waiting { cause: None }),
    ];
    let away = NodeObject {
        name: "oak".to_owned(),
        available: false,
        engine: "Docker is stopped".to_owned(),
        ..host()
    };
    let events = [
        event(EventKind::Normal, EventReason::ReplicaReady, "ready after 2.2s"),
        event(EventKind::Warning, EventReason::ContainerExited, "exited with code 1"),
    ];
    Stub::start()
        .on("GET /v1/services", [Reply::json(&List::of(services()))])
        .on("GET /v1/replicas", [Reply::json(&List::of(replicas))])
        .on("GET /v1/endpoints", [Reply::json(&List::of(vec![endpoint()]))])
        .on(
            "GET /v1/revisions",
            [Reply::json(&List::of(vec![revision(9, "v1", None), revision(10, "v2", None)]))],
        )
        .on("GET /v1/nodes", [Reply::json(&List::of(vec![host(), away]))])
        .on("GET /v1/volumes", [Reply::json(&List::of(volumes()))])
        .on("GET /v1/certificates", [Reply::json(&List::of(certificates()))])
        .on("GET /v1/events?follow=false", [Reply::lines(&events)])
        .on("GET /v1/events?service=users&follow=false", [Reply::lines(&events[..1])])
        .on("GET /v1/events?service=users&follow=true", [Reply::lines(&events)])
}

#[test]
fn get_prints_tables_of_every_kind() {
    insta::assert_snapshot!(
        "get_tables",
        transcript(
            &stub(),
            &[
                "get",
                "get service/users web -o wide",
                "get replicas",
                "get replicas users -o wide",
                "get endpoints",
                "get routes -o wide",
                "get nodes",
                "get volumes",
                "get volumes users -o wide",
                "get certificates",
                "get revisions",
                "events",
                "events service/users -f",
            ]
        )
    );
}

#[test]
fn get_prints_names_and_empty_lists() {
    let empty = stub().on("GET /v1/endpoints", [Reply::json(&List::<ServiceObject>::of(Vec::new()))]);
    insta::assert_snapshot!(
        "get_names",
        transcript(
            &empty,
            &[
                "get -o name",
                "get replica/users-9-a -o name",
                "get routes -o name",
                "get endpoints",
                "get endpoints -o name",
                "get usres web nothing-like-it",
                "get users replica/users-9-a",
                "get -o yml",
            ]
        )
    );
}

#[test]
fn get_prints_objects_as_yaml_and_json() {
    let fixed = {
        let mut service = service("users");
        let day = "2026-01-02T00:00:00Z".parse().unwrap();
        service.status.changed_at = day;
        service.metadata.created_at = day;
        service.status.rollout =
            service.status.rollout.map(|rollout| RolloutStatus { since: day, ..rollout });
        service
    };
    let stub = Stub::start()
        .on("GET /v1/services", [Reply::json(&List::of(vec![fixed]))])
        .on("GET /v1/nodes", [Reply::json(&List::of(vec![host()]))]);
    insta::assert_snapshot!(
        "get_objects",
        transcript(
            &stub,
            &["get users -o yaml", "get service -o json", "get routes -o yaml", "get nodes elk -o yaml"]
        )
    );
}

#[test]
fn certificate_trust_prints_the_certificate_and_how_to_trust_it() {
    let authority = AuthorityObject {
        pem: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned(),
        not_after: "2036-01-02T00:00:00Z".parse().unwrap(),
        path: "/var/lib/coxswain/certificates/local-ca.pem".to_owned(),
    };
    let stub = Stub::start().on("GET /v1/certificates/authority", [Reply::json(&authority)]);
    insta::assert_snapshot!("certificate_trust", transcript(&stub, &["certificate trust"]));
    assert_eq!(run(&stub, "certificate trust").stdout, authority.pem);
}

#[test]
fn get_json_has_envelope_for_every_kind() {
    let stub = stub();
    for kind in [
        "services",
        "replicas",
        "endpoints",
        "routes",
        "nodes",
        "volumes",
        "certificates",
        "revisions",
        "events",
    ] {
        let printed = run(&stub, &format!("get {kind} -o json")).stdout;
        let list: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(list["kind"], "List");
        for item in list["items"].as_array().unwrap() {
            assert_eq!(item["apiVersion"], "coxswain/v1", "{kind}");
            let singular = item["kind"].as_str().unwrap().to_lowercase() + "s";
            assert_eq!((singular.as_str(), item["metadata"]["name"].is_string()), (kind, true));
        }
    }
}

#[test]
fn get_watch_appends_changed_rows() {
    let first = services();
    let mut second = first.clone();
    second[2].status.available = 3;
    second[2].status.troubles.clear();
    let mut waits = first.clone();
    waits[0].status.waits = vec!["checkout-13-a must stay healthy for another 8s".to_owned()];
    let third = second[..2].to_vec();
    let states = [first, waits, second, third].map(List::of);
    let stub = Stub::start().on("GET /v1/services?watch=true", [Reply::lines(&states)]);
    insta::assert_snapshot!("get_watch", transcript(&stub, &["get -w", "get web -w", "get web -w -o name"]));
    let last = run(&stub, "get routes web -w -o json").stdout;
    assert_eq!(last, "", "it has none");
    let last = run(&stub, "get web -w -o json").stdout;
    let gone =
        r#"{"apiVersion":"coxswain/v1","kind":"Service","metadata":{"name":"web"},"status":{"gone":true}}"#;
    assert_eq!(last.lines().last(), Some(gone));
}

#[test]
fn follow_continues_after_a_restart_of_the_daemon() {
    let first = services();
    let mut second = first[..2].to_vec();
    second[0].status.available = 1;
    let events = [
        event(EventKind::Normal, EventReason::ReplicaReady, "ready after 2.2s"),
        event(EventKind::Warning, EventReason::ContainerExited, "exited with code 1"),
    ];
    let stub = Stub::start()
        .on("GET /v1/services?watch=true", [first, second].map(|state| Reply::lines(&[List::of(state)])))
        .on("GET /v1/events?follow=true", [Reply::lines(&events[..1]), Reply::lines(&events)]);
    insta::assert_snapshot!("follow_restart", transcript(&stub, &["get -w", "events -f"]));
    let deleted = event(EventKind::Normal, EventReason::ServiceDeleted, "deleted");
    let stub = Stub::start()
        .on("GET /v1/events?service=users&follow=true", [Reply::lines(&[events[0].clone(), deleted])]);
    insta::assert_snapshot!("follow_deleted", transcript(&stub, &["events users -f"]));
}

#[test]
fn get_watch_works_for_every_kind() {
    let mut busy = replica("users-9-a", ReplicaPhase::Ready);
    busy.in_flight = 7;
    let replicas = [
        List::of(vec![replica("users-9-a", ReplicaPhase::Ready), replica("users-9-b", exited())]),
        List::of(vec![busy.clone(), replica("users-9-b", exited())]),
        List::of(vec![busy, replica("users-9-b", ReplicaPhase::Ready)]),
    ];
    let away = NodeObject { available: false, engine: "Docker is stopped".to_owned(), ..host() };
    let mut moved = service("users");
    moved.status.available = 1;
    let events = [
        event(EventKind::Normal, EventReason::ReplicaReady, "ready after 2.2s"),
        event(EventKind::Warning, EventReason::ContainerExited, "exited with code 1"),
    ];
    let stub = Stub::start()
        .on("GET /v1/replicas?watch=true", [Reply::lines(&replicas)])
        .on(
            "GET /v1/endpoints?watch=true",
            [Reply::lines(&[List::of(vec![endpoint()]), List::of(Vec::new())])],
        )
        .on("GET /v1/nodes?watch=true", [Reply::lines(&[List::of(vec![host()]), List::of(vec![away])])])
        .on("GET /v1/volumes?watch=true", [Reply::lines(&[List::of(volumes())])])
        .on("GET /v1/revisions?watch=true", [Reply::lines(&[List::of(vec![revision(9, "v1", None)])])])
        .on(
            "GET /v1/services?watch=true",
            [Reply::lines(&[List::of(vec![service("users")]), List::of(vec![moved])])],
        )
        .on("GET /v1/events?follow=true", [Reply::lines(&events)]);
    insta::assert_snapshot!(
        "get_watch_kinds",
        transcript(
            &stub,
            &[
                "get replicas -w",
                "get replica/users-9-b -w -o name",
                "get endpoints -w -o wide",
                "get nodes -w",
                "get volumes -w",
                "get revisions -w",
                "get routes -w",
            ]
        )
    );
    let rows = run(&stub, "get events -w").stdout;
    assert_eq!(
        rows.lines().map(|row| row.contains("users-9-a")).collect::<Vec<_>>(),
        [false, true, true],
        "{rows}"
    );
    for kind in ["replicas", "endpoints", "nodes", "volumes", "revisions", "services", "routes", "events"] {
        let lines = run(&stub, &format!("get {kind} -w -o json")).stdout;
        for line in lines.lines() {
            let object: serde_json::Value = serde_json::from_str(line).expect("one object a line");
            assert_eq!(object["kind"].as_str().unwrap().to_lowercase() + "s", kind);
        }
        assert!(!lines.is_empty(), "{kind}");
        let documents = run(&stub, &format!("get {kind} -w -o yaml")).stdout;
        assert_eq!(documents.matches("---\n").count(), lines.lines().count(), "{kind}");
    }
}

#[test]
fn status_summarizes_daemon() {
    let behind = DaemonStatus {
        acknowledged: daemon().table.map(|table| TableName { revision: 40, ..table }),
        conditions: vec![condition(
            ConditionKind::Degraded,
            true,
            Reason::EngineUnavailable,
            "Docker is stopped",
        )],
        node: NodeObject { available: false, ..host() },
        ..daemon()
    };
    let unanswered = DaemonStatus {
        acknowledged: daemon().table.map(|table| TableName { epoch: Epoch(1), revision: 77, ..table }),
        ..daemon()
    };
    let alone = DaemonStatus { acknowledged: None, ..daemon() };
    let rootless = |exposure| NodeObject {
        kind: Some(EngineKind::Rootless),
        exposure: Some(exposure),
        unenforced: vec!["memory".to_owned(), "cpu".to_owned()],
        ..host()
    };
    let published = DaemonStatus { node: rootless(ExposureMode::Published), ..daemon() };
    let unreached = DaemonStatus { node: rootless(ExposureMode::Bridge), ..daemon() };
    let damaged = "the store is damaged; see `ctl store`";
    let without_store = DaemonStatus {
        conditions: vec![condition(ConditionKind::Degraded, true, Reason::StoreUnavailable, damaged)],
        ..daemon()
    };
    let connections =
        RefusedConnections { over_client_limit: 12, evicted: 40, failed_handshakes: 7, ..Default::default() };
    let crowded = DaemonStatus { connections, held_requests: 7, ..daemon() };
    let balancer = |id: &str, pid, ending, in_flight| BalancerObject {
        id: id.to_owned(),
        pid: Some(pid),
        connected: true,
        acknowledged: daemon().table,
        ending,
        in_flight,
    };
    let absent =
        BalancerObject { connected: false, acknowledged: None, ..balancer("9c0d1e2f", 4600, false, 0) };
    let handed_over = DaemonStatus {
        balancers: vec![balancer("1a2b3c4d", 4711, true, 3), balancer("5e6f7a8b", 4800, false, 1), absent],
        ..daemon()
    };
    let stub = Stub::start().on(
        "GET /v1/status",
        [
            &daemon(),
            &behind,
            &unanswered,
            &alone,
            &published,
            &unreached,
            &without_store,
            &handed_over,
            &crowded,
            &daemon(),
        ]
        .map(Reply::json),
    );
    let mut commands = vec!["status"; 9];
    commands.push("version");
    insta::assert_snapshot!("status", transcript(&stub, &commands));
}

#[test]
fn logs_selects_services_and_replicas() {
    let record = |replica: &str, text: &str| LogEntry {
        replica: ReplicaName::new(replica),
        at: None,
        stderr: false,
        text: text.to_owned(),
        life: false,
    };
    let both = [record("users-9-a", "listening"), record("users-9-b", "\x1b[31mred\x1b[0m \x07bell")];
    let one = [record("users-9-a", "listening")];
    let ready = LogEntry { life: true, ..record("users-9-b", "ready after 2.2s") };
    let followed = [both[0].clone(), ready, both[1].clone()];
    let stub = stub()
        .on("GET /v1/logs?follow=false&service=users", [Reply::lines(&both)])
        .on("GET /v1/logs?follow=true&service=users&tail=5", [Reply::lines(&followed)])
        .on("GET /v1/logs?follow=false&service=users&replica=users-9-a", [Reply::lines(&both)])
        .on("GET /v1/logs?follow=false&replica=users-9-a", [Reply::lines(&one)]);
    insta::assert_snapshot!(
        "logs",
        transcript(
            &stub,
            &[
                "logs users",
                "logs -f service/users --tail 5",
                "logs users-9-a",
                "logs users replica/users-9-a",
                "logs users-9-z",
                "logs users --revision 7",
                "logs",
            ]
        )
    );
    run(&stub, "logs users --since 10m");
    let since = stub.calls().last().unwrap().split_once("&since=").map(|(_, time)| time.to_owned());
    let since: jiff::Timestamp = since.unwrap().parse().unwrap();
    let ago = coxswain::clock::wall_time().as_second() - since.as_second();
    assert!((600..660).contains(&ago), "{ago}");
}

#[test]
fn logs_of_previous_containers_are_read_on_request_and_named_where_there_are_no_others() {
    let text = "panic: no such file".to_owned();
    let record = LogEntry { replica: "users-9-b".into(), at: None, stderr: true, text, life: false };
    let nothing: [LogEntry; 0] = [];
    let stub = stub()
        .on("GET /v1/logs?follow=false&service=users", [Reply::lines(&nothing)])
        .on("GET /v1/logs?follow=false&service=users&previous=true", [Reply::lines(&[record])]);
    insta::assert_snapshot!(
        "logs_previous",
        transcript(&stub, &["logs users", "logs users --previous", "logs users -p", "logs users -p -f"])
    );
}
