//! Volumes, resources, limits, security and logging.

use super::compose::{COMPOSE_LIMITS, COMPOSE_LOGGING, COMPOSE_RESOURCES, COMPOSE_VOLUME};
use super::kubernetes::{CONTAINER_RESOURCES, MOUNT, SECURITY_CONTEXT};
use super::schema_node::DefaultValue::{Default, Means, Required};
use super::schema_node::{KeyRule, LABEL, NONE, SchemaNode, TEXT, TEXTS, ValueType, key};

pub(in crate::manifest) const VOLUME: SchemaNode = SchemaNode {
    keys: &[
        key(
            "name",
            LABEL,
            Means("a path of the node, under `hostPath`"),
            "avatars",
            "Name of the volume: a DNS label. Services of one app that use the same name share the volume.",
        ),
        key(
            "hostPath",
            ValueType::Path("^/(.*[^/])?$"),
            Means("a volume, under `name`"),
            "/srv/static",
            "File or directory of the node, in place of a volume: an absolute path that exists, at or below one that `ctl serve              --allow-host-path` allows. It is not removed with the service.",
        ),
        key(
            "path",
            ValueType::Path("^/.*[^/]$"),
            Required,
            "/data",
            "Mount path: an absolute path, unique in the service.",
        ),
        key("readOnly", ValueType::Flag, Default("false"), "true", "Whether it is mounted read-only."),
        key(
            "perReplica",
            ValueType::Flag,
            Default("false"),
            "true",
            "Whether each slot has a separate volume, which the next replica of the slot takes over. Otherwise all replicas \
             share one.",
        ),
    ],
    elsewhere: &[COMPOSE_VOLUME, MOUNT],
    rules: &[KeyRule::Exactly(&["name", "hostPath"]), KeyRule::One(&["hostPath", "perReplica"])],
    ..NONE
};

pub(in crate::manifest) const RESOURCES: SchemaNode = SchemaNode {
    keys: &[
        key(
            "cpu",
            ValueType::Cpu,
            Means("nothing is reserved"),
            "250m",
            "CPU that is reserved, in cores: `500m` and `0.5` are half a core.",
        ),
        key(
            "memory",
            ValueType::Memory,
            Means("nothing is reserved, and there is no limit"),
            "256Mi",
            "Memory that is reserved, at least 6Mi. It is also the hard limit: a container that exceeds it is OOM-killed.",
        ),
    ],
    elsewhere: &[COMPOSE_RESOURCES, CONTAINER_RESOURCES],
    ..NONE
};

pub(in crate::manifest) const LIMITS: SchemaNode = SchemaNode {
    keys: &[key(
        "cpu",
        ValueType::Cpu,
        Means("there is no limit"),
        "\"1\"",
        "Most CPU that a container can use, in cores. It must not be lower than the reserved `resources.cpu`.",
    )],
    elsewhere: &[COMPOSE_LIMITS],
    ..NONE
};

pub(in crate::manifest) const SECURITY: SchemaNode = SchemaNode {
    keys: &[
        key(
            "user",
            TEXT,
            Means("the image's own"),
            "\"10001:10001\"",
            "User that the container runs as: `uid`, `uid:gid` or a user name of the image.",
        ),
        key(
            "readOnlyRoot",
            ValueType::Flag,
            Default("false"),
            "true",
            "Whether the root file system is read-only. `/tmp` is a tmpfs then, unless something is mounted there.",
        ),
        key(
            "capAdd",
            TEXTS,
            Default("[]"),
            "[NET_BIND_SERVICE]",
            "Capabilities to add to Docker's default, with or without `CAP_`. A process that is not root does not get them.",
        ),
        key("capDrop", TEXTS, Default("[]"), "[ALL]", "Capabilities to drop; `ALL` drops every one."),
        key(
            "groups",
            ValueType::List(&ValueType::Text(Some("^[A-Za-z0-9_.-]+$")), Some(64)),
            Default("[]"),
            "[\"44\"]",
            "Further groups of the process: numbers, or names of the image.",
        ),
        key(
            "noNewPrivileges",
            ValueType::Flag,
            Default("true"),
            "false",
            "Whether programs gain no rights by a set-user-id bit or by file capabilities. `false` allows `sudo`.",
        ),
    ],
    elsewhere: &[SECURITY_CONTEXT],
    ..NONE
};

pub(in crate::manifest) const LOGGING: SchemaNode = SchemaNode {
    keys: &[
        key(
            "maxSize",
            ValueType::LogSize,
            Default("10m"),
            "50m",
            "Size at which a container's log is rotated. `10m` and `1g` are Docker's spelling of `10Mi` and `1Gi`.",
        ),
        key(
            "maxFiles",
            ValueType::Number(1, u32::MAX),
            Default("5"),
            "2",
            "Number of log files that are kept.",
        ),
    ],
    elsewhere: &[COMPOSE_LOGGING],
    ..NONE
};
