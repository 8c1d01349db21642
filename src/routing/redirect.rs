//! Where a redirect leads. Pure.

use super::router::strip;
use crate::model::{PathMatch, RedirectAction};

/// The value of `Location` for a request of this path and query; `path` is that of the route.
///
/// Without a scheme it leaves that of the client open, which may not be ours: a proxy in front may have ended TLS. The port belongs
/// to the scheme, so it stays too, unless the redirect names either: `authority` is what the client asked for.
pub fn location(
    redirect: &RedirectAction,
    path: &PathMatch,
    authority: &str,
    request_path: &str,
    query: Option<&str>,
) -> String {
    let target = match &redirect.path {
        None => request_path.to_owned(),
        Some(new) => below(new, strip(path.as_str(), request_path), request_path == path.as_str()),
    };
    let origin = match (&redirect.scheme, &redirect.host) {
        (Some(scheme), Some(host)) => format!("{scheme}://{host}"),
        (None, Some(host)) if host.contains(':') => format!("//{host}"),
        (None, Some(host)) => format!("//{host}{}", port_of(authority)),
        (_, None) => String::new(),
    };
    // without an origin, `//x` would name a host
    let target = if origin.is_empty() { format!("/{}", target.trim_start_matches('/')) } else { target };
    match query {
        Some(query) => format!("{origin}{target}?{query}"),
        None => format!("{origin}{target}"),
    }
}

/// What `https://` means without a port.
const HTTPS_PORT: u16 = 443;
/// Clients and certificate authorities that check the ownership of a host come without TLS (RFC 8555, section 8.3).
const ACME_CHALLENGE: &str = "/.well-known/acme-challenge/";

/// Whether a request for this path may be redirected to HTTPS, where its route says so.
pub fn may_require_https(path: &str) -> bool {
    !path.starts_with(ACME_CHALLENGE)
}

/// The same host and target over HTTPS at this port.
pub fn https_location(host: &str, target: &str, port: u16) -> String {
    if port == HTTPS_PORT {
        format!("https://{host}{target}")
    } else {
        format!("https://{host}:{port}{target}")
    }
}

/// The port of an authority with its colon; empty if it names none.
fn port_of(authority: &str) -> &str {
    let after_address = authority.rfind(']').map_or(authority, |end| &authority[end..]);
    match after_address.rfind(':').map(|at| &after_address[at..]) {
        Some(port) if port.len() > 1 && port[1..].bytes().all(|byte| byte.is_ascii_digit()) => port,
        _ => "",
    }
}

/// The new path with what follows the route's path in the request.
fn below(new: &str, rest: &str, is_whole: bool) -> String {
    if is_whole || (new.len() > 1 && rest == "/") {
        let slash = if is_whole || new.ends_with('/') { "" } else { "/" };
        return format!("{new}{slash}");
    }
    format!("{}{rest}", new.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_keeps_what_the_redirect_leaves_open() {
        let redirect = |json: serde_json::Value| serde_json::from_value::<RedirectAction>(json).unwrap();
        let prefix = |path: &str| PathMatch::Prefix(path.to_owned());
        let rows = [
            (
                serde_json::json!({"host": "shop.example"}),
                prefix("/"),
                "/a/b",
                Some("q=1"),
                "//shop.example/a/b?q=1",
            ),
            (
                serde_json::json!({"host": "shop.example", "scheme": "https"}),
                prefix("/"),
                "/",
                None,
                "https://shop.example/",
            ),
            (
                serde_json::json!({"host": "a:8443", "scheme": "https"}),
                prefix("/"),
                "//x",
                None,
                "https://a:8443//x",
            ),
            (serde_json::json!({"path": "/new"}), prefix("/old"), "/old/x", Some("q"), "/new/x?q"),
            (serde_json::json!({"path": "/new"}), prefix("/old"), "/old", None, "/new"),
            (serde_json::json!({"path": "/new"}), prefix("/old"), "/old/", None, "/new/"),
            (serde_json::json!({"path": "/new/"}), prefix("/old"), "/old/x", None, "/new/x"),
            (serde_json::json!({"path": "/"}), prefix("/old"), "/old/x", None, "/x"),
            (serde_json::json!({"path": "/"}), prefix("/old"), "/old", None, "/"),
            (serde_json::json!({"path": "/"}), prefix("/old"), "/old//evil.example", None, "/evil.example"),
            (serde_json::json!({"path": "/new"}), prefix("/"), "/a", None, "/new/a"),
            (serde_json::json!({"path": "/new"}), PathMatch::Exact("/old".into()), "/old", None, "/new"),
            (serde_json::json!({"path": "/", "host": "b"}), prefix("/old"), "/old/x", None, "//b/x"),
        ];
        for (json, path, request, query, wanted) in rows {
            assert_eq!(location(&redirect(json), &path, "h", request, query), wanted, "{request}");
        }
    }

    #[test]
    fn port_is_kept_with_the_scheme() {
        let rows = [
            (serde_json::json!({"host": "b"}), "a:8080", "//b:8080/x"),
            (serde_json::json!({"host": "b"}), "[::1]:8080", "//b:8080/x"),
            (serde_json::json!({"host": "b"}), "[::1]", "//b/x"),
            (serde_json::json!({"host": "b"}), "a:", "//b/x"),
            (serde_json::json!({"host": "b"}), "", "//b/x"),
            (serde_json::json!({"host": "b:81"}), "a:8080", "//b:81/x"),
            (serde_json::json!({"host": "b", "scheme": "http"}), "a:8080", "http://b/x"),
            (serde_json::json!({"path": "/"}), "a:8080", "/x"),
        ];
        for (json, authority, wanted) in rows {
            let redirect: RedirectAction = serde_json::from_value(json).unwrap();
            let path = PathMatch::Prefix("/".to_owned());
            assert_eq!(location(&redirect, &path, authority, "/x", None), wanted, "{authority}");
        }
    }
}
