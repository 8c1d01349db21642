//! The `spec` of a Service, and the environment.

use super::compose::COMPOSE_SERVICE;
use super::foreign_key::{ForeignKey, renamed, under};
use super::kubernetes::{CONTAINER, ENV_SOURCE, POD, WORKLOAD};
use super::options::{
    DEVICES, DNS_KEY, EXTRA_HOSTS, HOSTNAME, INIT, PIDS_LIMIT, SHM_SIZE, SYSCTLS, TMPFS, ULIMITS, WORKING_DIR,
};
use super::schema_node::DefaultValue::{Default, Means, Required};
use super::schema_node::{EnumValues, KeyRule, NONE, SchemaNode, TEXT, TEXTS, ValueType, key};
use super::traffic::PORT_MAX;
use super::{HEALTH, LIMITS, LOGGING, PORT, RESOURCES, ROLLOUT, ROUTE, ROUTE_TEXT, SECURITY, STOP, VOLUME};
use crate::model;

pub(in crate::manifest) const PULL: EnumValues = EnumValues {
    words: &[
        ("ifMissing", "if the Engine does not have it"),
        ("always", "at every apply"),
        ("never", "never; a missing image is an error"),
    ],
    later: &[],
};

pub(in crate::manifest) const BALANCE: EnumValues = EnumValues {
    words: &[
        ("leastRequests", "the one of two random replicas with fewer requests in flight"),
        ("roundRobin", "each replica in turn"),
    ],
    later: &["random", "source", "hash"],
};

/// Keys that belong to a block of the spec.
const MISPLACED: &[ForeignKey] = &[
    under("cmd", "command", "write the arguments of the entrypoint under `command`"),
    renamed("cpu", "resources.cpu"),
    under("host", "route", "write `route: host/path`"),
    renamed("memory", "resources.memory"),
    under("path", "route", "write `route: host/path`"),
];

pub(in crate::manifest) const SPEC: SchemaNode = SchemaNode {
    keys: &[
        key(
            "image",
            ValueType::Text(Some("^\\S+$")),
            Required,
            "ghcr.io/acme/users:1.4.2",
            "Image reference. `ctl apply` resolves it to a digest, which the revision keeps: the same tag with another \
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
            Means("keeps the current number; 1 for a new service"),
            "3",
            "Number of replicas.",
        ),
        key(
            "entrypoint",
            TEXTS,
            Means("the image's own"),
            "[\"/app\"]",
            "Command that is run (Docker's ENTRYPOINT), as a list: it is not run through a shell. The image's CMD belongs to \
             the image's entrypoint and is dropped with it; `[]` drops the entrypoint alone.",
        ),
        key(
            "command",
            TEXTS,
            Means("the image's own"),
            "[\"serve\"]",
            "Arguments of the entrypoint (Docker's CMD), as a list; `[]` means none.",
        ),
        key(
            "port",
            ValueType::Number(1, PORT_MAX),
            Means("the ports under `ports`, or none"),
            "8080",
            "Short form of `ports` with one port named `http`. A service without a port has no endpoint and no route, and can only \
             have an `exec` health check.",
        ),
        key(
            "ports",
            ValueType::List(&ValueType::Block(&PORT), Some(model::LIMITS.ports)),
            Default("[]"),
            "[{name: http, port: 8080}, {name: metrics, port: 9090}]",
            "Ports of the container. They are not published on the node, except on 127.0.0.1 with rootless Docker and Docker \
             Desktop.",
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
            "Hosts and paths that lead to the service: `host/path`, or a list. A path alone matches every host.",
        ),
        key(
            "balance",
            ValueType::EnumValues(&BALANCE),
            Default("leastRequests"),
            "roundRobin",
            "How a replica is chosen for a request.",
        ),
        key(
            "health",
            ValueType::Either(&[ValueType::Path("^/[^\\s#]*$"), ValueType::Block(&HEALTH)]),
            Means("a TCP connect to the first port; without a port, a running container is ready"),
            "/healthz",
            "Health check that decides when a replica is ready: a path for an HTTP GET, or a map.",
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
            "Environment variables. A value is text exactly as written (`3.10` stays `3.10`, `no` stays `no`), or a field \
             that Coxswain fills in. Variables of your shell are not used, and `${}` is not expanded.",
        ),
        key(
            "volumes",
            ValueType::List(&ValueType::Block(&VOLUME), Some(model::LIMITS.volumes)),
            Default("[]"),
            "[{name: avatars, path: /data}]",
            "Volumes that outlive the containers, and paths of the node. If a service has one replica and a writable volume, or a `perReplica` \
             volume, an old replica is stopped before its replacement starts.",
        ),
        key(
            "resources",
            ValueType::Block(&RESOURCES),
            Default("{}"),
            "{cpu: 250m, memory: 256Mi}",
            "CPU and memory that are reserved for each replica.",
        ),
        key("limits", ValueType::Block(&LIMITS), Default("{}"), "{cpu: \"1\"}", "Limits of each replica."),
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
            "How a container is stopped.",
        ),
        key(
            "security",
            ValueType::Block(&SECURITY),
            Default("{}"),
            "{readOnlyRoot: true, capDrop: [ALL]}",
            "User, capabilities and file system of the container. Otherwise Docker's defaults apply, with `no-new-privileges`.",
        ),
        key(
            "logging",
            ValueType::Block(&LOGGING),
            Default("{}"),
            "{maxSize: 10m, maxFiles: 5}",
            "Rotation of the container's log.",
        ),
        HOSTNAME,
        WORKING_DIR,
        INIT,
        TMPFS,
        SHM_SIZE,
        ULIMITS,
        SYSCTLS,
        PIDS_LIMIT,
        EXTRA_HOSTS,
        DNS_KEY,
        DEVICES,
        key(
            "labels",
            ValueType::Map("^(?!coxswain\\.|$)", &TEXT, None),
            Default("{}"),
            "{team: identity}",
            "Additional labels on the containers. Names that start with `coxswain.` are reserved.",
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
    elsewhere: &[COMPOSE_SERVICE, POD, CONTAINER, WORKLOAD, MISPLACED],
    rules: &[KeyRule::One(&["port", "ports"])],
    ..NONE
};

pub(in crate::manifest) const FIELDS: EnumValues = EnumValues {
    words: &[
        ("replica.name", "name of the replica"),
        ("replica.slot", "slot of the replica in its service, from 1"),
        ("service.name", "name of the service"),
        ("node.name", "name of the node"),
        (
            "balancer.url",
            "URL of the balancer for containers: `http://<gateway>:<port>` if it listens on 0.0.0.0, else its first address that is not 127.0.0.1, or the host of `ctl serve --balancer-host`",
        ),
        (
            "balancer.host",
            "host at which containers reach TCP ports that services `listen` on: the gateway of the app's network, or the host of `ctl serve --balancer-host`",
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
        "Field that Coxswain fills in.",
    )],
    later: &["secret", "config"],
    elsewhere: &[ENV_SOURCE],
    ..NONE
};
