//! How a Service is rolled and stopped.

use super::Absent::Default;
use super::{Form, NONE, Shape, Words, key};

pub(in crate::manifest) const STRATEGY: Words = Words {
    words: &[("rolling", "replica by replica, within `maxSurge` and `maxUnavailable`")],
    later: &["canary", "blueGreen", "recreate"],
};

pub(in crate::manifest) const ON_FAILURE: Words = Words {
    words: &[
        ("rollback", "back to the last revision whose rollout completed"),
        ("pause", "it stays as it is until you write again"),
    ],
    later: &[],
};

pub(in crate::manifest) const ROLLOUT: Shape = Shape {
    keys: &[
        key(
            "strategy",
            Form::Words(&STRATEGY),
            Default("rolling"),
            "rolling",
            "How a new revision takes the place of the old one.",
        ),
        key(
            "maxSurge",
            Form::Count,
            Default("1"),
            "25%",
            "How many replicas there may be above the wanted number; a percentage is rounded up. `maxSurge` and \
             `maxUnavailable` cannot both be 0.",
        ),
        key(
            "maxUnavailable",
            Form::Count,
            Default("0"),
            "1",
            "How many of the wanted replicas may be missing; a percentage (at most `100%`) is rounded down.",
        ),
        key(
            "healthyFor",
            Form::Duration,
            Default("10s"),
            "30s",
            "How long a new replica has to be available before the next move.",
        ),
        key(
            "deadline",
            Form::Span,
            Default("5m"),
            "10m",
            "A rollout without progress for this long has failed. Time spent pulling the image does not count. It is \
             longer than `healthyFor`.",
        ),
        key(
            "drain",
            Form::Duration,
            Default("20s"),
            "1m",
            "How long the requests in flight of a replica that leaves may take to end, counted from the moment every \
             balancer has taken it out of rotation.",
        ),
        key(
            "onFailure",
            Form::Words(&ON_FAILURE),
            Default("rollback"),
            "pause",
            "What happens when a rollout fails.",
        ),
        key(
            "keepRevisions",
            Form::Number(1, u32::MAX),
            Default("10"),
            "3",
            "How many earlier revisions are kept to go back to.",
        ),
    ],
    later: &["steps", "match", "sticky", "abortIf", "preview", "promote", "keepOld"],
    ..NONE
};

pub(in crate::manifest) const STOP: Shape = Shape {
    keys: &[
        key("signal", Form::Signal, Default("SIGTERM"), "SIGINT", "The signal that asks a container to end."),
        key(
            "grace",
            Form::Duration,
            Default("30s"),
            "1m",
            "From that signal to SIGKILL. It begins after the requests in flight have ended or `rollout.drain` has \
             passed.",
        ),
    ],
    ..NONE
};
