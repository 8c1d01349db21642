//! The network of an app: made when its first container comes, removed with its last service. Pure.

use std::collections::BTreeSet;

use super::address::{Subnet, choose_subnet};
use super::draft::{AgentAction, Draft};
use super::spec;
use super::view::{NetworkRecord, Subject};
use crate::engine::{LABEL_APP, LABEL_STORE, ObservedNetwork};
use crate::model::AppName;

/// Sees to it that an app's network is there: `true` if it is, `false` while it is being made; an error is a text for
/// people. A network that went missing is made again with the same subnet, unless somebody took that.
pub(super) fn need(draft: &mut Draft<'_>, app: &AppName) -> Result<bool, String> {
    let name = draft.view.network_name(app);
    if draft.is_busy(&Subject::Network(name.clone())) {
        // It is being made; or removed, and still seen: an app that comes back waits for that.
        return Ok(false);
    }
    let observed = draft.view.networks.iter().find(|n| n.name == name && is_ours(draft, n));
    let record = draft.state().networks.get(app).map(|r| r.subnet);
    if let Some(network) = observed {
        let subnet = network.subnets.iter().find_map(|s| s.parse::<Subnet>().ok());
        let Some(subnet) = subnet else { return Err(format!("network {name} has no IPv4 subnet")) };
        if record != Some(subnet) {
            record_subnet(draft, app, subnet);
        }
        return Ok(true);
    }
    let in_use: Vec<Subnet> = draft.view.subnets.iter().filter_map(|s| s.parse().ok()).collect();
    let subnet = match record.filter(|own| choose_subnet(*own, &in_use).is_some()) {
        Some(own) => own,
        None => {
            let others = draft.state().networks.iter().filter(|(other, _)| *other != app);
            let taken: Vec<Subnet> = others.map(|(_, r)| r.subnet).chain(in_use).collect();
            choose_subnet(draft.view.facts.pool, &taken)
                .ok_or_else(|| format!("the network pool {} has no /24 left", draft.view.facts.pool))?
        }
    };
    if record != Some(subnet) {
        record_subnet(draft, app, subnet);
    }
    draft.act(AgentAction::CreateNetwork { spec: Box::new(spec::network(draft.view, app, subnet)) });
    Ok(false)
}

fn record_subnet(draft: &mut Draft<'_>, app: &AppName, subnet: Subnet) {
    let state = draft.state_mut();
    // Another subnet has other addresses; the round may begin anywhere.
    let reserved = state.networks.get(app).map_or(0, |r| r.reserved);
    state.networks.insert(app.clone(), NetworkRecord { subnet, reserved });
}

fn is_ours(draft: &Draft<'_>, network: &ObservedNetwork) -> bool {
    network.labels.get(LABEL_STORE).map(String::as_str) == Some(draft.view.facts.store.as_str())
}

/// Removes networks of ours whose app has neither a service nor a replica nor a container.
pub(super) fn remove_unused(draft: &mut Draft<'_>) {
    let view = draft.view;
    let replicas = view.replicas.values().map(|w| w.replica.app.clone());
    let needed: BTreeSet<AppName> = view.apps.iter().cloned().chain(replicas).collect();
    for network in &view.networks {
        let Some(app) = network.labels.get(LABEL_APP).map(AppName::new) else { continue };
        // Last, because it looks at every container.
        let is_used = || view.containers.iter().any(|c| c.addresses.contains_key(&network.name));
        if !is_ours(draft, network) || needed.contains(&app) || is_used() {
            continue;
        }
        draft.act(AgentAction::RemoveNetwork { name: network.name.clone() });
    }
    let standing: BTreeSet<&str> = view.networks.iter().map(|n| n.name.as_str()).collect();
    let unused = |app: &AppName| !needed.contains(app) && !standing.contains(view.network_name(app).as_str());
    draft.state_mut().networks.retain(|app, _| !unused(app));
}
