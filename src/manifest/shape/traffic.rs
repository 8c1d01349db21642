//! Ports, routes and the health check.

use super::schema_node::DefaultValue::{Default, Means, Required};
use super::schema_node::{EnumValues, KeyRule, LABEL, NONE, SchemaKey, SchemaNode, ValueType, key};

/// The highest port there is.
pub(super) const PORT_MAX: u32 = u16::MAX as u32;

pub(in crate::manifest) const PROTOCOL: EnumValues =
    EnumValues { words: &[("http", "HTTP/1.1")], later: &["h2c", "tcp", "TCP", "udp", "UDP"] };

pub(in crate::manifest) const PORT: SchemaNode = SchemaNode {
    keys: &[
        key("name", LABEL, Required, "http", "Name of the port, unique in the service: a DNS label."),
        key(
            "port",
            ValueType::Number(1, PORT_MAX),
            Required,
            "8080",
            "Number of the port in the container, unique in the service.",
        ),
        key(
            "protocol",
            ValueType::EnumValues(&PROTOCOL),
            Default("http"),
            "http",
            "What is spoken on the port.",
        ),
    ],
    later: &["hostPort"],
    elsewhere: &[
        ("containerPort", "port", "the port of the container is written under `port`"),
        (
            "targetPort",
            "port",
            "the port of the container is written under `port`; nothing is published on the host",
        ),
        ("nodePort", "", "nothing is published on the host; a `route` leads to the service"),
    ],
    ..NONE
};

/// `host`, `host/path` or `/path`.
pub(super) const ROUTE_TEXT: ValueType = ValueType::Text(Some(
    "^([a-z0-9][a-z0-9.-]*|([a-z0-9][a-z0-9.-]*)?/([^\\s?#%\\\\;*]*[^\\s?#%\\\\;*/])?)$",
));

/// Name of one of the service's ports.
const PORT_NAME: SchemaKey =
    key("port", LABEL, Means("the first port"), "http", "Name of the port that requests go to.");

pub(in crate::manifest) const ROUTE: SchemaNode = SchemaNode {
    keys: &[
        key(
            "host",
            ValueType::Text(Some("^[a-z0-9][a-z0-9.-]*$")),
            Means("any host"),
            "shop.localhost",
            "Name of the host in lower case, without a port.",
        ),
        key(
            "path",
            ValueType::Path("^/([^\\s?#%\\\\;*]*[^\\s?#%\\\\;*/])?$"),
            Default("/"),
            "/users",
            "The path and all below it, matched on whole segments: `/users` takes `/users/7` and not `/users2`.",
        ),
        PORT_NAME,
        key(
            "timeout",
            ValueType::Span,
            Default("30s"),
            "5s",
            "From the last byte of a request to the headers of its response.",
        ),
        key(
            "stripPrefix",
            ValueType::Flag,
            Default("false"),
            "true",
            "Whether the path is taken off before a request is forwarded.",
        ),
    ],
    later: &["tls", "retry", "sticky", "match"],
    rules: &[KeyRule::Any(&["host", "path"])],
    ..NONE
};

pub(in crate::manifest) const HEALTH: SchemaNode = SchemaNode {
    keys: &[
        key(
            "http",
            ValueType::Path("^/[^\\s#]*$"),
            Means("another check decides"),
            "/healthz",
            "A GET of this path, which may have a query, passes with a status of 200 to 399.",
        ),
        key(
            "tcp",
            ValueType::True,
            Means("another check decides"),
            "true",
            "A TCP connect passes. Through the proxy of a published port the connection must hold for 100 ms, too.",
        ),
        key(
            "grpc",
            ValueType::Text(Some("^[!-~]*$")),
            Means("another check decides"),
            "shop.Users",
            "The health service of gRPC, `grpc.health.v1.Health/Check`, answers `SERVING` for this service over HTTP/2 \
             without TLS. Empty (`\"\"`) asks for the server as a whole.",
        ),
        key(
            "exec",
            ValueType::Command,
            Means("another check decides"),
            "[\"/app\", \"check\"]",
            "This command, run in the container without a shell, ends with exit code 0. It needs no port.",
        ),
        key(
            "none",
            ValueType::True,
            Means("another check decides"),
            "true",
            "Nothing is probed: a replica is ready as soon as its container runs.",
        ),
        SchemaKey { text: "Name of the port that is probed.", ..PORT_NAME },
        key(
            "interval",
            ValueType::Span,
            Default("5s"),
            "1s",
            "Between the starts of two probes. Until the first success, a probe every 200 ms or this, whichever is \
             less.",
        ),
        key(
            "timeout",
            ValueType::Span,
            Default("2s"),
            "500ms",
            "A probe without an answer for this long has failed.",
        ),
        key(
            "startWithin",
            ValueType::Span,
            Default("60s"),
            "2m",
            "From the start of a container to its first success at most; then another one takes its place.",
        ),
        key(
            "healthyAfter",
            ValueType::Number(1, u32::MAX),
            Default("1"),
            "2",
            "Successes in a row that make a replica ready.",
        ),
        key(
            "unhealthyAfter",
            ValueType::Number(1, u32::MAX),
            Default("3"),
            "5",
            "Failures in a row that take a ready replica out of rotation.",
        ),
    ],
    elsewhere: &[
        ("httpGet", "http", "write the path under `http`"),
        ("path", "http", "write the path under `http`"),
        ("tcpSocket", "tcp", "write `tcp: true`, and the port's name under `port`"),
        ("command", "exec", "write the command as a list under `exec`"),
        ("test", "exec", "write the command as a list under `exec`, without Docker's CMD in front"),
        ("initialDelaySeconds", "startWithin", "probes begin at once and repeat until `startWithin`"),
        ("periodSeconds", "interval", "write a duration with a unit under `interval`"),
        ("timeoutSeconds", "timeout", "write a duration with a unit under `timeout`"),
        ("failureThreshold", "unhealthyAfter", "write the number under `unhealthyAfter`"),
        ("successThreshold", "healthyAfter", "write the number under `healthyAfter`"),
    ],
    rules: &[KeyRule::One(&["http", "tcp", "grpc", "exec", "none"]), KeyRule::One(&["exec", "port"])],
    ..NONE
};
