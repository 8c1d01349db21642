//! Whether containers can connect to the balancer: a firewall on the node may drop their packets, while requests from outside
//! and health checks work. Pure.
//!
//! A container of ours tries it, one at a time, from the network of each app: once a replica has been ready for a while and
//! while nothing else is to be done, so never on the path of a release. [`super::memory`] says when again. What cannot be
//! checked (another kind of Engine, a program that it cannot see) is not reported.

use std::net::{IpAddr, SocketAddr};

use super::action::{ActionSubject, AgentAction};
use super::address;
use super::memory::UnreachableBalancer;
use super::node::BalancerUrl;
use super::plan_builder::PlanBuilder;
use super::spec;
use crate::engine::{LABEL_APP, is_check_of};
use crate::model::{
    AppName, Condition, Event, EventKind, EventReason, GatewayAnswer, Millis, Reason, ReplicaPhase,
    ServiceName, key,
};

/// A replica of the app was ready for this long: the command that waits for it has ended.
const SETTLED_AFTER: Millis = Millis::secs(5);

/// Plans the next check, if one is due; only called while there is nothing else to do.
pub(super) fn check(builder: &mut PlanBuilder<'_>) {
    let view = builder.view;
    let Some(program) = view.facts.program.clone() else { return };
    if view.containers.iter().any(|container| is_check_of(&container.labels, &view.facts.store)) {
        // Its name is taken until it is removed.
        return;
    }
    let now = builder.now.mono;
    let checks = &builder.memory.gateway;
    let candidate = |app| {
        let target = target(builder, app)?;
        let is_reported = checks.unreachable().any(|found| found.app == app);
        // What is reported ends with an answer, also of an app that was scaled to zero meanwhile.
        let wait = if is_reported { Millis(0) } else { settles_in(builder, app)? };
        let due = checks.due(app, target)?.max(now.after(wait));
        Some((due, checks.last(app), app, target))
    };
    // Of those that are due at the same time the one whose last check is the oldest.
    let Some((due, _, app, target)) = view.apps.iter().filter_map(candidate).min() else { return };
    if due > now {
        return builder.wake(due.since(now));
    }
    let spec = Box::new(spec::gateway_check(view, app, target, program));
    builder.act(AgentAction::CheckGateway { app: app.clone(), target, spec });
}

/// The address that containers of this app use, if its network exists.
fn target(builder: &PlanBuilder<'_>, app: &AppName) -> Option<SocketAddr> {
    let name = builder.view.network_name(app);
    let exists = builder.view.networks.iter().any(|network| network.name == name);
    let subnet = builder.state.networks.get(app).filter(|_| exists)?.subnet;
    match &builder.view.facts.balancer {
        BalancerUrl::Gateway(port) => Some(SocketAddr::new(IpAddr::V4(address::gateway(subnet)), *port)),
        // A name is resolved in the container, which has nothing to do it with.
        BalancerUrl::Host(address) => address.parse().ok(),
        BalancerUrl::Unknown => None,
    }
}

/// How long until a replica of the app has been ready for long enough; `None` while none is. One that becomes ready in this pass
/// counts: nothing may wake the agent for a while afterwards.
fn settles_in(builder: &PlanBuilder<'_>, app: &AppName) -> Option<Millis> {
    let of_app = builder.view.replicas.values().filter(|w| w.replica.app == *app && w.replica.runs());
    let planned = builder.plan.statuses.iter().map(|(_, status)| status);
    let statuses = of_app
        .filter_map(|w| planned.clone().chain(&w.status).find(|status| status.replica == w.replica.name));
    let ready = statuses.filter(|status| status.phase == ReplicaPhase::Ready);
    let age = |since: jiff::Timestamp| since.duration_until(builder.now.wall).abs().as_millis();
    let oldest = ready.map(|status| age(status.since)).max()?;
    Some(Millis(SETTLED_AFTER.0.saturating_sub(u64::try_from(oldest).unwrap_or(u64::MAX))))
}

/// Removes containers that no check of this agent waits for: an earlier agent was killed. With the last service of an app
/// goes the check of its network.
pub(super) fn remove_leftovers(builder: &mut PlanBuilder<'_>) {
    let view = builder.view;
    for container in &view.containers {
        if !is_check_of(&container.labels, &view.facts.store) {
            continue;
        }
        let app = AppName::new(container.labels.get(LABEL_APP).map_or("", String::as_str));
        let is_awaited = builder.is_busy(&ActionSubject::GatewayCheck(app.clone()));
        if !is_awaited || !view.apps.contains(&app) {
            builder.act(AgentAction::Remove { container: container.id.clone() });
        }
    }
}

/// Reports apps whose containers cannot connect, each once as an event and all of them as one condition.
pub(super) fn report(builder: &mut PlanBuilder<'_>) {
    let mut apps = Vec::new();
    for found in builder.memory.gateway.unreachable() {
        apps.push(format!("{} ({})", found.app, way(&found)));
        if !found.is_reported {
            let message = format!("containers cannot connect to the balancer at {}", way(&found));
            let reason = EventReason::BalancerUnreachable;
            builder.plan.gateway_events.insert(found.app.clone(), true);
            event(&mut builder.plan.events, builder.now.wall, found.app, EventKind::Warning, reason, message);
        }
    }
    for (app, target) in builder.memory.gateway.recovered() {
        let message = format!("containers can connect to the balancer at {target} again");
        let reason = EventReason::BalancerReachable;
        builder.plan.gateway_events.insert(app.clone(), false);
        event(&mut builder.plan.events, builder.now.wall, app, EventKind::Normal, reason, message);
    }
    let Some(port) = builder.memory.gateway.unreachable().map(|found| found.target.port()).next() else {
        return;
    };
    let pool = builder.view.facts.pool;
    let message = format!(
        "containers cannot connect to the balancer, so services do not reach one another: app {}; if a firewall of this node \
         is the cause, allow it with `ufw allow from {pool} to any port {port} proto tcp` or `iptables -I INPUT -i cx-+ -p tcp \
         --dport {port} -j ACCEPT`; it is checked again at least once a minute",
        apps.join(", ")
    );
    builder.plan.conditions.push(Condition::degraded(Reason::BalancerUnreachable, message));
}

/// `10.209.0.1:8080: no answer`.
fn way(found: &UnreachableBalancer<'_>) -> String {
    let answer = match found.answer {
        GatewayAnswer::Rejected => "rejected",
        GatewayAnswer::Silence | GatewayAnswer::Accepted => "no answer",
    };
    format!("{}: {answer}", found.target)
}

/// Adds an event of the daemon: an app has none of its own.
fn event(
    events: &mut Vec<(ServiceName, Event)>,
    at: jiff::Timestamp,
    app: &AppName,
    kind: EventKind,
    reason: EventReason,
    message: String,
) {
    let event = Event { at, object: format!("app/{app}"), kind, reason, message, cut: Vec::new() };
    events.push((key::daemon_events(), event));
}
