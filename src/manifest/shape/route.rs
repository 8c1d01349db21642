//! Routes: what they match, where they lead, and what changes on the way.

use super::kubernetes::INGRESS_RULE;
use super::schema_node::DefaultValue::{Default, Means, Required};
use super::schema_node::{KeyRule, NONE, SchemaNode, TEXT, TEXTS, ValueType, key};
use super::tls::{HSTS_KEY, HTTPS_REDIRECT_KEY, ROUTE_TLS_KEY};
use super::traffic::PORT_NAME;

/// `host`, `host/path` or `/path`.
pub(super) const ROUTE_TEXT: ValueType = ValueType::Text(Some(
    "^((\\*\\.)?[a-z0-9][a-z0-9.-]*|((\\*\\.)?[a-z0-9][a-z0-9.-]*)?/([^\\s?#%\\\\;*]*[^\\s?#%\\\\;*/])?)$",
));

/// Name of a header or cookie (RFC 9110, 5.6.2).
const TOKEN: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$";
/// Value of a header or cookie.
const HEADER_VALUE: ValueType = ValueType::Text(Some("^([!-~]([ -~]*[!-~])?)?$"));

pub(in crate::manifest) const ROUTE_MATCH: SchemaNode = SchemaNode {
    keys: &[
        key(
            "method",
            ValueType::Text(Some("^[A-Z-]+$")),
            Means("every method"),
            "POST",
            "Method of the request, in upper case. `GET` does not match HEAD.",
        ),
        key(
            "header",
            ValueType::Map(TOKEN, &HEADER_VALUE, Some(8)),
            Default("{}"),
            "{x-beta: \"1\"}",
            "Headers with their whole values. Of a repeated header the first line counts.",
        ),
        key(
            "cookie",
            ValueType::Map(TOKEN, &HEADER_VALUE, Some(8)),
            Default("{}"),
            "{arm: b}",
            "Cookies with their whole values. Of a repeated cookie the first counts.",
        ),
        key(
            "query",
            ValueType::Map("^.+$", &HEADER_VALUE, Some(8)),
            Default("{}"),
            "{v: \"2\"}",
            "Query parameters with their whole values, decoded. Of a repeated parameter the first counts.",
        ),
    ],
    ..NONE
};

pub(in crate::manifest) const REDIRECT: SchemaNode = SchemaNode {
    keys: &[
        key(
            "host",
            ValueType::Text(Some("^[a-z0-9][a-z0-9.-]*(:[1-9][0-9]*)?$")),
            Means("the host of the request"),
            "shop.example.com",
            "Host name in lower case, with an optional port.",
        ),
        key(
            "path",
            ValueType::Path("^/[^\\s?#%\\\\;*]*$"),
            Means("the path of the request"),
            "/new",
            "Path that takes the place of the route's `path`; what follows that in the request is kept, and so is the query.",
        ),
        key(
            "scheme",
            ValueType::Text(Some("^https?$")),
            Means("the scheme of the request"),
            "https",
            "`http` or `https`; together with `host`.",
        ),
        key(
            "status",
            ValueType::Number(301, 308),
            Default("302"),
            "308",
            "Status of the answer: 301 or 308 if clients may cache it, 302 or 307 if not; 307 and 308 keep method and body.",
        ),
    ],
    rules: &[KeyRule::Any(&["host", "path"]), KeyRule::Needs("scheme", "host")],
    ..NONE
};

pub(in crate::manifest) const HEADER_EDITS: SchemaNode = SchemaNode {
    keys: &[
        key(
            "set",
            ValueType::Map(TOKEN, &HEADER_VALUE, Some(32)),
            Default("{}"),
            "{X-Env: production}",
            "Headers with their values, in place of those that came.",
        ),
        key(
            "add",
            ValueType::Map(TOKEN, &HEADER_VALUE, Some(32)),
            Default("{}"),
            "{Vary: X-Env}",
            "Headers with their values, each as a further line.",
        ),
        key("remove", TEXTS, Default("[]"), "[Server]", "Names of headers that are removed first."),
    ],
    rules: &[KeyRule::Any(&["set", "add", "remove"])],
    ..NONE
};

pub(in crate::manifest) const BASIC_AUTH: SchemaNode = SchemaNode {
    keys: &[
        key(
            "realm",
            ValueType::Text(Some("^[ !#-\\[\\]-~]*$")),
            Default("restricted"),
            "staging",
            "Name that the dialog of a browser shows.",
        ),
        key(
            "users",
            ValueType::Map("^[^:]+$", &TEXT, Some(100)),
            Required,
            "{anna: $2y$10$abcdefghijklmnopqrstuuKXsPUKVpOSDx.3BC26ixDo7mqVWMWLi}",
            "Users with hashes of their passwords: bcrypt (`htpasswd -nbB`) or SHA-crypt (`openssl passwd -6`).",
        ),
        key(
            "forward",
            ValueType::Flag,
            Default("false"),
            "true",
            "Whether the service gets the `Authorization` header.",
        ),
    ],
    ..NONE
};

pub(in crate::manifest) const ROUTE: SchemaNode = SchemaNode {
    keys: &[
        key(
            "host",
            ValueType::Text(Some("^(\\*\\.)?[a-z0-9][a-z0-9.-]*$")),
            Means("every host"),
            "shop.localhost",
            "Host name in lower case, without a port. `\"*.shop.localhost\"` matches every host with one label in front of \
             `shop.localhost` that has no route of its own.",
        ),
        key(
            "path",
            ValueType::Path("^/[^\\s?#%\\\\;*]*$"),
            Default("/"),
            "/users",
            "Path prefix, matched on whole segments: `/users` matches `/users/7` but not `/users2`.",
        ),
        key(
            "exact",
            ValueType::Flag,
            Default("false"),
            "true",
            "Whether only the path itself matches, not the paths below it.",
        ),
        key(
            "match",
            ValueType::Block(&ROUTE_MATCH),
            Means("every request"),
            "{method: POST}",
            "Further conditions on a request: all must hold. Of routes with the same host and path, the one with the most conditions \
             comes first; two that a request can match with equally many are refused.",
        ),
        PORT_NAME,
        key(
            "redirect",
            ValueType::Block(&REDIRECT),
            Means("requests are forwarded"),
            "{host: shop.example.com}",
            "Answers with another address instead of forwarding. The service needs no port for it.",
        ),
        key(
            "timeout",
            ValueType::Span,
            Default("30s"),
            "5s",
            "Most time between the last byte of a request and the headers of its response.",
        ),
        key(
            "hold",
            ValueType::Span,
            Default("30s"),
            "10s",
            "How long a request waits for a replica while none is ready, as during a rollout of a single replica or a restart of Docker; then \
             503 with `Retry-After`. At most 5m; `0s` answers at once, and so does a service with `replicas: 0`.",
        ),
        key(
            "idleTimeout",
            ValueType::Span,
            Default("1h"),
            "5m",
            "Longest pause of a client in reading a response, as of a player whose film is paused; then the connection is closed.",
        ),
        key(
            "uploadTimeout",
            ValueType::Span,
            Default("1m"),
            "5m",
            "Longest pause of a client in sending the body of a request, and of a service in receiving it; then 408.",
        ),
        key(
            "stripPrefix",
            ValueType::Flag,
            Default("false"),
            "true",
            "Whether the path prefix is removed before a request is forwarded; `X-Forwarded-Prefix` names it.",
        ),
        key(
            "allow",
            ValueType::List(&ValueType::Text(Some("^[0-9a-fA-F.:]+(/[0-9]+)?$")), Some(64)),
            Means("every client"),
            "[10.0.0.0/8]",
            "Addresses and ranges of the clients that may send requests; others get 403. Behind a trusted proxy the client that it names \
             counts.",
        ),
        key(
            "basicAuth",
            ValueType::Block(&BASIC_AUTH),
            Means("no password"),
            "{users: {anna: $2y$10$abcdefghijklmnopqrstuuKXsPUKVpOSDx.3BC26ixDo7mqVWMWLi}}",
            "Users whose passwords the balancer checks (HTTP Basic authentication); others get 401.",
        ),
        key(
            "maxBodySize",
            ValueType::Memory,
            Means("no limit"),
            "10Mi",
            "Most bytes of a request's body; a longer one gets 413.",
        ),
        key(
            "maintenance",
            ValueType::Flag,
            Default("false"),
            "true",
            "Whether every request gets 503, with the page of `errorPages`, while the service keeps running.",
        ),
        key(
            "errorPages",
            ValueType::Map("^(401|403|408|413|502|503|504)$", &TEXT, None),
            Default("{}"),
            "{\"503\": Back soon}",
            "Bodies of the balancer's own answers, by status, of at most 16 KiB each. One that begins with `<` is sent as HTML.",
        ),
        key(
            "requestHeaders",
            ValueType::Block(&HEADER_EDITS),
            Means("no change"),
            "{set: {X-Env: production}}",
            "Changes of a request's headers before it is forwarded.",
        ),
        key(
            "responseHeaders",
            ValueType::Block(&HEADER_EDITS),
            Means("no change"),
            "{remove: [Server]}",
            "Changes of the headers of the service's responses, and of redirects.",
        ),
        ROUTE_TLS_KEY,
        HTTPS_REDIRECT_KEY,
        HSTS_KEY,
    ],
    later: &["retry", "sticky"],
    rules: &[
        KeyRule::Any(&["path", "host"]),
        KeyRule::Needs("httpsRedirect", "tls"),
        KeyRule::Needs("hsts", "tls"),
        KeyRule::Needs("tls", "host"),
        KeyRule::Needs("httpsRedirect", "host"),
        KeyRule::Needs("hsts", "host"),
    ],
    elsewhere: &[INGRESS_RULE],
    ..NONE
};
