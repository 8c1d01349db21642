//! The `spec` of a Service, and the environment.

use super::schema_node::DefaultValue::{Default, Means, Required};
use super::schema_node::{EnumValues, KeyRule, NONE, SchemaNode, TEXT, TEXTS, ValueType, key};
use super::traffic::PORT_MAX;
use super::{HEALTH, LIMITS, LOGGING, PORT, RESOURCES, ROLLOUT, ROUTE, ROUTE_TEXT, SECURITY, STOP, VOLUME};
use crate::model;

pub(in crate::manifest) const PULL: EnumValues = EnumValues {
    words: &[
        ("ifMissing", "where the Engine does not have it"),
        ("always", "at every apply"),
        ("never", "never; an image that is missing is an error"),
    ],
    later: &[],
};

pub(in crate::manifest) const BALANCE: EnumValues = EnumValues {
    words: &[
        ("leastRequests", "of two replicas taken at random the one with fewer requests in flight"),
        ("roundRobin", "one replica after the other"),
    ],
    later: &["random", "source", "hash"],
};

pub(in crate::manifest) const SPEC: SchemaNode = SchemaNode {
    keys: &[
        key(
            "image",
            ValueType::Text(Some("^\\S+$")),
            Required,
            "ghcr.io/acme/users:1.4.2",
            "The image. At an apply it is resolved to a digest, which the revision keeps: the same tag with another \
             digest is a change. An image that only the Engine has is kept by its id.",
        ),
        key(
            "pull",
            ValueType::EnumValues(&PULL),
            Default("ifMissing"),
            "always",
            "When the image is pulled.",
        ),
        key(
            "replicas",
            ValueType::Number(0, model::LIMITS.replicas),
            Means("the number that runs is kept; 1 for a new service"),
            "3",
            "How many replicas run.",
        ),
        key(
            "entrypoint",
            TEXTS,
            Means("the image's own"),
            "[\"/app\"]",
            "What is run, Docker's ENTRYPOINT: a list, because no shell takes a text apart.",
        ),
        key(
            "command",
            TEXTS,
            Means("the image's own"),
            "[\"serve\"]",
            "Arguments of the entrypoint, Docker's CMD.",
        ),
        key(
            "port",
            ValueType::Number(1, PORT_MAX),
            Means("the service has the `ports` it lists, or none"),
            "8080",
            "Short for `ports` with one port, named `http`. Without a port there is no endpoint, no route and no probe but `exec`.",
        ),
        key(
            "ports",
            ValueType::List(&ValueType::Block(&PORT), Some(model::LIMITS.ports)),
            Default("[]"),
            "[{name: http, port: 8080}, {name: metrics, port: 9090}]",
            "Ports of the container. Nothing is published on the host, but with rootless Docker and Docker Desktop on its \
             127.0.0.1.",
        ),
        key(
            "route",
            ValueType::Either(&[
                ROUTE_TEXT,
                ValueType::List(
                    &ValueType::Either(&[ROUTE_TEXT, ValueType::Block(&ROUTE)]),
                    Some(model::LIMITS.routes),
                ),
            ]),
            Default("[]"),
            "shop.localhost/users",
            "Nodes and paths that lead to the service: `host/path`, or a list. A path alone means any host.",
        ),
        key(
            "balance",
            ValueType::EnumValues(&BALANCE),
            Default("leastRequests"),
            "roundRobin",
            "Which replica a request goes to.",
        ),
        key(
            "health",
            ValueType::Either(&[ValueType::Path("^/[^\\s#]*$"), ValueType::Block(&HEALTH)]),
            Means("a TCP connect to the first port; without a port, that the container runs"),
            "/healthz",
            "When a replica is ready for requests: a path that is asked for over HTTP, or a map.",
        ),
        key(
            "env",
            ValueType::Map(
                "^[^=]+$",
                &ValueType::Either(&[TEXT, ValueType::Block(&ENV_VALUE)]),
                Some(model::LIMITS.env),
            ),
            Default("{}"),
            "{LOG_LEVEL: info, REPLICA: {field: replica.name}}",
            "The environment. A value is text exactly as it is written (`3.10` stays `3.10`, `no` stays `no`), or a \
             field that the system fills in. Nothing is taken from the caller's shell and no `${}` is replaced.",
        ),
        key(
            "volumes",
            ValueType::List(&ValueType::Block(&VOLUME), Some(model::LIMITS.volumes)),
            Default("[]"),
            "[{name: avatars, path: /data}]",
            "Volumes that outlive the containers. Where a service has one replica and a volume it writes to, or a \
             `perReplica` volume, a replica is stopped before the next one is started.",
        ),
        key(
            "resources",
            ValueType::Block(&RESOURCES),
            Default("{}"),
            "{cpu: 250m, memory: 256Mi}",
            "What each replica is promised.",
        ),
        key(
            "limits",
            ValueType::Block(&LIMITS),
            Default("{}"),
            "{cpu: \"1\"}",
            "What each replica may use at most.",
        ),
        key(
            "rollout",
            ValueType::Block(&ROLLOUT),
            Default("{}"),
            "{maxSurge: 1, healthyFor: 10s}",
            "How a new revision takes the place of the old one.",
        ),
        key(
            "stop",
            ValueType::Block(&STOP),
            Default("{}"),
            "{signal: SIGTERM, grace: 30s}",
            "How a container is asked to end.",
        ),
        key(
            "security",
            ValueType::Block(&SECURITY),
            Default("{}"),
            "{readOnlyRoot: true, capDrop: [ALL]}",
            "What the container may do: Docker's own defaults without new privileges, and what is said here.",
        ),
        key(
            "logging",
            ValueType::Block(&LOGGING),
            Default("{}"),
            "{maxSize: 10m, maxFiles: 5}",
            "How much of the log is kept.",
        ),
        key(
            "labels",
            ValueType::Map("^(?!coxswain\\.|$)", &TEXT, None),
            Default("{}"),
            "{team: identity}",
            "Further labels on the containers. Names that begin with `coxswain.` are the system's own.",
        ),
    ],
    later: &[
        "registry",
        "liveness",
        "files",
        "hostPort",
        "placement",
        "dependsOn",
        "preRollout",
        "external",
        "registration",
    ],
    elsewhere: &[
        (
            "args",
            "command",
            "`args` is not a key here: `entrypoint` is what runs (Docker's ENTRYPOINT) and `command` its arguments (Docker's CMD)",
        ),
        ("cmd", "command", "the arguments of the entrypoint are written under `command`"),
        ("environment", "env", "the environment is written under `env`, as a map"),
        (
            "containers",
            "image",
            "a service is one container; write its `image` and the rest directly under `spec`",
        ),
        ("template", "image", "there is no pod template; write `image` and the rest directly under `spec`"),
        ("selector", "", "a service selects nothing; its replicas are its own"),
        ("strategy", "rollout", "how it is rolled is written under `rollout`"),
        ("restart", "", "a replica that ends is always started again"),
        ("restartPolicy", "", "a replica that ends is always started again"),
        ("readinessProbe", "health", "readiness is written under `health`"),
        ("healthcheck", "health", "readiness is written under `health`"),
        ("livenessProbe", "", "liveness is not supported yet; `health` decides about traffic"),
        ("volumeMounts", "volumes", "volumes and where they are mounted are written under `volumes`"),
        ("networks", "", "every app has one network of its own; there is nothing to write"),
    ],
    rules: &[KeyRule::One(&["port", "ports"])],
    ..NONE
};

pub(in crate::manifest) const FIELDS: EnumValues = EnumValues {
    words: &[
        ("replica.name", "name of the replica"),
        ("replica.slot", "which of the service's places the replica fills, from 1"),
        ("service.name", "name of the service"),
        ("host.name", "name of the host"),
        (
            "balancer.url",
            "where the container reaches the balancer: `http://<gateway>:<first http port>`, or the host of `ctl serve --balancer-host`",
        ),
    ],
    later: &[],
};

pub(in crate::manifest) const ENV_VALUE: SchemaNode = SchemaNode {
    keys: &[key(
        "field",
        ValueType::EnumValues(&FIELDS),
        Required,
        "replica.name",
        "What the system fills in.",
    )],
    later: &["secret", "config"],
    ..NONE
};
