//! Rules for the filters of a route. Pure.

use super::header_text::{is_token, value_problem};
use super::password_hash::check_hash;
use super::{BasicAuth, HeaderEdits, Problem, RouteFilters};

/// Most ranges of `allow`: each is compared with the client of every request.
const ALLOW_MAX: usize = 64;
/// Most users of a route: the whole list is part of the table that every balancer keeps.
const USERS_MAX: usize = 100;
/// Most header edits of one direction: a response has at most 100 lines.
const EDITS_MAX: usize = 32;
/// Longest name and value of an edited header, in bytes: a service accepts 8 KiB of headers together.
const NAME_MAX: usize = 128;
const VALUE_MAX: usize = 2048;

/// Longest error page, in bytes: all pages of a service are part of its spec, which may have 256 KiB.
const PAGE_MAX: usize = 16 << 10;

/// Headers that frame a message or belong to one connection: an edit could make the two sides read different messages.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// Further ones of requests that the balancer sets itself, and services rely on.
const OF_REQUESTS: [&str; 2] = ["host", "x-real-ip"];
/// How the names of headers begin that say who the client is.
const FORWARDING: [&str; 3] = ["forwarded", "x-forwarded", "x-original-"];
/// Further ones of responses.
const OF_RESPONSES: [&str; 2] = ["date", "trailer"];

/// The path of a field of the route that is checked.
pub(super) type FieldAt<'a> = dyn Fn(&str) -> String + 'a;

/// Problems of the filters of a route.
pub(super) fn problems(filters: &RouteFilters, at: &FieldAt<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    let RouteFilters {
        maintenance: _,
        allow,
        basic_auth,
        max_body_size: _,
        error_pages,
        request_headers,
        response_headers,
    } = filters;
    if allow.len() > ALLOW_MAX {
        let message = format!("{} ranges; at most {ALLOW_MAX} are allowed", allow.len());
        found.push(Problem::new(at("allow"), message));
    }
    for (i, range) in allow.iter().enumerate().filter(|(_, range)| range.trunc() != **range) {
        let message = format!("{range} has bits set behind its prefix; write {}", range.trunc());
        found.push(Problem::new(at(&format!("allow[{i}]")), message));
    }
    for (status, page) in error_pages {
        let expected = RouteFilters::PAGE_STATUSES;
        let problem = if !expected.contains(&status.as_str()) {
            format!("`{status}` is no error of the balancer; expected one of {}", expected.join(", "))
        } else if page.len() > PAGE_MAX {
            format!("the page has {} bytes; at most {PAGE_MAX} are allowed", page.len())
        } else {
            continue;
        };
        found.push(Problem::new(at(&format!("errorPages.{status}")), problem));
    }
    if let Some(auth) = basic_auth {
        check_auth(auth, at, &mut found);
    }
    check_edits(request_headers, "requestHeaders", is_kept_of_requests, at, &mut found);
    check_edits(response_headers, "responseHeaders", is_kept_of_responses, at, &mut found);
    found
}

fn is_kept_of_requests(name: &str) -> bool {
    let is_forwarding = FORWARDING.iter().any(|start| name.starts_with(start));
    FRAMING.contains(&name) || OF_REQUESTS.contains(&name) || is_forwarding || name == "trailer"
}

fn is_kept_of_responses(name: &str) -> bool {
    FRAMING.contains(&name) || OF_RESPONSES.contains(&name)
}

fn check_edits(
    edits: &HeaderEdits,
    field: &str,
    is_kept: fn(&str) -> bool,
    at: &FieldAt<'_>,
    found: &mut Vec<Problem>,
) {
    let count = edits.names().count();
    if count > EDITS_MAX {
        let message = format!("{count} changed headers; at most {EDITS_MAX} are allowed");
        found.push(Problem::new(at(field), message));
    }
    let named = [("set", &edits.set), ("add", &edits.add)];
    let with_value = named.iter().flat_map(|(key, names)| {
        names.iter().map(move |(name, value)| (format!("{field}.{key}.{name}"), name, Some(value)))
    });
    let removed = edits.remove.iter().enumerate();
    let removed = removed.map(|(i, name)| (format!("{field}.remove[{i}]"), name, None));
    for (path, name, value) in with_value.chain(removed) {
        let problem = edit_problem(name, value.map(String::as_str), is_kept);
        found.extend(problem.map(|message| Problem::new(at(&path), message)));
    }
}

fn edit_problem(name: &str, value: Option<&str>, is_kept: fn(&str) -> bool) -> Option<String> {
    if !is_token(name) || name.len() > NAME_MAX {
        return Some(format!("`{name}` is not the name of a header of at most {NAME_MAX} bytes"));
    }
    // many services take `_` for `-`
    if is_kept(&name.to_ascii_lowercase().replace('_', "-")) {
        return Some(format!("`{name}` is set by the balancer and cannot be changed"));
    }
    let value = value?;
    if value.len() > VALUE_MAX {
        return Some(format!("the value has {} bytes; at most {VALUE_MAX} are allowed", value.len()));
    }
    value_problem(value).map(|why| format!("{value:?} {why}"))
}

fn check_auth(auth: &BasicAuth, at: &FieldAt<'_>, found: &mut Vec<Problem>) {
    let BasicAuth { realm, users, forward: _ } = auth;
    let is_odd = |c: char| !c.is_ascii() || c.is_ascii_control() || matches!(c, '"' | '\\');
    if realm.contains(is_odd) || realm.len() > NAME_MAX {
        let message =
            format!("{realm:?} must be at most {NAME_MAX} ASCII characters without quotes and backslashes");
        found.push(Problem::new(at("basicAuth.realm"), message));
    }
    if users.is_empty() || users.len() > USERS_MAX {
        let message = format!("{} users; expected 1 to {USERS_MAX}", users.len());
        found.push(Problem::new(at("basicAuth.users"), message));
    }
    for (user, hash) in users {
        let path = at(&format!("basicAuth.users.{user}"));
        if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
            let message = format!("{user:?} cannot be a user: a name has no `:` and no control characters");
            found.push(Problem::new(path.clone(), message));
        }
        if let Err(problem) = check_hash(hash) {
            found.push(Problem::new(path, problem.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2b$10$abcdefghijklmnopqrstuuKXsPUKVpOSDx.3BC26ixDo7mqVWMWLi";

    fn problems_of(filters: serde_json::Value) -> Vec<String> {
        let filters: RouteFilters = serde_json::from_value(filters).unwrap();
        let found = problems(&filters, &|field: &str| field.to_owned());
        found.into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn sound_filters_have_no_problem() {
        let sound = serde_json::json!({
            "allow": ["10.0.0.0/8", "fd00::/8"],
            "basicAuth": {"users": {"anna": BCRYPT}},
            "maxBodySize": "1Mi",
            "maintenance": true,
            "errorPages": {"503": "<h1>Back soon</h1>"},
            "requestHeaders": {"set": {"X-Env": "prod"}, "remove": ["cookie"]},
            "responseHeaders": {"set": {"Strict-Transport-Security": "max-age=1"}, "remove": ["server"]},
        });
        assert_eq!(problems_of(sound), Vec::<String>::new());
    }

    #[test]
    fn problems_name_field_and_value() {
        let rows = [
            (
                serde_json::json!({"requestHeaders": {"set": {"Host": "x"}}}),
                "requestHeaders.set.Host: `Host` is set by",
            ),
            (serde_json::json!({"requestHeaders": {"add": {"X_Forwarded_For": "x"}}}), "add.X_Forwarded_For"),
            (
                serde_json::json!({"requestHeaders": {"set": {"Transfer_Encoding": "x"}}}),
                "`Transfer_Encoding` is",
            ),
            (serde_json::json!({"responseHeaders": {"add": {"content_length": "1"}}}), "`content_length` is"),
            (serde_json::json!({"requestHeaders": {"remove": ["Connection"]}}), "remove[0]: `Connection`"),
            (
                serde_json::json!({"responseHeaders": {"set": {"Content-Length": "1"}}}),
                "`Content-Length` is set",
            ),
            (
                serde_json::json!({"responseHeaders": {"set": {"x": "a\r\nb"}}}),
                "responseHeaders.set.x: \"a\\r\\nb\" must",
            ),
            (serde_json::json!({"responseHeaders": {"set": {"a b": "1"}}}), "`a b` is not the name"),
            (
                serde_json::json!({"responseHeaders": {"set": {"a": "x".repeat(2049)}}}),
                "2049 bytes; at most 2048",
            ),
            (serde_json::json!({"errorPages": {"404": "x"}}), "errorPages.404: `404` is no error"),
            (serde_json::json!({"errorPages": {"503": "x".repeat(16385)}}), "16385 bytes; at most 16384"),
            (serde_json::json!({"allow": ["10.1.2.3/8"]}), "allow[0]: 10.1.2.3/8 has bits set"),
            (serde_json::json!({"basicAuth": {"users": {}}}), "basicAuth.users: 0 users"),
            (serde_json::json!({"basicAuth": {"users": {"a:b": BCRYPT}}}), "\"a:b\" cannot be a user"),
            (serde_json::json!({"basicAuth": {"users": {"a": "secret"}}}), "basicAuth.users.a: "),
            (serde_json::json!({"basicAuth": {"realm": "a\"b", "users": {"a": BCRYPT}}}), "basicAuth.realm"),
        ];
        for (filters, wanted) in rows {
            let found = problems_of(filters.clone());
            assert!(found.len() == 1 && found[0].contains(wanted), "{filters}: {found:#?}");
        }
    }
}
