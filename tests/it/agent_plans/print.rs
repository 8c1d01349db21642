//! Prints a plan, one decision a line.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use coxswain::agent::{AgentAction, EndpointWrite, NodePlan};
use coxswain::model::{EndpointId, NotReadyCause, ReplicaPhase};

/// `c1@10`: seconds are enough for people.
fn short(id: &EndpointId) -> String {
    let (container, nanos) = id.as_str().split_once('@').unwrap();
    format!("{container}@{}", nanos.parse::<u64>().unwrap() / 1_000_000_000)
}

pub(super) fn plan(seconds: u64, plan: &NodePlan) -> String {
    let mut out = format!("at {seconds} s\n");
    let mut line = |text: String| {
        let _ = writeln!(out, "  {text}");
    };
    plan.withdraw.iter().for_each(|id| line(format!("withdraw {} now", short(id))));
    if let Some(state) = &plan.state {
        let networks: Vec<_> = state
            .networks
            .iter()
            .map(|(app, r)| format!("{app}={} up to {}", r.subnet, r.reserved))
            .collect();
        let ports = state.ports.map_or_else(String::new, |place| format!(" ports up to {place}"));
        line(format!("keep networks [{}]{ports} tags {:?}", networks.join(", "), state.tags));
        state.volumes.iter().for_each(|(name, services)| {
            let services: Vec<&str> = services.iter().map(|service| service.as_str()).collect();
            line(format!("know volume {name} of {}", services.join(", ")));
        });
    }
    plan.actions.iter().for_each(|a| line(action(a)));
    for (_, status) in &plan.statuses {
        let container = status.container.as_ref().map_or("-", |c| c.as_str());
        let cut = status.cut.as_ref().map_or_else(String::new, |cut| {
            let requests = cut.requests.map_or_else(|| "?".to_owned(), |n| n.to_string());
            let drain = cut.drain.map_or_else(|| "no drain".to_owned(), |drain| drain.to_string());
            format!(", cut {requests} after {drain}")
        });
        let last_exit = status.history.last_exit.as_ref().map_or_else(String::new, |last| {
            format!(", last exit of {} at {} s ({})", last.container, last.at.as_second(), cause(&last.cause))
        });
        line(format!(
            "status {}: {}, attempt {}, failures {}, container {container}{last_exit}{cut}",
            status.replica,
            phase(&status.phase),
            status.attempt,
            status.failures
        ));
    }
    for write in &plan.endpoints {
        line(match write {
            EndpointWrite::Put(e) => {
                let port = |port: &u16| format!(":{port}");
                let ports: String = e.ports.values().filter(|_| e.address.is_loopback()).map(port).collect();
                format!("endpoint of {}: {} {:?} at {}{ports}", e.name(), short(&e.id()), e.state, e.address)
            }
            EndpointWrite::Delete { replica, .. } => format!("endpoint of {replica}: deleted"),
        });
    }
    plan.probes.iter().for_each(|t| {
        line({
            let proxied = if t.place.proxied { " by a proxy" } else { "" };
            format!("probe {} at {}{proxied}", short(&t.id), t.place.address)
        })
    });
    plan.events.iter().for_each(|(_, e)| line(format!("event {} {}: {}", e.object, e.reason, e.message)));
    plan.held.iter().for_each(|(_, name)| line(format!("hold {name}")));
    plan.conditions.iter().for_each(|c| line(format!("condition {}: {}", c.reason, c.message)));
    if let Some(wait) = plan.wake_after {
        line(format!("wake after {wait}"));
    }
    if plan.awaits_balancer {
        line("await the balancer".to_owned());
    }
    out
}

fn action(action: &AgentAction) -> String {
    match action {
        AgentAction::FindImage { image } => format!("find image {image}"),
        AgentAction::Pull { image } => format!("pull {image}"),
        AgentAction::FindVolumes { volumes, .. } => format!("find volumes {}", listed(volumes)),
        AgentAction::CreateNetwork { spec } => {
            format!(
                "create network {} {} range {} gateway {}",
                spec.name, spec.subnet, spec.ip_range, spec.gateway
            )
        }
        AgentAction::Create { attempt, spec, .. } => {
            let ports: Vec<_> =
                spec.published.iter().map(|(own, port)| format!(" published {own} at {port}")).collect();
            let env: Vec<_> = spec.env.iter().map(|(k, v)| format!(" {k}={v}")).collect();
            let mounts: Vec<_> = spec
                .mounts
                .iter()
                .map(|m| format!(" {}:{}{}", m.volume.name, m.path, if m.read_only { ":ro" } else { "" }))
                .collect();
            format!(
                "create {} (attempt {attempt}) at {}{}{}{}",
                spec.name,
                spec.address,
                ports.concat(),
                env.concat(),
                mounts.concat()
            )
        }
        AgentAction::Start { container, .. } => format!("start {container}"),
        AgentAction::Connect { container, network, address, .. } => {
            format!("connect {container} to {network} at {address}")
        }
        AgentAction::Signal { container, signal, .. } => format!("signal {container} {signal}"),
        AgentAction::Examine { container, .. } => format!("examine {container}"),
        AgentAction::Remove { container } => format!("remove {container}"),
        AgentAction::CheckGateway { target, spec, .. } => {
            format!("connect to {target} from {} on {}", spec.name, spec.network)
        }
        AgentAction::RemoveNetwork { name } => format!("remove network {name}"),
        AgentAction::Tag { image, tag } => format!("tag {image} {tag}"),
        AgentAction::Untag { tag } => format!("untag {tag}"),
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn phase(phase: &ReplicaPhase) -> String {
    match phase {
        ReplicaPhase::Waiting { cause: None } => "Waiting".to_owned(),
        ReplicaPhase::Waiting { cause: Some(r) } => format!("Waiting ({})", cause(r)),
        ReplicaPhase::Starting { cause: None } => "Starting".to_owned(),
        ReplicaPhase::Starting { cause: Some(r) } => format!("Starting ({})", cause(r)),
        ReplicaPhase::Unready { cause: r } => format!("Unready ({})", cause(r)),
        ReplicaPhase::BackOff { cause: r, retry_at } => {
            format!("BackOff ({}) until {} s", cause(r), retry_at.as_second())
        }
        other => format!("{other:?}"),
    }
}

fn cause(cause: &NotReadyCause) -> String {
    match cause {
        NotReadyCause::ImageNotFound { .. }
        | NotReadyCause::PullDenied { .. }
        | NotReadyCause::ImageUnavailable { .. }
        | NotReadyCause::OutOfMemory { .. } => cause.to_string(),
        NotReadyCause::CannotStart { message } => format!("refused: {message}"),
        NotReadyCause::Completed { .. } => "completed".to_owned(),
        NotReadyCause::Exited { code, .. } => format!("exited {code}"),
        NotReadyCause::Unhealthy { probe, .. } => format!("failing: {}", probe.message),
        NotReadyCause::VolumeMissing { volumes } => format!("missing {}", listed(volumes)),
        NotReadyCause::NoFreeAddress => "no free address".to_owned(),
        NotReadyCause::OffNetwork { .. } => cause.to_string(),
        NotReadyCause::ContainerPaused => "paused".to_owned(),
    }
}
