//! Events about what the agent does to a container: a stop that cuts something short, with the likely cause; a container that
//! is put back on its network. Pure.

use std::net::Ipv4Addr;

use super::plan_builder::PlanBuilder;
use crate::engine::{LABEL_REPLICA, LABEL_SERVICE, ObservedContainer};
use crate::model::{CutRequests, Event, EventKind, EventReason, Millis, ReplicaName, ServiceName};

/// The container was taken off its network by someone else, and is put back.
pub(super) fn connected_again(
    builder: &mut PlanBuilder<'_>,
    container: &ObservedContainer,
    network: &str,
    address: Ipv4Addr,
) {
    let message =
        format!("taken off its network {network} by someone else; connecting it again at {address}");
    warn(builder, container, EventReason::OffNetwork, message, Vec::new());
}

/// Requests were still in flight when `rollout.drain` had passed; `None` for a container off its network, which is not
/// drained. Returns what the container cuts, if anything.
pub(super) fn drain_exceeded(
    builder: &mut PlanBuilder<'_>,
    container: &ObservedContainer,
    in_flight: Option<u64>,
    drain: Option<Millis>,
) -> Option<CutRequests> {
    let requests = match in_flight {
        Some(0) => return None,
        Some(1) => "1 request".to_owned(),
        Some(n) => format!("{n} requests"),
        None => "an unknown number of requests".to_owned(),
    };
    let message = match drain {
        Some(drain) => {
            format!("{requests} still in flight after `rollout.drain` ({drain}); they end with the container")
        }
        None => format!("{requests} still in flight in a container off its network; they end with it"),
    };
    let replica = ReplicaName::new(container.labels.get(LABEL_REPLICA)?);
    let cut = CutRequests { replica, requests: in_flight, drain };
    warn(builder, container, EventReason::DrainExceeded, message, vec![cut.clone()]);
    Some(cut)
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
    warn(builder, container, EventReason::GraceExceeded, message, Vec::new());
}

/// Adds a warning about a container's replica; none for a container whose labels do not name it.
fn warn(
    builder: &mut PlanBuilder<'_>,
    container: &ObservedContainer,
    reason: EventReason,
    message: String,
    cut: Vec<CutRequests>,
) {
    let label = |label: &str| container.labels.get(label);
    let (Some(service), Some(replica)) = (label(LABEL_SERVICE), label(LABEL_REPLICA)) else { return };
    let object = format!("replica/{replica}");
    let event = Event { at: builder.now.wall, object, kind: EventKind::Warning, reason, message, cut };
    builder.plan.events.push((ServiceName::new(service), event));
}
