//! Rules of a route's TLS. Pure.

use super::{LIMITS, Problem, RouteTls, ServiceSpec, is_private_host};

/// Problems of the TLS of the route at this index.
pub(super) fn problems(spec: &ServiceSpec, index: usize) -> Vec<Problem> {
    let route = &spec.routes[index];
    let at = |field: &str| format!("spec.route[{index}].{field}");
    let mut found = Vec::new();
    let Some(tls) = &route.tls else {
        if !route.https_redirect {
            found.push(Problem::new(at("httpsRedirect"), "there is no `tls` to redirect to"));
        }
        if route.hsts.is_some() {
            found.push(Problem::new(at("hsts"), "a host without `tls` must not ask for HTTPS"));
        }
        return found;
    };
    let Some(host) = &route.host else {
        let problem = Problem::new(at("tls"), "a certificate is for a host, and this route has none");
        return vec![problem.suggest("host: shop.localhost")];
    };
    match tls {
        RouteTls::Word(_) if !is_private_host(host) => {
            let message = format!(
                "`tls: auto` issues certificates for private names only (localhost, .localhost, .internal, .test, .home.arpa, …), \
                 and `{host}` is public"
            );
            let files = format!("tls: {{cert: /etc/ssl/{host}.pem, key: /etc/ssl/{host}.key}}");
            found.push(Problem::new(at("tls"), message).suggest(files));
        }
        RouteTls::Word(_) => {}
        RouteTls::Files { cert, key } => {
            for (field, path) in [("tls.cert", cert), ("tls.key", key)] {
                found.extend(path_problem(path).map(|message| Problem::new(at(field), message)));
            }
        }
    }
    found.extend(other_source(spec, index, tls).map(|message| Problem::new(at("tls"), message)));
    found
}

fn path_problem(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        Some(format!("`{path}` must be an absolute path on the daemon's node"))
    } else if path.contains(char::is_control) {
        Some(format!("path {path:?} contains a control character"))
    } else if path.len() > LIMITS.path {
        Some(format!("the path has {} bytes; at most {} are allowed", path.len(), LIMITS.path))
    } else {
        None
    }
}

/// A host has one certificate.
fn other_source(spec: &ServiceSpec, index: usize, tls: &RouteTls) -> Option<String> {
    let host = &spec.routes[index].host;
    let mut earlier = spec.routes[..index].iter().filter(|route| route.host == *host);
    let other = earlier.find_map(|route| route.tls.as_ref().filter(|other| *other != tls))?;
    Some(format!("another route of the same host has its certificate from {}", other.source()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_with_two_sources_is_refused_in_whichever_order() {
        let files = serde_json::json!({"cert": "/a.pem", "key": "/a.key"});
        let auto = serde_json::json!("auto");
        for (first, second) in [(&files, &auto), (&auto, &files)] {
            let mut spec = ServiceSpec::of_image("web:1");
            spec.routes = serde_json::from_value(serde_json::json!([
                {"host": "shop.test", "path": "/", "tls": first}, {"host": "shop.test", "path": "/b", "tls": second},
            ]))
            .unwrap();
            assert_eq!(problems(&spec, 0), []);
            let found = problems(&spec, 1);
            assert!(
                found.len() == 1 && found[0].message.contains("another route of the same host"),
                "{found:?}"
            );
        }
    }
}
