//! Ports and the health check.

use super::compose::{COMPOSE_HEALTHCHECK, COMPOSE_PORT};
use super::kubernetes::{CONTAINER_PORT, PROBE};
use super::schema_node::DefaultValue::{Default, Means, Required};
use super::schema_node::{EnumValues, KeyRule, LABEL, NONE, SchemaKey, SchemaNode, TEXT, ValueType, key};

/// The highest port number.
pub(super) const PORT_MAX: u32 = u16::MAX as u32;

pub(in crate::manifest) const PROTOCOL: EnumValues = EnumValues {
    words: &[
        ("http", "HTTP/1.1"),
        ("h2c", "HTTP/2 without TLS, which gRPC servers speak"),
        ("tcp", "bytes in any protocol"),
    ],
    later: &["udp", "UDP"],
};

/// Where the balancer listens for a TCP port.
pub(in crate::manifest) const LISTEN: SchemaNode = SchemaNode {
    keys: &[
        key(
            "port",
            ValueType::Number(1, PORT_MAX),
            Required,
            "5432",
            "Port of the node, used by one service only.",
        ),
        key(
            "address",
            ValueType::Text(Some("^[0-9a-fA-F.:]+$")),
            Default("0.0.0.0"),
            "127.0.0.1",
            "Address of the node. `0.0.0.0` is every IPv4 address, also the gateways at which containers reach the node; `\"::\"` is every \
             IPv6 address.",
        ),
        key(
            "hold",
            ValueType::Duration,
            Default("30s"),
            "10s",
            "How long a connection waits for a replica while none is ready; then it is closed. At most 5m; `0s` closes it at once, and so \
             does a service with `replicas: 0`.",
        ),
        key(
            "idleTimeout",
            ValueType::Span,
            Default("1d"),
            "2h",
            "A connection on which neither side sends a byte for this long is closed. Peers that have vanished are found within two \
             minutes whatever it is.",
        ),
    ],
    ..NONE
};

/// `5432`, `127.0.0.1:5432` or `[::1]:5432`.
const LISTEN_TEXT: ValueType =
    ValueType::Text(Some("^(\\[[0-9a-fA-F:.]+\\]|[0-9]+(\\.[0-9]+){3}):[1-9][0-9]*$"));

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
            "Protocol of the port; `tcp` if it has `listen`.",
        ),
        key(
            "listen",
            ValueType::Either(&[ValueType::Number(1, PORT_MAX), LISTEN_TEXT, ValueType::Block(&LISTEN)]),
            Means("not reachable from outside of the app's network"),
            "5432",
            "Port of the node at which clients reach a port with `protocol: tcp`, through the balancer: a number, `address:port`, or a map.",
        ),
    ],
    later: &["hostPort"],
    elsewhere: &[COMPOSE_PORT, CONTAINER_PORT],
    ..NONE
};

/// Name of one of the service's ports.
pub(super) const PORT_NAME: SchemaKey =
    key("port", LABEL, Means("the first port"), "http", "Name of the port that receives the requests.");

pub(in crate::manifest) const HEALTH: SchemaNode = SchemaNode {
    keys: &[
        key(
            "http",
            ValueType::Path("^/[^\\s#]*$"),
            Means("another check"),
            "/healthz",
            "Check over HTTP: a GET of this path, which may have a query, passes with status 200 to 399.",
        ),
        key(
            "tcp",
            ValueType::True,
            Means("another check"),
            "true",
            "Check over TCP: a connect passes. At a published port the connection must also stay open for 100 ms, because Docker's proxy \
             accepts it first.",
        ),
        key(
            "grpc",
            ValueType::Text(Some("^[!-~]*$")),
            Means("another check"),
            "shop.Users",
            "Check over gRPC: `grpc.health.v1.Health/Check` over HTTP/2 without TLS passes if it returns `SERVING` for this service. \
             Empty (`\"\"`) checks the whole server.",
        ),
        key(
            "exec",
            ValueType::Command,
            Means("another check"),
            "[\"/app\", \"check\"]",
            "Check by a command: run in the container without a shell, it passes with exit code 0. It needs no port. What needs a \
             shell is written `[\"/bin/sh\", \"-c\", \"curl -f http://localhost/ || exit 1\"]`.",
        ),
        key(
            "none",
            ValueType::True,
            Means("another check"),
            "true",
            "No check: a replica is ready as soon as its container runs.",
        ),
        SchemaKey { text: "Name of the port that is probed.", ..PORT_NAME },
        key(
            "host",
            ValueType::Text(Some("^[A-Za-z0-9._-]+(:[1-9][0-9]*)?$")),
            Means("the host of the first route that has one, else the address"),
            "shop.example.com",
            "Host header of an `http` check: frameworks such as Django and Rails refuse a host that they do not know.",
        ),
        key(
            "headers",
            ValueType::Map("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", &TEXT, Some(16)),
            Default("{}"),
            "{X-Forwarded-Proto: https}",
            "Further headers of an `http` check.",
        ),
        key(
            "interval",
            ValueType::Span,
            Default("5s"),
            "1s",
            "Time between the starts of two probes. Until the first success it is at most 200 ms.",
        ),
        key(
            "timeout",
            ValueType::Span,
            Default("2s"),
            "500ms",
            "A probe without a response for this long fails.",
        ),
        key(
            "startWithin",
            ValueType::Span,
            Default("60s"),
            "2m",
            "Most time between the start of a container and its first success. After that the container is replaced.",
        ),
        key(
            "healthyAfter",
            ValueType::Number(1, u32::MAX),
            Default("1"),
            "2",
            "Consecutive successes after which a replica is ready.",
        ),
        key(
            "unhealthyAfter",
            ValueType::Number(1, u32::MAX),
            Default("3"),
            "5",
            "Consecutive failures after which a ready replica is taken out of rotation.",
        ),
    ],
    elsewhere: &[COMPOSE_HEALTHCHECK, PROBE],
    rules: &[
        KeyRule::One(&["http", "tcp", "grpc", "exec", "none"]),
        KeyRule::One(&["exec", "port"]),
        KeyRule::Needs("host", "http"),
        KeyRule::Needs("headers", "http"),
    ],
    ..NONE
};
