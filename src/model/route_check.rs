//! Rules for the routes of a service. Pure.

use super::header_text::{is_token, value_problem};
use super::port_check::unknown_port;
use super::route_filter_check::FieldAt;
use super::{HostPattern, LIMITS, Problem, Protocol, RedirectAction, Route, ServiceSpec, is_host_name};

/// Most conditions of one route: each is compared with every request of its host and path.
const CONDITIONS_MAX: usize = 8;
/// Most bytes of a route's conditions together: they are part of a key of the store, which may have 4 KiB.
const CONDITIONS_MAX_BYTES: usize = 1024;

/// Problems of the routes.
pub(super) fn problems(spec: &ServiceSpec) -> Vec<Problem> {
    let mut found = Vec::new();
    for (i, route) in spec.routes.iter().enumerate() {
        let at = |field: &str| format!("spec.route[{i}].{field}");
        check_port(spec, route, &at, &mut found);
        check_place(route, &at, &mut found);
        check_times(route, &at, &mut found);
        check_conditions(route, &at, &mut found);
        if let Some(redirect) = &route.redirect {
            check_redirect(route, redirect, &at, &mut found);
        }
        found.extend(super::route_filter_check::problems(&route.filters, &at));
        found.extend(super::tls_check::problems(spec, i));
        check_earlier(route, &spec.routes[..i], &at, &mut found);
    }
    found
}

fn check_port(spec: &ServiceSpec, route: &Route, at: &FieldAt<'_>, found: &mut Vec<Problem>) {
    match (spec.port(route.port.as_deref()), &route.port) {
        (Some(port), _) if port.protocol == Protocol::Tcp && route.redirect.is_none() => {
            let message = format!(
                "port `{}` has `protocol: tcp`: a route leads to an HTTP port, and clients reach this one by its `listen`",
                port.name
            );
            found.push(Problem::new(at("port"), message));
        }
        (Some(_), _) => {}
        (None, Some(name)) => found.push(unknown_port(spec, at("port"), name)),
        (None, None) if route.redirect.is_some() => {}
        (None, None) => {
            found.push(Problem::new(at("port"), "a route needs a port").suggest("port: 8080"));
        }
    }
}

fn check_place(route: &Route, at: &FieldAt<'_>, found: &mut Vec<Problem>) {
    if let Some(message) = path_problem(&route.path, route.exact) {
        found.push(Problem::new(at("path"), message));
    }
    match route.host.as_deref() {
        Some("*") => found.push(Problem::new(at("host"), "leave `host` out to match every host")),
        Some(host) if route.hosts().is_none() => {
            let expected = "expected a DNS name in lower case, without a port, also with `*.` in front of it";
            found.push(Problem::new(at("host"), format!("invalid host `{host}`: {expected}")));
        }
        _ => {}
    }
}

fn check_times(route: &Route, at: &FieldAt<'_>, found: &mut Vec<Problem>) {
    for (field, timeout) in [
        ("timeout", route.timeout),
        ("idleTimeout", route.idle_timeout),
        ("uploadTimeout", route.upload_timeout),
    ] {
        if timeout.0 == 0 {
            found.push(Problem::new(at(field), "must be greater than 0"));
        }
    }
    if route.hold > Route::HOLD_MAX {
        let message = format!("must be at most {}: no client waits longer", Route::HOLD_MAX);
        found.push(Problem::new(at("hold"), message));
    }
}

/// The problem of a route's path. The balancer compares it with normalised paths, so it must be one.
fn path_problem(path: &str, exact: bool) -> Option<String> {
    let bad_char = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '%' | '\\' | ';');
    if !path.starts_with('/') {
        Some(format!("path `{path}` must start with `/`"))
    } else if path.len() > LIMITS.path {
        Some(format!("the path has {} bytes; at most {} are allowed", path.len(), LIMITS.path))
    } else if path.contains(bad_char) || !path.is_ascii() {
        Some(format!("path `{path}` must be ASCII without whitespace and `?`, `#`, `%`, `\\`, `;`"))
    } else if path.contains("//") || path.split('/').any(|s| s == "." || s == "..") {
        Some(format!("path `{path}` must not contain `//`, `.` or `..`"))
    } else if path.len() > 1 && path.ends_with('/') && !exact {
        Some(format!("path `{path}` must not end with `/`; it matches everything below it"))
    } else {
        None
    }
}

fn check_conditions(route: &Route, at: &FieldAt<'_>, found: &mut Vec<Problem>) {
    let written = &route.matches;
    let conditions = written.conditions();
    for (field, names) in
        [("header", &written.header), ("cookie", &written.cookie), ("query", &written.query)]
    {
        for (name, value) in names {
            let problem = match field {
                "query" if name.is_empty() => Some("a query parameter needs a name".to_owned()),
                "query" if name.chars().any(char::is_control) => {
                    Some(format!("{name:?} has control characters; no query parameter can be named so"))
                }
                "query" => None,
                _ if !is_token(name) => Some(format!("`{name}` is not the name of a {field}")),
                _ => None,
            };
            let problem = problem.or_else(|| value_problem(value).map(|why| format!("{value:?} {why}")));
            found.extend(problem.map(|message| Problem::new(at(&format!("match.{field}.{name}")), message)));
        }
    }
    let names: Vec<&String> = written.header.keys().collect();
    let is_twice =
        |(i, name): &(usize, &&String)| names[..*i].iter().any(|one| one.eq_ignore_ascii_case(name));
    if let Some((_, name)) = names.iter().enumerate().find(is_twice) {
        let message = "the same header twice: names of headers are the same in upper and lower case";
        found.push(Problem::new(at(&format!("match.header.{name}")), message));
    }
    if let Some(method) = written.method.as_deref().filter(|method| !is_method(method)) {
        let message = format!("`{method}` is not a method; expected upper-case letters, such as POST");
        found.push(Problem::new(at("match.method"), message));
    }
    let bytes: usize = conditions.iter().map(|condition| condition.to_string().len()).sum();
    if conditions.len() > CONDITIONS_MAX {
        let message = format!("{} conditions; at most {CONDITIONS_MAX} are allowed", conditions.len());
        found.push(Problem::new(at("match"), message));
    } else if bytes > CONDITIONS_MAX_BYTES {
        let message =
            format!("the conditions have {bytes} bytes; at most {CONDITIONS_MAX_BYTES} are allowed");
        found.push(Problem::new(at("match"), message));
    }
}

fn is_method(method: &str) -> bool {
    // the balancer refuses these two
    !method.is_empty()
        && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
        && !["TRACE", "CONNECT"].contains(&method)
}

fn check_redirect(route: &Route, redirect: &RedirectAction, at: &FieldAt<'_>, found: &mut Vec<Problem>) {
    let RedirectAction { status, scheme, host, path } = redirect;
    for (field, is_set) in [("port", route.port.is_some()), ("stripPrefix", route.strip_prefix)] {
        if is_set {
            let message = format!("`{field}` has no effect on a route that redirects; remove it");
            found.push(Problem::new(at(field), message));
        }
    }
    if !route.filters.request_headers.is_empty() {
        let message = "a route that redirects forwards no request; remove it, or write `responseHeaders`";
        found.push(Problem::new(at("requestHeaders"), message));
    }
    if !RedirectAction::STATUSES.contains(status) {
        let message = format!("{status} is not a redirect; expected 301, 302, 307 or 308");
        found.push(Problem::new(at("redirect.status"), message));
    }
    if let Some(scheme) = scheme.as_deref().filter(|scheme| !["http", "https"].contains(scheme)) {
        let message = format!("`{scheme}` is not supported; expected http or https");
        found.push(Problem::new(at("redirect.scheme"), message));
    }
    if let Some(host) = host.as_deref().filter(|host| !is_authority(host)) {
        let message =
            format!("invalid host `{host}`: expected a DNS name in lower case, with an optional port");
        found.push(Problem::new(at("redirect.host"), message));
    }
    if let Some(message) = path.as_deref().and_then(|path| path_problem(path, true)) {
        found.push(Problem::new(at("redirect.path"), message));
    }
    if scheme.is_some() && host.is_none() {
        let message = "`scheme` needs `host`: the host that is redirected to";
        found.push(Problem::new(at("redirect.scheme"), message));
    } else if host.is_none() && path.is_none() {
        found
            .push(Problem::new(at("redirect"), "`host` or `path` is required").suggest("host: shop.example"));
    } else if leads_back(route, redirect) {
        let message = format!("the redirect leads back to `{}`", route.place());
        found.push(Problem::new(at("redirect"), message));
    }
}

fn is_authority(text: &str) -> bool {
    match text.split_once(':') {
        Some((host, port)) => {
            // `parse` takes a sign
            let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
            is_host_name(host) && is_number && port.parse::<u16>().is_ok_and(|port| port > 0)
        }
        None => is_host_name(text),
    }
}

/// Whether the route would answer the request that it redirects to: routes match hosts whatever the port. Another host than its
/// only one may have a route of its own.
fn leads_back(route: &Route, redirect: &RedirectAction) -> bool {
    let is_same_host = match (&redirect.host, route.hosts()) {
        (None, _) => true,
        (Some(host), Some(HostPattern::Exact(own))) => host.split(':').next() == Some(own.as_str()),
        (Some(_), _) => false,
    };
    let is_same_path = match &redirect.path {
        None => true,
        Some(path) if route.exact => *path == route.path,
        Some(path) if route.path == "/" => path.starts_with('/'),
        Some(path) => path.strip_prefix(&route.path).is_some_and(is_below),
    };
    is_same_host && is_same_path
}

fn is_below(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

fn check_earlier(route: &Route, earlier: &[Route], at: &FieldAt<'_>, found: &mut Vec<Problem>) {
    let claim = route.claim();
    if earlier.iter().any(|other| other.claim() == claim) {
        found.push(Problem::new(at("path"), format!("duplicate route `{claim}`")));
    } else if let Some(other) = earlier.iter().find(|other| route.is_ambiguous_with(other)) {
        let message = format!(
            "a request can match both `{claim}` and `{}`, and neither has more conditions; add one to either, or exclude the other with \
             another value of the same name",
            other.claim()
        );
        found.push(Problem::new(at("match"), message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Port, RouteCondition, RouteMatch};

    fn problems_of(routes: serde_json::Value) -> Vec<String> {
        let mut spec = ServiceSpec::of_image("web:1");
        spec.ports = vec![Port { name: "http".into(), port: 80, protocol: Protocol::Http, listen: None }];
        spec.routes = serde_json::from_value(routes).unwrap();
        problems(&spec).into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn sound_routes_have_no_problem() {
        let sound = serde_json::json!([
            {"host": "*.shop.example", "path": "/a/", "exact": true},
            {"host": "shop.example", "match": {"method": "POST", "header": {"X-Beta": "1"}, "query": {"a b": ""}}},
            {"host": "shop.example", "match": {"method": "GET", "cookie": {"arm": "b"}, "header": {"X-Beta": "1"}}},
            {"host": "www.shop.example", "redirect": {"host": "shop.example:8443", "scheme": "https", "status": 308}},
            {"path": "/old", "redirect": {"path": "/new"}},
            {"path": "/older", "redirect": {"host": "shop.example"}},
        ]);
        assert_eq!(problems_of(sound), Vec::<String>::new());
    }

    #[test]
    fn problems_name_field_and_value() {
        let rows = [
            (serde_json::json!({"host": "a.*.b"}), "spec.route[0].host: invalid host `a.*.b`"),
            (serde_json::json!({"host": "*"}), "spec.route[0].host: leave `host` out"),
            (serde_json::json!({"path": "/a/"}), "spec.route[0].path: path `/a/` must not end"),
            (serde_json::json!({"match": {"method": "get"}}), "spec.route[0].match.method: `get` is not"),
            (serde_json::json!({"match": {"method": "TRACE"}}), "spec.route[0].match.method: `TRACE`"),
            (serde_json::json!({"match": {"header": {"a b": "1"}}}), "spec.route[0].match.header.a b: `a b`"),
            (
                serde_json::json!({"match": {"header": {"A": "1", "a": "2"}}}),
                "match.header.a: the same header twice",
            ),
            (
                serde_json::json!({"match": {"cookie": {"a": "x\ny"}}}),
                "match.cookie.a: \"x\\ny\" must be ASCII",
            ),
            (serde_json::json!({"match": {"query": {"": "x"}}}), "match.query.: a query parameter"),
            (
                serde_json::json!({"match": {"query": {"v": "x".repeat(1100)}}}),
                "spec.route[0].match: the conditions have",
            ),
            (serde_json::json!({"redirect": {}}), "spec.route[0].redirect: `host` or `path` is required"),
            (serde_json::json!({"redirect": {"host": "a.b", "status": 200}}), "redirect.status: 200 is not"),
            (serde_json::json!({"redirect": {"host": "a.b", "scheme": "ftp"}}), "redirect.scheme: `ftp`"),
            (
                serde_json::json!({"redirect": {"path": "/a", "scheme": "http"}}),
                "redirect.scheme: `scheme` needs",
            ),
            (serde_json::json!({"redirect": {"host": "a.b:0"}}), "redirect.host: invalid host `a.b:0`"),
            (serde_json::json!({"redirect": {"path": "new"}}), "redirect.path: path `new` must start"),
            (
                serde_json::json!({"host": "a.b", "redirect": {"host": "a.b"}}),
                "redirect: the redirect leads back to `a.b/`",
            ),
            (
                serde_json::json!({"path": "/x", "redirect": {"path": "/x/y"}}),
                "redirect: the redirect leads back",
            ),
            (
                serde_json::json!({"port": "http", "redirect": {"host": "a.b"}}),
                "spec.route[0].port: `port` has no effect",
            ),
            (
                serde_json::json!({"stripPrefix": true, "redirect": {"host": "a.b"}}),
                "stripPrefix: `stripPrefix` has",
            ),
        ];
        for (route, wanted) in rows {
            let found = problems_of(serde_json::json!([route]));
            assert!(found.len() == 1 && found[0].contains(wanted), "{route}: {found:#?}");
        }
        let conditions: std::collections::BTreeMap<String, String> =
            (0..9).map(|n| (format!("h{n}"), String::new())).collect();
        let many = RouteMatch { header: conditions, ..RouteMatch::default() };
        assert!(problems_of(serde_json::json!([{"match": many}]))[0].contains("9 conditions; at most 8"));
    }

    #[test]
    fn ports_of_redirects_and_names_of_parameters_are_checked() {
        let rows = [
            (serde_json::json!({"redirect": {"host": "a.b:+80"}}), "redirect.host: invalid host `a.b:+80`"),
            (serde_json::json!({"redirect": {"host": "a.b:"}}), "redirect.host: invalid host `a.b:`"),
            (
                serde_json::json!({"host": "a.b", "redirect": {"host": "a.b:80"}}),
                "redirect: the redirect leads back to `a.b/`",
            ),
            (
                serde_json::json!({"match": {"query": {"a\u{1b}b": "x"}}}),
                "\"a\\u{1b}b\" has control characters",
            ),
        ];
        for (route, wanted) in rows {
            let found = problems_of(serde_json::json!([route]));
            assert!(found.len() == 1 && found[0].contains(wanted), "{route}: {found:#?}");
        }
    }

    #[test]
    fn duplicate_and_ambiguous_routes_of_a_service_are_refused() {
        let twice = problems_of(serde_json::json!([{"path": "/a"}, {"path": "/a"}]));
        assert_eq!(twice, ["spec.route[1].path: duplicate route `*/a`"]);
        let either = problems_of(serde_json::json!([
            {"match": {"header": {"a": "1"}}}, {"match": {"cookie": {"b": "1"}}}
        ]));
        assert_eq!(either.len(), 1);
        let texts = ["spec.route[1].match: a request can match both", "header.a=\"1\"", "cookie.b=\"1\""];
        assert!(texts.iter().all(|text| either[0].contains(text)), "{either:?}");
    }

    #[test]
    fn longest_claim_fits_into_a_key_of_the_store() {
        let longest = 253 + LIMITS.path + " exact".len() + CONDITIONS_MAX_BYTES + CONDITIONS_MAX;
        assert!(longest + crate::model::key::CLAIMS.len() < 4096);
        assert!(RouteCondition::Method("GET".into()).to_string().len() < CONDITIONS_MAX_BYTES);
    }
}
