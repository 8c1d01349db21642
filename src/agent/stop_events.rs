//! Events about a stop that took longer than its terms allow: what it cuts short is said, with the likely cause. Pure.

use super::plan_builder::PlanBuilder;
use crate::engine::{LABEL_REPLICA, LABEL_SERVICE, ObservedContainer};
use crate::model::{Event, EventKind, EventReason, Millis, ServiceName};

/// Requests were still in flight when `rollout.drain` had passed.
pub(super) fn drain_exceeded(
    builder: &mut PlanBuilder<'_>,
    container: &ObservedContainer,
    in_flight: Option<u64>,
    drain: Millis,
) {
    let requests = match in_flight {
        Some(0) => return,
        Some(1) => "1 request".to_owned(),
        Some(n) => format!("{n} requests"),
        None => "an unknown number of requests".to_owned(),
    };
    let message =
        format!("{requests} still in flight after `rollout.drain` ({drain}); they end with the container");
    warn(builder, container, EventReason::DrainExceeded, message);
}

/// The process was still there when `stop.grace` had passed, and is killed.
pub(super) fn grace_exceeded(
    builder: &mut PlanBuilder<'_>,
    container: &ObservedContainer,
    signal: &str,
    grace: Millis,
) {
    let message = format!(
        "did not end within `stop.grace` ({grace}) after {signal} and is killed (exit code 137); its first process may not \
         handle the signal: a shell does not pass it on (use `exec`, or the list form of ENTRYPOINT)"
    );
    warn(builder, container, EventReason::GraceExceeded, message);
}

/// Adds a warning about a container's replica; none for a container whose labels do not name it.
fn warn(builder: &mut PlanBuilder<'_>, container: &ObservedContainer, reason: EventReason, message: String) {
    let label = |label: &str| container.labels.get(label);
    let (Some(service), Some(replica)) = (label(LABEL_SERVICE), label(LABEL_REPLICA)) else { return };
    let object = format!("replica/{replica}");
    let event = Event { at: builder.now.wall, object, kind: EventKind::Warning, reason, message };
    builder.plan.events.push((ServiceName::new(service), event));
}
