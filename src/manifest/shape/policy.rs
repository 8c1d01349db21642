//! Rollout and stop of a Service.

use super::compose::COMPOSE_UPDATE;
use super::kubernetes::{DEPLOYMENT_STRATEGY, POD_STOP};
use super::schema_node::DefaultValue::{Default, Means};
use super::schema_node::{EnumValues, NONE, SchemaNode, ValueType, key};

pub(in crate::manifest) const STRATEGY: EnumValues = EnumValues {
    words: &[("rolling", "replaces replicas step by step, within `maxSurge` and `maxUnavailable`")],
    later: &["canary", "blueGreen", "recreate"],
};

pub(in crate::manifest) const ON_FAILURE: EnumValues = EnumValues {
    words: &[
        ("rollback", "rolls back to the last revision whose rollout completed"),
        ("pause", "changes nothing until your next write"),
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
            "How a new revision replaces the old one.",
        ),
        key(
            "maxSurge",
            ValueType::Count,
            Default("1"),
            "25%",
            "Number or percentage of replicas that may run in addition to `replicas`; a percentage is rounded up. `maxSurge` and \
             `maxUnavailable` cannot both be 0.",
        ),
        key(
            "maxUnavailable",
            ValueType::Count,
            Default("0"),
            "1",
            "Number or percentage of replicas that may be unavailable; a percentage (at most `100%`) is rounded down.",
        ),
        key(
            "healthyFor",
            ValueType::Duration,
            Default("10s"),
            "30s",
            "How long a new replica must be available before the rollout continues, and every replica before a revision is complete, the first \
             one too.",
        ),
        key(
            "deadline",
            ValueType::Span,
            Default("5m"),
            "10m",
            "A rollout without progress for this long fails. The time to pull the image, or to wait for an old container to drain and stop, does not count. It must be longer \
             than `healthyFor`.",
        ),
        key(
            "failFast",
            ValueType::Flag,
            Default("false"),
            "true",
            "Whether a replica that fails three times fails the rollout at once. By default a replica that exits is started \
             again until `health.startWithin` has passed, unless the failure cannot pass: it may wait for its database.",
        ),
        key(
            "drain",
            ValueType::Duration,
            Default("20s"),
            "1m",
            "How long requests in flight may take to finish before a replica is stopped, counted from the moment every \
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
            "Number of earlier revisions that are kept for a rollback.",
        ),
    ],
    later: &["steps", "match", "sticky", "abortIf", "preview", "promote", "keepOld"],
    elsewhere: &[COMPOSE_UPDATE, DEPLOYMENT_STRATEGY],
    ..NONE
};

pub(in crate::manifest) const STOP: SchemaNode = SchemaNode {
    keys: &[
        key(
            "signal",
            ValueType::Signal,
            Means("the image's STOPSIGNAL, else SIGTERM"),
            "SIGINT",
            "Signal that stops a container.",
        ),
        key(
            "grace",
            ValueType::Duration,
            Default("30s"),
            "1m",
            "Time between that signal and SIGKILL. The signal is sent after the requests in flight have finished or \
             `rollout.drain` has passed.",
        ),
    ],
    elsewhere: &[POD_STOP],
    ..NONE
};
