//! Explanations over small tables.

use super::*;
use crate::model::{
    Epoch, Listener, RevisionNumber, RevisionPin, RouteCondition, ServiceName, TableEndpoint, TableName,
    arbitrary::table_name,
};

fn endpoint(name: &str, revision: u64) -> TableEndpoint {
    let id = crate::model::EndpointId::new(&name.into(), jiff::Timestamp::UNIX_EPOCH);
    let ports = [("http".to_owned(), 8080)].into();
    TableEndpoint::managed(id, name.into(), RevisionNumber(revision), [10, 0, 0, 1].into(), ports)
}

/// Routes in the form of the table, each to port `http` of a service, with more keys.
fn table(routes: &[(&str, serde_json::Value)]) -> RoutingTable {
    let route = |(service, keys): &(&str, serde_json::Value)| {
        let mut json = serde_json::json!({
            "listeners": ["http"], "hosts": ["shop.example"], "path": {"prefix": "/"},
            "action": {"forward": {
                "backends": [{"service": service, "port": "http", "weight": 1}], "timeout": "30s",
            }},
        });
        for (key, value) in keys.as_object().unwrap() {
            json[key] = value.clone();
        }
        serde_json::from_value(json).unwrap()
    };
    let service = |endpoints: Vec<TableEndpoint>| TableService { endpoints, ..TableService::default() };
    RoutingTable {
        listeners: [(ListenerId::public_http(), Listener::PUBLIC_HTTP)].into(),
        routes: routes.iter().map(route).collect(),
        services: [
            ("web".into(), service(vec![endpoint("web-1-a", 1), endpoint("web-2-a", 2)])),
            ("empty".into(), service(Vec::new())),
        ]
        .into(),
        ..RoutingTable::empty(table_name(1))
    }
}

fn get(authority: &str, path: &str) -> ExplainedRequest {
    ExplainedRequest {
        method: "GET".into(),
        authority: authority.into(),
        path: path.into(),
        ..ExplainedRequest::default()
    }
}

fn results(explanation: &RouteExplanation) -> Vec<String> {
    let line = |route: &ExplainedRoute| format!("{} {:?} {}", route.route, route.result, route.reason);
    explanation.routes.iter().map(line).collect()
}

#[test]
fn explanation_names_routes_in_order_and_the_endpoints_of_the_taken_one() {
    let table = table(&[
        ("web", serde_json::json!({})),
        ("web", serde_json::json!({"path": {"exact": "/checkout"}, "conditions": [{"method": "POST"}]})),
        ("web", serde_json::json!({"conditions": [{"header": {"name": "x-beta", "value": "1"}}]})),
        ("web", serde_json::json!({"hosts": ["blog.example"]})),
    ]);
    let request = ExplainedRequest {
        headers: vec![("X-Beta".into(), "2".into()), ("X-Beta".into(), "1".into())],
        ..get("SHOP.example.:80", "/./checkout")
    };
    let explained = explain_request(Some(&table), &request);
    assert_eq!((explained.host.as_str(), explained.path.as_str()), ("shop.example", "/checkout"));
    assert_eq!(
        results(&explained),
        [
            "shop.example/checkout exact method=POST NotMatched method=POST does not hold: the request has \"GET\"",
            "shop.example/ header.x-beta=\"1\" NotMatched header.x-beta=\"1\" does not hold: the request has \"2\"",
            "shop.example/ Taken ",
            "blog.example/ NotMatched another host",
        ]
    );
    let outcome = &explained.outcome;
    assert_eq!((outcome.status, outcome.service.as_ref().map(ServiceName::as_str)), (None, Some("web")));
    let names: Vec<&str> = outcome.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    assert_eq!(names, ["web-1-a", "web-2-a"]);
}

#[test]
fn answers_of_the_balancer_have_their_status_and_reason() {
    let hash = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
    let table = table(&[
        ("web", serde_json::json!({"path": {"prefix": "/office"}, "filters": {"allow": ["10.0.0.0/8"]}})),
        (
            "web",
            serde_json::json!({
                "path": {"prefix": "/staff"}, "filters": {"basicAuth": {"users": {"anna": hash}}},
            }),
        ),
        ("empty", serde_json::json!({"path": {"prefix": "/empty"}})),
        ("web", serde_json::json!({"path": {"prefix": "/closed"}, "filters": {"maintenance": true}})),
        (
            "web",
            serde_json::json!({
                "path": {"prefix": "/old"}, "action": {"redirect": {"status": 308, "path": "/new"}},
            }),
        ),
    ]);
    let from = |client: &str, request: ExplainedRequest| ExplainedRequest {
        client: Some(client.parse().unwrap()),
        ..request
    };
    let rows = [
        (get("shop.example", "/nowhere"), Some(404), "no service has a route"),
        (from("11.0.0.1", get("shop.example", "/office")), Some(403), "11.0.0.1 is not in 10.0.0.0/8"),
        (from("10.0.0.1", get("shop.example", "/office")), None, ""),
        (get("shop.example", "/staff"), Some(401), "one of these users: anna"),
        (get("shop.example", "/empty"), Some(503), "no replica of empty with port http is ready"),
        (get("shop.example", "/closed"), Some(503), "in maintenance"),
        (get("shop.example", "/old/x"), Some(308), "the route redirects"),
        (get("shop.example", "/a/..%2fb"), Some(400), "encoded slash"),
        (get("a b", "/"), Some(400), "the host is not"),
        (ExplainedRequest { method: "TRACE".into(), ..get("shop.example", "/") }, Some(405), "TRACE"),
    ];
    for (request, status, reason) in rows {
        let outcome = explain_request(Some(&table), &request).outcome;
        assert_eq!(outcome.status, status, "{request:?}");
        assert!(outcome.reason.unwrap_or_default().contains(reason), "{request:?}");
    }
    let redirect = ExplainedRequest { query: Some("q=1".into()), ..get("shop.example", "/old/x") };
    assert_eq!(explain_request(Some(&table), &redirect).outcome.location.as_deref(), Some("/new/x?q=1"));
    assert_eq!(explain_request(None, &get("shop.example", "/")).outcome.status, Some(503));
    let noted = explain_request(Some(&table), &get("shop.example", "/office")).outcome.notes;
    assert!(noted[0].contains("--from ADDRESS"), "{noted:?}");
}

#[test]
fn shares_and_pins_leave_only_endpoints_that_may_be_chosen() {
    let mut table = table(&[("web", serde_json::json!({"path": {"prefix": "/api"}}))]);
    if let RouteAction::Forward(forward) = &mut table.routes[0].action {
        forward.strip_prefix = true;
    }
    let service = table.services.get_mut(&"web".into()).unwrap();
    service.shares = [(RevisionNumber(1), 0), (RevisionNumber(2), 5)].into();
    let beta = RouteCondition::Cookie { name: "beta".into(), value: "1".into() };
    service.pins = vec![RevisionPin { conditions: [beta].into(), revision: RevisionNumber(1) }];
    let chosen = |request: &ExplainedRequest| {
        let outcome = explain_request(Some(&table), request).outcome;
        let revisions: Vec<u64> = outcome.endpoints.iter().map(|endpoint| endpoint.revision).collect();
        (revisions, outcome.forwarded_path.unwrap())
    };
    let plain = get("shop.example", "/api/x");
    assert_eq!(chosen(&plain), (vec![2], "/x".to_owned()));
    let pinned = ExplainedRequest { headers: vec![("Cookie".into(), "beta=1".into())], ..plain };
    assert_eq!(chosen(&pinned).0, [1]);
    let name = TableName { store: "s".into(), epoch: Epoch(1), revision: 1 };
    assert_eq!(explain_request(Some(&RoutingTable::empty(name)), &get("a", "/")).outcome.status, Some(404));
}

#[test]
fn request_without_tls_is_redirected_before_anything_is_checked() {
    let forward = serde_json::json!({"forward": {
        "backends": [{"service": "web", "port": "http", "weight": 1}], "timeout": "30s", "https": {"redirect": true},
    }});
    let filters = serde_json::json!({"allow": ["10.0.0.0/8"]});
    let mut table = table(&[("web", serde_json::json!({"action": forward, "filters": filters}))]);
    let plain = ExplainedRequest {
        query: Some("q=1".into()),
        client: Some([7, 7, 7, 7].into()),
        ..get("Shop.example:80", "/a")
    };
    let status = |table: &RoutingTable, request: &ExplainedRequest| {
        explain_request(Some(table), request).outcome.status
    };
    assert_eq!(status(&table, &plain), Some(403), "the daemon serves no HTTPS");
    table.listeners.insert(ListenerId::public_https(), Listener::public_https(8443));
    let outcome = explain_request(Some(&table), &plain).outcome;
    assert_eq!(
        (outcome.status, outcome.location.as_deref()),
        (Some(308), Some("https://shop.example:8443/a?q=1"))
    );
    assert_eq!(status(&table, &ExplainedRequest { https: true, ..plain.clone() }), Some(403));
    let challenge = ExplainedRequest { path: "/.well-known/acme-challenge/x".into(), ..plain };
    assert_eq!(status(&table, &challenge), Some(403));
}
