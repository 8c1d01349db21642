//! Addresses and published ports: who has which, and when one that was left may be given out again. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::draft::AgentAction;
use super::round::{Holding, REUSE_AFTER, Round, Stand};
use super::view::{address_of, instance_of};
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
pub(super) struct Holdings {
    /// Of containers that exist.
    held: BTreeMap<ContainerId, (Vec<Holding>, Option<EndpointId>)>,
    /// Of containers being made.
    reserved: BTreeMap<ReplicaName, Vec<Holding>>,
    /// Left, and not free yet.
    left: BTreeMap<Holding, Left>,
    /// Where the rounds stand.
    rounds: BTreeMap<Round, Stand>,
}

impl Holdings {
    /// Takes note of the containers there are, whoever's; `let_go` says whether every balancer has acknowledged that an
    /// instance is out.
    pub(super) fn notice(
        &mut self,
        containers: &[ObservedContainer],
        let_go: impl Fn(&EndpointId) -> bool,
        now: Mono,
    ) {
        for container in containers {
            let holdings = of_container(container);
            holdings.iter().for_each(|holding| drop(self.left.remove(holding)));
            self.held.insert(container.id.clone(), (holdings, instance_of(container)));
        }
        let existing: BTreeSet<&ContainerId> = containers.iter().map(|c| &c.id).collect();
        let gone: Vec<ContainerId> = self.held.keys().filter(|id| !existing.contains(*id)).cloned().collect();
        for (holdings, instance) in gone.iter().filter_map(|id| self.held.remove(id)) {
            let left = Left { instance, let_go_at: None };
            self.left.extend(holdings.into_iter().map(|holding| (holding, left.clone())));
        }
        for left in self.left.values_mut() {
            if left.instance.as_ref().is_none_or(&let_go) {
                left.let_go_at.get_or_insert(now);
            }
        }
        self.left.retain(|_, left| left.let_go_at.is_none_or(|at| now.since(at) < REUSE_AFTER));
    }

    /// What must not be given out.
    pub(super) fn in_use(&self) -> BTreeSet<Holding> {
        let held = self.held.values().flat_map(|(holdings, _)| holdings);
        held.chain(self.reserved.values().flatten()).chain(self.left.keys()).copied().collect()
    }

    /// Where a round stands; one that was not begun in this run begins behind everything that is reserved.
    pub(super) fn stand(&self, round: &Round, reserved: u64) -> Stand {
        self.rounds.get(round).copied().unwrap_or(Stand { origin: reserved, next: reserved })
    }

    /// A plan is about to be carried out.
    pub(super) fn planned(&mut self, actions: &[AgentAction]) {
        for action in actions {
            let AgentAction::Create { replica, rounds, spec, .. } = action else { continue };
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
        self.left
            .extend(self.reserved.remove(replica).into_iter().flatten().map(|holding| (holding, left())));
    }
}

/// What a container has or will have when it is started again: a dead one counts.
fn of_container(container: &ObservedContainer) -> Vec<Holding> {
    of(address_of(container), &container.published)
}

fn of_spec(spec: &ContainerSpec) -> Vec<Holding> {
    let address = match spec.address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    };
    of(address, &spec.published)
}

fn of(address: Option<Ipv4Addr>, published: &BTreeMap<u16, u16>) -> Vec<Holding> {
    let ports = published.values().map(|port| Holding::Port(*port));
    address.map(Holding::Address).into_iter().chain(ports).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::spec::LABEL_ADDRESS;
    use crate::engine::ContainerState;

    const ADDRESS: Holding = Holding::Address(Ipv4Addr::new(10, 209, 0, 7));
    const PORT: Holding = Holding::Port(20_003);

    fn container(state: ContainerState) -> ObservedContainer {
        ObservedContainer {
            id: "c1".into(),
            name: "users-1-a".to_owned(),
            labels: [(LABEL_ADDRESS.to_owned(), "10.209.0.7".to_owned())].into(),
            state,
            started_at: Some(jiff::Timestamp::UNIX_EPOCH),
            finished_at: None,
            addresses: BTreeMap::new(),
            published: [(8080, 20_003)].into(),
            error: String::new(),
        }
    }

    fn seconds(seconds: u64) -> Mono {
        Mono(seconds * 1000)
    }

    #[test]
    fn what_is_left_is_free_a_minute_after_the_acknowledgement_and_not_before() {
        let mut holdings = Holdings::default();
        let both: BTreeSet<Holding> = [ADDRESS, PORT].into();
        holdings.notice(&[container(ContainerState::Running)], |_| false, seconds(0));
        assert_eq!(holdings.in_use(), both);
        let ended = ContainerState::Exited { code: 1, oom_killed: false };
        holdings.notice(&[container(ended)], |_| true, seconds(1));
        holdings.notice(&[], |_| false, seconds(2));
        holdings.notice(&[], |_| false, seconds(3_600));
        assert_eq!(holdings.in_use(), both, "time never replaces an acknowledgement");
        holdings.notice(&[], |_| true, seconds(3_601));
        holdings.notice(&[], |_| true, seconds(3_660));
        assert_eq!(holdings.in_use(), both);
        holdings.notice(&[], |_| true, seconds(3_661));
        assert_eq!(holdings.in_use(), [].into());
    }

    #[test]
    fn what_was_meant_for_a_lost_answer_is_kept_for_its_container() {
        let spec = ContainerSpec {
            published: [(8080, 20_003)].into(),
            ..ContainerSpec::bare("users-1-a", "users:1", "net", IpAddr::from([10, 209, 0, 7]))
        };
        let stand = Stand { origin: 3, next: 4 };
        let create = AgentAction::Create {
            replica: "users-1-a".into(),
            attempt: 1,
            rounds: [(Round::Ports, stand)].into(),
            spec: Box::new(spec),
        };
        let mut holdings = Holdings::default();
        holdings.planned(&[create]);
        assert_eq!((holdings.in_use().len(), holdings.stand(&Round::Ports, 0)), (2, stand));
        holdings.made(&"users-1-a".into());
        assert_eq!(holdings.in_use(), [ADDRESS, PORT].into(), "the container may come up yet");
        holdings.notice(&[container(ContainerState::Created)], |_| true, seconds(100));
        holdings.notice(&[container(ContainerState::Created)], |_| true, seconds(300));
        assert_eq!(holdings.in_use(), [ADDRESS, PORT].into(), "it did");
    }
}
