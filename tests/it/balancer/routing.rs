//! Routes with conditions, redirects and filters, over real sockets.

use base64::Engine;
use coxswain::model::{
    PathMatch, RedirectAction, RouteAction, RouteCondition, RouteFilters, TableRoute, TrustedProxies,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::harness::{
    Backend, Balancer, PATIENCE, Setup, exchange, get, read_head, route, route_with, status, table,
};
use super::http2::Http2Client;

/// `libcrypt` made it of `secret`, at a cost of 10: a check takes a twentieth of a second.
const HASH: &str = "$2y$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u";

fn filtered(route: TableRoute, filters: serde_json::Value) -> TableRoute {
    TableRoute { filters: serde_json::from_value::<RouteFilters>(filters).unwrap(), ..route }
}

fn redirecting(route: TableRoute, redirect: serde_json::Value) -> TableRoute {
    let redirect: RedirectAction = serde_json::from_value(redirect).unwrap();
    TableRoute { action: RouteAction::Redirect(redirect), ..route }
}

fn conditioned(route: TableRoute, conditions: &[RouteCondition]) -> TableRoute {
    TableRoute { conditions: conditions.iter().cloned().collect(), ..route }
}

fn exact(route: TableRoute) -> TableRoute {
    let path = PathMatch::Exact(route.path.as_str().to_owned());
    TableRoute { path, ..route }
}

/// A balancer with these routes; the backend `a` answers for the service of each.
async fn balancer_with(routes: &[TableRoute], trusted_proxies: TrustedProxies) -> (Balancer, Vec<Backend>) {
    let mut balancer = Balancer::start(Setup { trusted_proxies, ..Setup::default() }).await;
    let mut names: Vec<String> = Vec::new();
    for route in routes {
        if let RouteAction::Forward(forward) = &route.action {
            names.extend(forward.backends.iter().map(|backend| backend.service.to_string()));
        }
    }
    names.sort();
    names.dedup();
    let mut backends = Vec::new();
    for name in &names {
        backends.push(Backend::echo(name).await);
    }
    let pools: Vec<[&Backend; 1]> = backends.iter().map(|backend| [backend]).collect();
    let services: Vec<(&str, &[&Backend])> =
        names.iter().map(String::as_str).zip(pools.iter().map(<[&Backend; 1]>::as_slice)).collect();
    balancer.publish(table(1, routes, &services)).await;
    (balancer, backends)
}

async fn started(routes: &[TableRoute]) -> (Balancer, Vec<Backend>) {
    balancer_with(routes, TrustedProxies::default()).await
}

/// The value of a header in an answer.
fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn basic(user: &str, password: &str) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {encoded}\r\n")
}

async fn with_headers(balancer: &Balancer, line: &str, headers: &str) -> String {
    let request = format!("{line} HTTP/1.1\r\nHost: shop.example\r\n{headers}Connection: close\r\n\r\n");
    exchange(balancer.address, &request).await
}

#[tokio::test]
async fn wildcard_host_matches_in_every_spelling_of_the_host_and_yields_to_the_exact_one() {
    let routes = [
        route(Some("*.shop.example"), "/", "wild"),
        route(Some("api.shop.example"), "/", "api"),
        route(None, "/any", "any"),
    ];
    let (balancer, _backends) = started(&routes).await;
    for (host, path, wanted) in [
        ("a.shop.example", "/", "wild GET /\n"),
        ("A.Shop.Example:8080", "/", "wild GET /\n"),
        ("a.shop.example.", "/x", "wild GET /x\n"),
        ("a.shop.example.:80", "/", "wild GET /\n"),
        ("API.shop.example:80", "/", "api GET /\n"),
        ("shop.example", "/any", "any GET /any\n"),
        ("a.b.shop.example", "/any", "any GET /any\n"),
        ("shop.example", "/", "no service has a route"),
        ("a.b.shop.example", "/", "no service has a route"),
    ] {
        let answer = get(balancer.address, host, path).await;
        assert!(answer.contains(wanted), "{host}{path}: {answer}");
    }
    let old = exchange(balancer.address, "GET /any HTTP/1.0\r\n\r\n").await;
    assert!(old.contains("any GET /any\n"), "{old}");
    let old = exchange(balancer.address, "GET / HTTP/1.0\r\nHost: a.shop.example\r\n\r\n").await;
    assert!(old.contains("wild GET /\n"), "{old}");
}

#[tokio::test]
async fn conditions_on_method_header_cookie_and_query_choose_the_route() {
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (name, value) = named("x-beta", "1");
    let header = RouteCondition::Header { name, value };
    let (name, value) = named("arm", "b");
    let cookie = RouteCondition::Cookie { name, value };
    let (name, value) = named("v", "a b");
    let query = RouteCondition::Query { name, value };
    let post = RouteCondition::Method("POST".to_owned());
    let shop = |service: &str| route(Some("shop.example"), "/", service);
    let routes = [
        shop("plain"),
        conditioned(shop("beta"), std::slice::from_ref(&header)),
        conditioned(shop("beta-post"), &[header, post]),
        conditioned(route(Some("shop.example"), "/api", "arm"), &[cookie]),
        conditioned(route(Some("shop.example"), "/search", "query"), &[query]),
        exact(route(Some("shop.example"), "/checkout", "exact")),
        exact(route(Some("shop.example"), "/slash/", "slash")),
    ];
    let (balancer, _backends) = started(&routes).await;
    for (line, headers, wanted) in [
        ("GET /", "", "plain GET /\n"),
        ("GET /", "X-Beta: 1\r\n", "beta GET /\n"),
        ("GET /", "X-Beta: 2\r\nX-Beta: 1\r\n", "plain GET /\n"),
        ("POST /", "X-Beta: 1\r\nContent-Length: 0\r\n", "beta-post POST /\n"),
        ("GET /api/x", "Cookie: a=1; arm=b\r\n", "arm GET /api/x\n"),
        ("GET /api/x", "Cookie: arm=c\r\n", "plain GET /api/x\n"),
        ("GET /search?x=1&v=a%20b", "", "query GET /search?x=1&v=a%20b\n"),
        ("GET /search?v=a+b&v=c", "", "query GET /search?v=a+b&v=c\n"),
        ("GET /search?v=c&v=a+b", "", "plain GET /search?v=c&v=a+b\n"),
        ("GET /checkout", "", "exact GET /checkout\n"),
        ("GET /x/../checkout?q", "", "exact GET /checkout?q\n"),
        ("GET /checkout/", "", "plain GET /checkout/\n"),
        ("GET /checkout%2F", "", "plain GET /checkout%2F\n"),
        ("GET /slash/", "", "slash GET /slash/\n"),
        ("GET /slash", "", "plain GET /slash\n"),
    ] {
        let answer = with_headers(&balancer, line, headers).await;
        assert!(answer.contains(wanted), "{line} {headers}: {answer}");
    }
}

#[tokio::test]
async fn redirect_answers_with_the_location_and_keeps_the_connection() {
    let www = redirecting(
        route(Some("www.shop.example"), "/", "-"),
        serde_json::json!({
            "host": "shop.example", "scheme": "https", "status": 308,
        }),
    );
    let headers = serde_json::json!({"responseHeaders": {"set": {"cache-control": "no-store"}}});
    let old = redirecting(route(None, "/old", "-"), serde_json::json!({"path": "/new"}));
    let mobile = route(Some("m.shop.example"), "/", "-");
    let mobile = redirecting(mobile, serde_json::json!({"host": "shop.example"}));
    let (balancer, _backends) =
        started(&[filtered(www, headers), old, mobile, route(None, "/new", "new")]).await;
    let moved = get(balancer.address, "WWW.shop.example:8080", "/a%2Fb/../c?x=/..").await;
    assert_eq!(status(&moved), 308, "{moved}");
    assert_eq!(header(&moved, "location"), Some("https://shop.example/c?x=/.."));
    assert_eq!(header(&moved, "cache-control"), Some("no-store"));
    let kept = get(balancer.address, "m.shop.example:8080", "/a").await;
    assert_eq!(header(&kept, "location"), Some("//shop.example:8080/a"));
    // two requests on one connection: a redirect without a body does not end it
    let both =
        "GET /old/x HTTP/1.1\r\nHost: h\r\n\r\nGET /new/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let both = exchange(balancer.address, both).await;
    assert_eq!((status(&both), header(&both, "location")), (302, Some("/new/x")), "{both}");
    assert!(both.contains("new GET /new/x\n"), "{both}");
    let away = get(balancer.address, "h", "/old//evil.example").await;
    assert_eq!(header(&away, "location"), Some("/new//evil.example"));
}

#[tokio::test]
async fn headers_are_edited_on_both_ways_and_the_stripped_prefix_is_named() {
    let edits = serde_json::json!({
        "requestHeaders": {"set": {"X-Env": "prod"}, "add": {"x-tag": "b"}, "remove": ["X-Gone"]},
        "responseHeaders": {"set": {"Server": "coxswain"}, "add": {"x-extra": "1"}, "remove": ["date"]},
    });
    let api = route_with(route(None, "/api", "api"), |forward| forward.strip_prefix = true);
    let (balancer, _backends) = started(&[filtered(api, edits), route(None, "/", "plain")]).await;
    let sent = "X-Env: test\r\nX-Env: dev\r\nX-Tag: a\r\nX-Gone: 1\r\nX-Forwarded-Prefix: /evil\r\n";
    let answer = with_headers(&balancer, "GET /api/x", sent).await;
    let seen: Vec<&str> = answer.split("\r\n\r\n").nth(1).unwrap().lines().collect();
    assert_eq!(seen[0], "api GET /x");
    for line in ["x-env: prod", "x-tag: a", "x-tag: b", "x-forwarded-prefix: /api"] {
        assert_eq!(seen.iter().filter(|seen| **seen == line).count(), 1, "{line} in {answer}");
    }
    let count = |name: &str| seen.iter().filter(|line| line.starts_with(name)).count();
    assert_eq!((count("x-gone"), count("x-env"), count("x-forwarded-prefix")), (0, 1, 1), "{answer}");
    assert_eq!((header(&answer, "server"), header(&answer, "x-extra")), (Some("coxswain"), Some("1")));
    let plain = with_headers(&balancer, "GET /x", sent).await;
    assert!(plain.contains("x-gone: 1") && !plain.contains("x-forwarded-prefix"), "{plain}");
}

#[tokio::test]
async fn changed_names_come_neither_in_trailers_nor_in_interim_heads() {
    let edits = serde_json::json!({
        "requestHeaders": {"set": {"X-Env": "prod"}, "remove": ["X-Gone"]},
        "responseHeaders": {"set": {"x-own": "1"}, "remove": ["X-Secret"]},
    });
    let backend = Backend::raw("web", |mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        let mut body = Vec::new();
        while !body.ends_with(b"\r\n\r\n") {
            body.push(stream.read_u8().await.unwrap());
        }
        let seen = String::from_utf8_lossy(&body).replace("\r\n", "|");
        let answer = format!(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Secret: 1\r\n\r\n\
             HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Secret, X-Own, X-Sum\r\n\r\n\
             {:x}\r\n{seen}\r\n0\r\nX-Secret: 2\r\nX-Own: 2\r\nX-Sum: 3\r\n\r\n",
            seen.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let mut balancer = Balancer::start(Setup::default()).await;
    let web = filtered(route(None, "/", "web"), edits);
    balancer.publish(table(1, &[web], &[("web", &[&backend])])).await;
    let request = "POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE, close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   1\r\na\r\n0\r\nX-Env: forged\r\nX-Gone: 1\r\nX-Kept: 1\r\n\r\n";
    let answer = exchange(balancer.address, request).await.to_lowercase();
    assert!(answer.contains("103 early hints") && answer.contains("link: </a>"), "{answer}");
    assert!(answer.contains("|x-kept: 1|") && answer.contains("x-sum: 3"), "{answer}");
    for dropped in ["x-env:", "x-gone:", "x-secret:", "x-own: 2"] {
        assert!(!answer.contains(dropped), "{dropped}: {answer}");
    }
    assert!(answer.contains("x-own: 1"), "{answer}");
}

#[tokio::test]
async fn only_allowed_clients_pass_and_behind_a_trusted_proxy_the_real_one_counts() {
    let office = filtered(route(None, "/", "web"), serde_json::json!({"allow": ["10.0.0.0/8"]}));
    let (balancer, _backends) = started(std::slice::from_ref(&office)).await;
    let forged = with_headers(&balancer, "GET /", "X-Forwarded-For: 10.0.0.1\r\n").await;
    assert_eq!(status(&forged), 403, "the peer is no trusted proxy: {forged}");
    assert!(forged.contains("not allowed"), "{forged}");
    let trusted = TrustedProxies::new(["127.0.0.0/8".parse().unwrap()]);
    let loopback = filtered(route(None, "/near", "web"), serde_json::json!({"allow": ["127.0.0.0/8"]}));
    let inner = filtered(route(None, "/inner", "web"), serde_json::json!({"allow": ["127.0.0.7/32"]}));
    let (balancer, _backends) = balancer_with(&[office, loopback, inner], trusted).await;
    for (line, headers, code) in [
        ("GET /near", "", 200),
        ("GET /near", "X-Forwarded-For: unknown\r\n", 403),
        ("GET /near", "X-Forwarded-For: 127.0.0.9, unknown, 127.0.0.8\r\n", 403),
        ("GET /near", "Forwarded: for=_hidden\r\n", 403),
        ("GET /inner", "", 403),
        ("GET /inner", "X-Forwarded-For: 127.0.0.7, 127.0.0.8\r\n", 200),
        ("GET /inner", "X-Forwarded-For: 127.0.0.8, 127.0.0.7\r\n", 403),
    ] {
        let answer = with_headers(&balancer, line, headers).await;
        assert_eq!(status(&answer), code, "{line} {headers}: {answer}");
    }
    for (headers, code) in [
        ("X-Forwarded-For: 10.0.0.1\r\n", 200),
        ("X-Forwarded-For: 10.0.0.1, 11.0.0.1\r\n", 403),
        ("Forwarded: for=10.0.0.1\r\n", 200),
        ("Forwarded: for=\"[fd00::1]\"\r\n", 403),
        ("", 403),
    ] {
        let answer = with_headers(&balancer, "GET /", headers).await;
        assert_eq!(status(&answer), code, "{headers}: {answer}");
    }
}

#[tokio::test]
async fn password_is_asked_for_checked_and_not_forwarded() {
    let auth = |more: serde_json::Value| {
        let mut auth = serde_json::json!({"users": {"anna": HASH}, "realm": "staging"});
        auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::json!({ "basicAuth": auth })
    };
    let routes = [
        filtered(route(None, "/", "web"), auth(serde_json::json!({}))),
        filtered(route(None, "/forward", "web"), auth(serde_json::json!({"forward": true}))),
    ];
    let (balancer, _backends) = started(&routes).await;
    let asked = with_headers(&balancer, "GET /", "").await;
    assert_eq!(status(&asked), 401, "{asked}");
    assert_eq!(header(&asked, "www-authenticate"), Some("Basic realm=\"staging\", charset=\"UTF-8\""));
    for (user, password, code) in [
        ("anna", "secret", 200),
        ("anna", "Secret", 401),
        ("anna", "", 401),
        ("berta", "secret", 401),
        ("", "secret", 401),
        ("anna", "secret", 200),
    ] {
        let answer = with_headers(&balancer, "GET /", &basic(user, password)).await;
        assert_eq!(status(&answer), code, "{user}:{password}: {answer}");
        assert!(!answer.contains("authorization"), "{answer}");
    }
    let forwarded = with_headers(&balancer, "GET /forward", &basic("anna", "secret")).await;
    assert!(forwarded.contains("authorization: Basic"), "{forwarded}");
    let odd = with_headers(&balancer, "GET /", "Authorization: Basic ###\r\n").await;
    assert_eq!(status(&odd), 401, "{odd}");
}

/// A browser asks for many things at the same time, as soon as it has the password.
#[tokio::test]
async fn requests_with_the_same_unknown_password_all_pass_at_the_same_time() {
    let auth = serde_json::json!({"basicAuth": {"users": {"anna": HASH}}});
    let (balancer, _backends) = started(&[filtered(route(None, "/", "web"), auth)]).await;
    let ask = || async { with_headers(&balancer, "GET /", &basic("anna", "secret")).await };
    let all = (0..30).map(|_| ask());
    let answers = futures::future::join_all(all).await;
    assert!(answers.iter().all(|answer| status(answer) == 200), "{answers:?}");
}

/// Sixty wrong passwords are three seconds of hashing.
#[tokio::test]
async fn flood_of_wrong_passwords_delays_neither_other_routes_nor_known_passwords() {
    let auth = serde_json::json!({"basicAuth": {"users": {"anna": HASH}}});
    let routes = [filtered(route(None, "/", "web"), auth), route(None, "/open", "web")];
    let (balancer, _backends) = started(&routes).await;
    let right = with_headers(&balancer, "GET /", &basic("anna", "secret")).await;
    assert_eq!(status(&right), 200, "{right}");
    let address = balancer.address;
    let flood: Vec<_> = (0..60)
        .map(|n| {
            let request = format!(
                "GET / HTTP/1.1\r\nHost: h\r\n{}Connection: close\r\n\r\n",
                basic("anna", &format!("wrong-{n}"))
            );
            tokio::spawn(async move { status(&exchange(address, &request).await) })
        })
        .collect();
    let honest = async {
        for _ in 0..20 {
            let open = get(address, "h", "/open").await;
            assert_eq!(status(&open), 200, "{open}");
            let known = with_headers(&balancer, "GET /", &basic("anna", "secret")).await;
            assert_eq!(status(&known), 200, "{known}");
        }
    };
    tokio::time::timeout(PATIENCE, honest).await.expect("no one waits for the flood");
    let mut codes = Vec::new();
    for task in flood {
        codes.push(task.await.unwrap());
    }
    let refused = codes.iter().filter(|code| **code == 503).count();
    assert!(codes.iter().all(|code| [401, 503].contains(code)) && refused > 0, "{codes:?}");
}

#[tokio::test]
async fn own_answers_have_the_pages_of_the_route_and_maintenance_answers_everyone() {
    let page = "<h1>Back soon</h1>";
    let pages = serde_json::json!({"errorPages": {"503": page, "502": "gone", "401": "who?"}});
    let closed = serde_json::json!({"maintenance": true, "errorPages": {"503": page}});
    let auth = serde_json::json!({"basicAuth": {"users": {"anna": HASH}}, "errorPages": {"401": "who?"}});
    let mut balancer = Balancer::start(Setup::default()).await;
    let web = Backend::echo("web").await;
    let absent = Backend::absent("absent").await;
    let routes = [
        filtered(route(None, "/", "web"), pages.clone()),
        filtered(route(None, "/empty", "empty"), pages.clone()),
        filtered(route(None, "/absent", "absent"), pages),
        filtered(route(None, "/closed", "web"), closed),
        filtered(route(None, "/plain", "web"), serde_json::json!({"maintenance": true})),
        filtered(route(None, "/staff", "web"), auth),
    ];
    let pools: [(&str, &[&Backend]); 3] = [("web", &[&web]), ("empty", &[]), ("absent", &[&absent])];
    balancer.publish(table(1, &routes, &pools)).await;
    let html = "text/html; charset=utf-8";
    let text = "text/plain; charset=utf-8";
    for (path, code, kind, retry, body) in [
        ("/empty", 503, html, Some("1"), page),
        ("/absent", 502, text, None, "gone"),
        ("/closed", 503, html, Some("60"), page),
        ("/plain", 503, text, Some("60"), "the service is in maintenance\n"),
        ("/staff", 401, text, None, "who?"),
    ] {
        let answer = get(balancer.address, "h", path).await;
        assert_eq!(
            (status(&answer), header(&answer, "content-type")),
            (code, Some(kind)),
            "{path}: {answer}"
        );
        assert_eq!(header(&answer, "retry-after"), retry, "{path}: {answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{path}: {answer}");
        assert_eq!(header(&answer, "www-authenticate").is_some(), code == 401, "{answer}");
    }
    let served = get(balancer.address, "h", "/x").await;
    assert!(served.contains("web GET /x\n"), "{served}");
    let head = "HEAD /closed HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let head = exchange(balancer.address, head).await;
    assert!(status(&head) == 503 && head.ends_with("\r\n\r\n"), "no body: {head}");
}

#[tokio::test]
async fn routes_are_the_same_for_clients_of_http2() {
    let edits = serde_json::json!({
        "basicAuth": {"users": {"anna": HASH}}, "maxBodySize": "1Ki",
        "requestHeaders": {"set": {"x-env": "prod"}}, "responseHeaders": {"set": {"server": "coxswain"}},
    });
    let cookie = RouteCondition::Cookie { name: "arm".to_owned(), value: "b".to_owned() };
    let routes = [
        route(Some("web"), "/", "plain"),
        conditioned(route(Some("web"), "/", "arm"), &[cookie]),
        filtered(route(Some("web"), "/staff", "plain"), edits),
        redirecting(route(Some("web"), "/old", "-"), serde_json::json!({"path": "/new", "status": 307})),
    ];
    let (balancer, _backends) = started(&routes).await;
    let client = Http2Client::connect(&balancer).await;
    let ask = |method: &str, path: &str| {
        http::Request::builder().method(method).uri(format!("http://WEB:80{path}"))
    };
    let moved = client.send(ask("GET", "/old/x?y"), b"").await.unwrap();
    assert_eq!((moved.status(), moved.header("location")), (307, Some("/new/x?y")));
    let cookies = ask("GET", "/x").header("cookie", "a=1").header("cookie", "arm=b");
    assert!(client.send(cookies, b"").await.unwrap().body.starts_with("arm GET /x\n"));
    let asked = client.send(ask("GET", "/staff"), b"").await.unwrap();
    assert_eq!((asked.status(), asked.header("www-authenticate").is_some()), (401, true));
    let known = |method: &str| ask(method, "/staff").header("authorization", "Basic YW5uYTpzZWNyZXQ=");
    let served = client.send(known("POST"), &[b'x'; 1024]).await.unwrap();
    assert_eq!((served.status(), served.header("server")), (200, Some("coxswain")));
    assert!(
        served.body.contains("x-env: prod\n") && !served.body.contains("authorization"),
        "{}",
        served.body
    );
    let long = client.send(known("POST"), &[b'x'; 1025]).await.unwrap();
    assert_eq!(long.status(), 413, "{}", long.body);
    let next = client.send(ask("GET", "/y"), b"").await.unwrap();
    assert!(next.body.starts_with("plain GET /y\n"), "the connection is kept: {}", next.body);
}

#[tokio::test]
async fn body_above_the_limit_is_refused_whether_or_not_its_length_is_known() {
    let limited = filtered(route(None, "/", "web"), serde_json::json!({"maxBodySize": "1Ki"}));
    let (balancer, backends) = started(&[limited]).await;
    let sized = |length: usize| format!("Content-Length: {length}\r\n");
    let chunked = |length: usize| {
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n",
            "x".repeat(length)
        )
    };
    let post = |length: usize| {
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{}\r\n", sized(length));
        head + &"x".repeat(length)
    };
    for request in [post(1024), chunked(1024)] {
        let answer = exchange(balancer.address, &request).await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(answer.ends_with(&"x".repeat(1024)), "{answer}");
    }
    let before = backends[0].accepted.load(std::sync::atomic::Ordering::SeqCst);
    let long = exchange(balancer.address, &post(1025)).await;
    assert_eq!((status(&long), header(&long, "connection")), (413, Some("close")), "{long}");
    assert!(long.contains("route.maxBodySize (1Ki)"), "{long}");
    assert_eq!(
        backends[0].accepted.load(std::sync::atomic::Ordering::SeqCst),
        before,
        "no endpoint is asked"
    );
    let unknown = exchange(balancer.address, &chunked(1025)).await;
    assert_eq!(status(&unknown), 413, "{unknown}");
    let next = get(balancer.address, "h", "/").await;
    assert_eq!(status(&next), 200, "{next}");
}
