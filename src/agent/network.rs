//! The network of an app: created for its first container, removed with its last service. Pure.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;

use super::action::{ActionSubject, AgentAction};
use super::address::{self, choose_subnet};
use super::node_state::NetworkRecord;
use super::plan_builder::PlanBuilder;
use super::spec;
use crate::engine::{LABEL_APP, ObservedNetwork, is_of_store};
use crate::model::AppName;

/// Why an app has no network; the pool follows.
const NO_SUBNET: &str = "networks and routes of this machine leave no /24";

/// Makes sure that an app's network exists: `true` if it does, `false` while it is being created; an error is a message for
/// the user. A network that disappeared is recreated with the same subnet, unless that is taken.
pub(super) fn need(builder: &mut PlanBuilder<'_>, app: &AppName) -> Result<bool, String> {
    let name = builder.view.network_name(app);
    if builder.is_busy(&ActionSubject::Network(name.clone())) {
        // Being created; or being removed and still observed: an app that comes back waits for that.
        return Ok(false);
    }
    let observed = builder.view.networks.iter().find(|n| n.name == name && is_ours(builder, n));
    let record = builder.state.networks.get(app).map(|r| r.subnet);
    if let Some(network) = observed {
        let subnet = network.subnets.iter().find_map(|s| address::parse(s).ok());
        let Some(subnet) = subnet else { return Err(format!("network {name} has no IPv4 subnet")) };
        if record != Some(subnet) {
            record_subnet(builder, app, subnet);
        }
        return Ok(true);
    }
    let in_use: Vec<Ipv4Net> = builder.view.subnets.iter().filter_map(|s| address::parse(s).ok()).collect();
    let subnet = match record.filter(|own| choose_subnet(*own, &in_use).is_some()) {
        Some(own) => own,
        None => {
            let others = builder.state.networks.iter().filter(|(other, _)| *other != app);
            let taken: Vec<Ipv4Net> = others.map(|(_, r)| r.subnet).chain(in_use).collect();
            choose_subnet(builder.view.facts.pool, &taken).ok_or_else(|| {
                format!(
                    "{NO_SUBNET} of {}; choose another one with `ctl serve --network-pool`",
                    builder.view.facts.pool
                )
            })?
        }
    };
    if record != Some(subnet) {
        record_subnet(builder, app, subnet);
    }
    builder.act(AgentAction::CreateNetwork { spec: Box::new(spec::network(builder.view, app, subnet)) });
    Ok(false)
}

fn record_subnet(builder: &mut PlanBuilder<'_>, app: &AppName, subnet: Ipv4Net) {
    let state = &mut builder.state;
    // Another subnet has other addresses; the ring may begin anywhere.
    let reserved = state.networks.get(app).map_or(0, |r| r.reserved);
    state.networks.insert(app.clone(), NetworkRecord { subnet, reserved });
}

fn is_ours(builder: &PlanBuilder<'_>, network: &ObservedNetwork) -> bool {
    is_of_store(&network.labels, &builder.view.facts.store)
}

/// Removes networks of ours whose app has neither a service nor a replica nor a container.
pub(super) fn remove_unused(builder: &mut PlanBuilder<'_>) {
    let view = builder.view;
    let replicas = view.replicas.values().map(|w| w.replica.app.clone());
    let needed: BTreeSet<AppName> = view.apps.iter().cloned().chain(replicas).collect();
    for network in &view.networks {
        let Some(app) = network.labels.get(LABEL_APP).map(AppName::new) else { continue };
        // Last, because it looks at every container.
        let is_used = || view.containers.iter().any(|c| c.addresses.contains_key(&network.name));
        if !is_ours(builder, network) || needed.contains(&app) || is_used() {
            continue;
        }
        builder.act(AgentAction::RemoveNetwork { name: network.name.clone() });
    }
    let existing: BTreeSet<&str> = view.networks.iter().map(|n| n.name.as_str()).collect();
    let unused = |app: &AppName| !needed.contains(app) && !existing.contains(view.network_name(app).as_str());
    builder.state.networks.retain(|app, _| !unused(app));
}
