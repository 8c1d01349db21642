//! Keys of a Service for names, kernel settings and devices of its containers.

use super::schema_node::DefaultValue::{Default, Means, Required};
use super::schema_node::{EnumValues, NONE, SchemaKey, SchemaNode, TEXT, ValueType, key};

/// Most entries of each list and map, as `model` checks them.
const ENTRIES_MAX: Option<usize> = Some(64);

pub(super) const HOSTNAME: SchemaKey = key(
    "hostname",
    ValueType::Text(Some("^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$")),
    Means("the name of the replica"),
    "users",
    "Host name in the container.",
);

pub(super) const WORKING_DIR: SchemaKey = key(
    "workingDir",
    ValueType::Path("^/"),
    Means("the image's own"),
    "/app",
    "Directory in which the process starts: an absolute path in the container.",
);

pub(super) const INIT: SchemaKey = key(
    "init",
    ValueType::Flag,
    Default("false"),
    "true",
    "Whether Docker's init is PID 1: it reaps zombies and forwards signals to the process.",
);

pub(in crate::manifest) const TMPFS_SHAPE: SchemaNode = SchemaNode {
    keys: &[
        key(
            "path",
            ValueType::Path("^/[^:]*[^/:]$"),
            Required,
            "/cache",
            "Mount path: an absolute path, unique in the service.",
        ),
        key(
            "size",
            ValueType::Memory,
            Default("64Mi"),
            "256Mi",
            "Most that it holds. It counts as memory of the container.",
        ),
    ],
    ..NONE
};

pub(super) const TMPFS: SchemaKey = key(
    "tmpfs",
    ValueType::List(&ValueType::Block(&TMPFS_SHAPE), ENTRIES_MAX),
    Means("none; `/tmp` if `security.readOnlyRoot` is set"),
    "[{path: /cache, size: 64Mi}]",
    "File systems in memory, empty in every new container. Programs in them cannot be executed.",
);

pub(super) const SHM_SIZE: SchemaKey = key(
    "shmSize",
    ValueType::Memory,
    Means("64Mi, Docker's default"),
    "128Mi",
    "Size of `/dev/shm`, the shared memory of the container's processes.",
);

const UNLIMITED: EnumValues = EnumValues { words: &[("unlimited", "no limit")], later: &[] };

const ULIMIT_VALUE: ValueType =
    ValueType::Either(&[ValueType::Number(0, u32::MAX), ValueType::EnumValues(&UNLIMITED)]);

pub(in crate::manifest) const ULIMIT: SchemaNode = SchemaNode {
    keys: &[
        key("soft", ULIMIT_VALUE, Required, "1024", "Limit in force, which the process may raise."),
        key("hard", ULIMIT_VALUE, Required, "65536", "Limit up to which it may be raised."),
    ],
    ..NONE
};

pub(super) const ULIMITS: SchemaKey = key(
    "ulimits",
    ValueType::Map(
        "^(core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack)$",
        &ValueType::Either(&[
            ValueType::Number(0, u32::MAX),
            ValueType::EnumValues(&UNLIMITED),
            ValueType::Block(&ULIMIT),
        ]),
        ENTRIES_MAX,
    ),
    Means("those of the Docker daemon"),
    "{nofile: 65536, core: {soft: 0, hard: unlimited}}",
    "Limits of each process: a number, `unlimited`, or both limits. `nproc` counts the processes of the user on the whole node; \
     `pidsLimit` counts those of the container.",
);

pub(super) const SYSCTLS: SchemaKey = key(
    "sysctls",
    ValueType::Map("^(net\\.|fs\\.mqueue\\.|kernel\\.(msg|sem|shm))[A-Za-z0-9._/-]*$", &TEXT, ENTRIES_MAX),
    Default("{}"),
    "{net.core.somaxconn: \"1024\"}",
    "Kernel settings of the container's own namespaces: `net.*`, `kernel.shm*`, `kernel.msg*`, `kernel.sem`, `fs.mqueue.*`. Every \
     other setting is the node's.",
);

pub(super) const PIDS_LIMIT: SchemaKey = key(
    "pidsLimit",
    ValueType::Number(1, u32::MAX),
    Default("4096"),
    "512",
    "Most processes and threads of a container. A fork beyond it fails.",
);

pub(super) const EXTRA_HOSTS: SchemaKey = key(
    "extraHosts",
    ValueType::Map(
        "^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
        &ValueType::Text(Some("^([0-9A-Fa-f:.]+|host-gateway)$")),
        ENTRIES_MAX,
    ),
    Default("{}"),
    "{legacy: 10.0.0.9, node: host-gateway}",
    "Names in `/etc/hosts` with their address; `host-gateway` is the node.",
);

pub(in crate::manifest) const DNS: SchemaNode = SchemaNode {
    keys: &[
        key("servers", ADDRESSES, Default("[]"), "[10.0.0.2]", "Addresses of the name servers, in order."),
        key(
            "search",
            ValueType::List(&WORD, ENTRIES_MAX),
            Default("[]"),
            "[lan.example.com]",
            "Domains that are tried for a name without a dot.",
        ),
        key(
            "options",
            ValueType::List(&WORD, ENTRIES_MAX),
            Default("[]"),
            "[\"ndots:2\"]",
            "Options of `/etc/resolv.conf`.",
        ),
    ],
    ..NONE
};

const ADDRESSES: ValueType = ValueType::List(&ValueType::Text(Some("^[0-9A-Fa-f:.]+$")), ENTRIES_MAX);
const WORD: ValueType = ValueType::Text(Some("^\\S+$"));

pub(super) const DNS_KEY: SchemaKey = key(
    "dns",
    ValueType::Either(&[ADDRESSES, ValueType::Block(&DNS)]),
    Means("the servers of the node, as Docker passes them on"),
    "[10.0.0.2]",
    "Name servers of the container: a list of addresses, or a map.",
);

pub(super) const DEVICES: SchemaKey = key(
    "devices",
    ValueType::List(&ValueType::Path("^/dev/[^:]+$"), ENTRIES_MAX),
    Default("[]"),
    "[/dev/fuse]",
    "Devices of the node, at the same path in the container. The process may read and write them.",
);
