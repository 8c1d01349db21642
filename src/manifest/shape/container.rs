//! What a container may use and do, and what it keeps.

use super::schema_node::DefaultValue::{Default, Means, Required};
use super::schema_node::{LABEL, NONE, SchemaNode, TEXT, TEXTS, ValueType, key};

pub(in crate::manifest) const VOLUME: SchemaNode = SchemaNode {
    keys: &[
        key(
            "name",
            LABEL,
            Required,
            "avatars",
            "Name of the volume: a DNS label. Services of one app that say the same name share one volume.",
        ),
        key(
            "path",
            ValueType::Path("^/.*[^/]$"),
            Required,
            "/data",
            "Where the container finds it: an absolute path, unique in the service.",
        ),
        key("readOnly", ValueType::Flag, Default("false"), "true", "Whether nothing can be written to it."),
        key(
            "perReplica",
            ValueType::Flag,
            Default("false"),
            "true",
            "Whether each slot has a volume of its own, which the next replica of the slot takes over; else all replicas \
             have the same one.",
        ),
    ],
    elsewhere: &[
        ("mountPath", "path", "the path in the container is written under `path`"),
        ("target", "path", "the path in the container is written under `path`"),
        ("destination", "path", "the path in the container is written under `path`"),
        ("source", "name", "a volume has a `name`; no path of the host is mounted"),
        ("hostPath", "name", "a volume has a `name`; no path of the host is mounted"),
        ("read_only", "readOnly", "written as `readOnly`"),
    ],
    ..NONE
};

pub(in crate::manifest) const RESOURCES: SchemaNode = SchemaNode {
    keys: &[
        key(
            "cpu",
            ValueType::Cpu,
            Means("no share is reserved"),
            "250m",
            "Share of the processor that is reserved: `500m` and `0.5` are half a core.",
        ),
        key(
            "memory",
            ValueType::Memory,
            Means("no memory is reserved and none is the limit"),
            "256Mi",
            "Memory that is reserved, at least 6Mi. It is the hard limit too: above it the container is killed.",
        ),
    ],
    elsewhere: &[
        ("requests", "", "write `cpu` and `memory` directly under `resources`"),
        ("limits", "", "`memory` is the hard limit too; a limit of cpu is written under `spec.limits`"),
    ],
    ..NONE
};

pub(in crate::manifest) const LIMITS: SchemaNode = SchemaNode {
    keys: &[key(
        "cpu",
        ValueType::Cpu,
        Means("there is no limit"),
        "\"1\"",
        "The most of the processor that a container gets, at least what `resources` reserves.",
    )],
    elsewhere: &[("memory", "", "the limit of memory is `spec.resources.memory`, reserved and enforced")],
    ..NONE
};

pub(in crate::manifest) const SECURITY: SchemaNode = SchemaNode {
    keys: &[
        key(
            "user",
            TEXT,
            Means("the image's own"),
            "\"10001:10001\"",
            "Whom the container runs as: `uid`, `uid:gid` or a name of the image.",
        ),
        key(
            "readOnlyRoot",
            ValueType::Flag,
            Default("false"),
            "true",
            "Whether the root file system is read-only.",
        ),
        key(
            "capAdd",
            TEXTS,
            Default("[]"),
            "[NET_BIND_SERVICE]",
            "Capabilities beyond Docker's own, with or without `CAP_`.",
        ),
        key(
            "capDrop",
            TEXTS,
            Default("[]"),
            "[ALL]",
            "Capabilities that are taken away; `ALL` takes every one.",
        ),
    ],
    elsewhere: &[(
        "privileged",
        "capAdd",
        "containers are never privileged; add what is needed under `capAdd`",
    )],
    ..NONE
};

pub(in crate::manifest) const LOGGING: SchemaNode = SchemaNode {
    keys: &[
        key(
            "maxSize",
            ValueType::LogSize,
            Default("10m"),
            "50m",
            "Size at which a container's log goes on in a new file. `10m` and `1g` are Docker's spelling of `10Mi` and \
             `1Gi`.",
        ),
        key(
            "maxFiles",
            ValueType::Number(1, u32::MAX),
            Default("5"),
            "2",
            "How many of these files are kept.",
        ),
    ],
    ..NONE
};
