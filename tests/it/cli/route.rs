//! `ctl route explain`, and routes that do not work in `ctl get routes`.

use coxswain::api::types::{
    ExplainedEndpoint, ExplainedOutcome, ExplainedRoute, List, RouteExplanation, RouteResult,
};
use coxswain::model::{RedirectAction, Route};

use super::objects::service;
use super::stub::{Reply, Stub};
use super::transcript::transcript;

fn explained(route: &str, service: &str, result: RouteResult, reason: &str) -> ExplainedRoute {
    let services = if service.is_empty() { Vec::new() } else { vec![service.into()] };
    ExplainedRoute { route: route.to_owned(), services, result, reason: reason.to_owned() }
}

fn forwarded() -> RouteExplanation {
    let endpoint = |name: &str, revision, host: u8| ExplainedEndpoint {
        name: name.to_owned(),
        revision,
        address: format!("10.209.1.{host}:8080"),
    };
    RouteExplanation {
        host: "shop.acme.dev".to_owned(),
        path: "/users/7".to_owned(),
        routes: vec![
            explained(
                "shop.acme.dev/users method=POST",
                "users-beta",
                RouteResult::NotMatched,
                "method=POST does not hold: the request has \"GET\"",
            ),
            explained("shop.acme.dev/users", "users", RouteResult::Taken, ""),
            explained("*.acme.dev/", "", RouteResult::LessSpecific, "a more specific route matches"),
            explained("blog.acme.dev/", "blog\x1b[2J", RouteResult::NotMatched, "another host"),
        ],
        outcome: ExplainedOutcome {
            service: Some("users".into()),
            port: Some("http".to_owned()),
            forwarded_path: Some("/7".to_owned()),
            endpoints: vec![endpoint("users-8-a", 8, 3), endpoint("users-9-a", 9, 4)],
            notes: vec!["a body longer than 10Mi gets 413".to_owned()],
            ..ExplainedOutcome::default()
        },
    }
}

fn redirected() -> RouteExplanation {
    let outcome = ExplainedOutcome {
        status: Some(308),
        reason: Some("the route redirects".to_owned()),
        location: Some("//shop.acme.dev/x".to_owned()),
        ..ExplainedOutcome::default()
    };
    RouteExplanation { host: "www.acme.dev".to_owned(), path: "/x".to_owned(), routes: Vec::new(), outcome }
}

fn unavailable() -> RouteExplanation {
    let outcome = ExplainedOutcome {
        status: Some(503),
        reason: Some("no replica of users with port http is ready".to_owned()),
        endpoints: Vec::new(),
        ..forwarded().outcome
    };
    RouteExplanation { outcome, ..forwarded() }
}

#[test]
fn route_explain_prints_outcome_replicas_and_every_route() {
    let answers = [forwarded(), redirected(), unavailable(), redirected(), redirected()];
    let answers: Vec<Reply> = answers.iter().map(Reply::json).collect();
    let stub = Stub::start().on("POST /v1/routes/explain", answers);
    insta::assert_snapshot!(
        "route_explain",
        transcript(
            &stub,
            &[
                "route explain http://shop.acme.dev:8080/users/7 -H x-beta:1 -X GET --from 10.0.0.7",
                "route explain www.acme.dev/x",
                "route explain shop.acme.dev/users/7",
                "route explain www.acme.dev/x -o json",
                "route explain www.acme.dev/x -o yaml",
                "route explain ftp://www.acme.dev/x",
                "route explain www.acme.dev -H x-beta",
            ]
        )
    );
    let sent = stub.bodies("POST /v1/routes/explain");
    let first = serde_json::json!({
        "method": "GET", "authority": "shop.acme.dev:8080", "path": "/users/7",
        "headers": [["x-beta", "1"]], "client": "10.0.0.7",
    });
    assert_eq!(sent[0], first);
}

#[test]
fn get_routes_lists_those_that_do_not_work_first_with_the_reason() {
    let mut users = service("users");
    let redirect = RedirectAction {
        status: 308,
        scheme: Some("https".into()),
        host: Some("acme.dev".into()),
        path: None,
    };
    users.spec.routes.push(Route { redirect: Some(redirect), ..Route::to(Some("www.acme.dev".into()), "/") });
    users.spec.routes.push(Route { port: Some("admin".into()), ..Route::to(None, "/admin") });
    let mut web = service("web");
    web.status.available = 0;
    let conditions = serde_json::json!({
        "host": "*.acme.dev", "path": "/x", "exact": true, "match": {"header": {"x-beta": "1"}},
        "allow": ["10.0.0.0/8"], "responseHeaders": {"remove": ["server"]},
    });
    web.spec.routes = vec![serde_json::from_value(conditions).unwrap()];
    let mut stopped = service("stopped");
    stopped.status.available = 0;
    stopped.status.wanted = 0;
    let mut rival = service("z-rival");
    rival.spec.routes = vec![Route::to(Some("shop.acme.dev".into()), "/users")];
    let stub =
        Stub::start().on("GET /v1/services", [Reply::json(&List::of(vec![users, web, stopped, rival]))]);
    insta::assert_snapshot!(
        "get_routes",
        transcript(
            &stub,
            &["get routes", "get routes -o wide", "get routes web -o yaml", "get routes -o name"]
        )
    );
}
