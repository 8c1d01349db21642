//! How a Service is rolled and stopped.

use super::schema_node::DefaultValue::Default;
use super::schema_node::{EnumValues, NONE, SchemaNode, ValueType, key};

pub(in crate::manifest) const STRATEGY: EnumValues = EnumValues {
    words: &[("rolling", "replica by replica, within `maxSurge` and `maxUnavailable`")],
    later: &["canary", "blueGreen", "recreate"],
};

pub(in crate::manifest) const ON_FAILURE: EnumValues = EnumValues {
    words: &[
        ("rollback", "back to the last revision whose rollout completed"),
        ("pause", "it stays as it is until you write again"),
    ],
    later: &[],
};

pub(in crate::manifest) const ROLLOUT: SchemaNode = SchemaNode {
    keys: &[
        key(
            "strategy",
            ValueType::EnumValues(&STRATEGY),
            Default("rolling"),
            "rolling",
            "How a new revision takes the place of the old one.",
        ),
        key(
            "maxSurge",
            ValueType::Count,
            Default("1"),
            "25%",
            "How many replicas there may be above the wanted number; a percentage is rounded up. `maxSurge` and \
             `maxUnavailable` cannot both be 0.",
        ),
        key(
            "maxUnavailable",
            ValueType::Count,
            Default("0"),
            "1",
            "How many of the wanted replicas may be missing; a percentage (at most `100%`) is rounded down.",
        ),
        key(
            "healthyFor",
            ValueType::Duration,
            Default("10s"),
            "30s",
            "How long a new replica has to be available before the next move.",
        ),
        key(
            "deadline",
            ValueType::Span,
            Default("5m"),
            "10m",
            "A rollout without progress for this long has failed. Time spent pulling the image does not count. It is \
             longer than `healthyFor`.",
        ),
        key(
            "drain",
            ValueType::Duration,
            Default("20s"),
            "1m",
            "How long the requests in flight of a replica that leaves may take to end, counted from the moment every \
             balancer has taken it out of rotation.",
        ),
        key(
            "onFailure",
            ValueType::EnumValues(&ON_FAILURE),
            Default("rollback"),
            "pause",
            "What happens when a rollout fails.",
        ),
        key(
            "keepRevisions",
            ValueType::Number(1, u32::MAX),
            Default("10"),
            "3",
            "How many earlier revisions are kept to go back to.",
        ),
    ],
    later: &["steps", "match", "sticky", "abortIf", "preview", "promote", "keepOld"],
    ..NONE
};

pub(in crate::manifest) const STOP: SchemaNode = SchemaNode {
    keys: &[
        key(
            "signal",
            ValueType::Signal,
            Default("SIGTERM"),
            "SIGINT",
            "The signal that asks a container to end.",
        ),
        key(
            "grace",
            ValueType::Duration,
            Default("30s"),
            "1m",
            "From that signal to SIGKILL. It begins after the requests in flight have ended or `rollout.drain` has \
             passed.",
        ),
    ],
    ..NONE
};
