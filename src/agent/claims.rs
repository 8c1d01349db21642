//! Addresses and published ports: who has which, and when one that was left may be given out again. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::Action;
use super::round::{Claim, REUSE_AFTER, Round, Stand};
use super::view::{HostView, address_of, instance_of};
use crate::engine::{ContainerSpec, ObservedContainer};
use crate::model::{ContainerId, EndpointId, Mono, ReplicaName};

/// Something that was left.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Left {
    /// What had it; `None` if nothing ever ran there.
    instance: Option<EndpointId>,
    /// Since when every balancer has let it go.
    let_go_at: Option<Mono>,
}

/// What is remembered of addresses and ports.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims {
    /// Of containers that exist.
    held: BTreeMap<ContainerId, (Vec<Claim>, Option<EndpointId>)>,
    /// Of containers being made.
    reserved: BTreeMap<ReplicaName, Vec<Claim>>,
    /// Left, and not free yet.
    left: BTreeMap<Claim, Left>,
    /// Where the rounds stand.
    rounds: BTreeMap<Round, Stand>,
}

impl Claims {
    /// Takes note of the containers there are, whoever's, and of what the balancers have acknowledged.
    pub(super) fn notice(&mut self, view: &HostView, now: Mono) {
        for container in &view.containers {
            let claims = of_container(container);
            claims.iter().for_each(|claim| drop(self.left.remove(claim)));
            self.held.insert(container.id.clone(), (claims, instance_of(container)));
        }
        let existing: BTreeSet<&ContainerId> = view.containers.iter().map(|c| &c.id).collect();
        let gone: Vec<ContainerId> = self.held.keys().filter(|id| !existing.contains(*id)).cloned().collect();
        for (claims, instance) in gone.iter().filter_map(|id| self.held.remove(id)) {
            let left = Left { instance, let_go_at: None };
            self.left.extend(claims.into_iter().map(|claim| (claim, left.clone())));
        }
        for left in self.left.values_mut() {
            let acknowledged = left.instance.as_ref().is_none_or(|id| view.barrier.acked_absent(id));
            if acknowledged {
                left.let_go_at.get_or_insert(now);
            }
        }
        self.left.retain(|_, left| left.let_go_at.is_none_or(|at| now.since(at) < REUSE_AFTER));
    }

    /// What must not be given out.
    pub(super) fn in_use(&self) -> BTreeSet<Claim> {
        let held = self.held.values().flat_map(|(claims, _)| claims);
        held.chain(self.reserved.values().flatten()).chain(self.left.keys()).copied().collect()
    }

    /// Where a round stands; one that was not begun in this run begins behind everything that is reserved.
    pub(super) fn stand(&self, round: &Round, reserved: u64) -> Stand {
        self.rounds.get(round).copied().unwrap_or(Stand { origin: reserved, next: reserved })
    }

    /// A plan is about to be carried out.
    pub(super) fn planned(&mut self, actions: &[Action]) {
        for action in actions {
            let Action::Create { replica, rounds, spec, .. } = action else { continue };
            self.reserved.insert(replica.clone(), of_spec(spec));
            for (round, stand) in rounds {
                let known = self.rounds.entry(round.clone()).or_insert(*stand);
                known.next = known.next.max(stand.next);
            }
        }
    }

    /// The making of a replica's container ended, and what exists now is observed. If its answer was lost, what was meant
    /// for it may be in use by a container that appears later.
    pub(super) fn made(&mut self, replica: &ReplicaName) {
        let left = || Left { instance: None, let_go_at: None };
        self.left.extend(self.reserved.remove(replica).into_iter().flatten().map(|claim| (claim, left())));
    }
}

/// What a container has or will have when it is started again: a dead one counts.
fn of_container(container: &ObservedContainer) -> Vec<Claim> {
    let address = address_of(container).map(Claim::Address);
    address.into_iter().chain(container.published.values().map(|port| Claim::Port(*port))).collect()
}

fn of_spec(spec: &ContainerSpec) -> Vec<Claim> {
    let address = match spec.address {
        std::net::IpAddr::V4(address) => Some(Claim::Address(address)),
        std::net::IpAddr::V6(_) => None,
    };
    address.into_iter().chain(spec.published.values().map(|port| Claim::Port(*port))).collect()
}
