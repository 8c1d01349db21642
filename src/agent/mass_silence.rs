//! Services all of whose replicas fall silent at once: then it is more likely that this side cannot hear than that all of them died
//! in the same moment, and requests would have nowhere to go. Pure.
//!
//! Only probes without any answer count. A replica that refuses a connection, or answers that it is unwell, is believed.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{NodeView, WantedReplica};
use crate::model::{EndpointState, Millis, Mono, ProbeAnswer, ServiceName};
use crate::probe::ProbeState;

/// Replicas that fall silent within this time do so at once: their probes are up to an interval apart, and fail three times.
const AT_ONCE: Millis = Millis::secs(15);
/// One replica alone may well have died.
const LEAST: usize = 2;

/// The services whose silent replicas stay in rotation.
pub(super) fn services(view: &NodeView) -> BTreeSet<ServiceName> {
    let mut silent: BTreeMap<&ServiceName, Vec<Option<Mono>>> = BTreeMap::new();
    for wanted in view.replicas.values().filter(|wanted| wanted.replica.runs()) {
        let registered = wanted.endpoint.as_ref().filter(|e| e.state != EndpointState::Draining);
        if registered.is_some() {
            silent.entry(&wanted.replica.service).or_default().push(silent_since(view, wanted));
        }
    }
    let fell_silent = silent.into_iter().filter(|(_, since)| is_at_once(since));
    fell_silent.map(|(service, _)| service.clone()).collect()
}

/// Since when a replica has not answered any more; `None` if it does, or says something else.
fn silent_since(view: &NodeView, wanted: &WantedReplica) -> Option<Mono> {
    match view.probes.get(&wanted.endpoint.as_ref()?.id())? {
        ProbeState::Failing { since, last } if last.answer == ProbeAnswer::Nothing => Some(*since),
        _ => None,
    }
}

fn is_at_once(since: &[Option<Mono>]) -> bool {
    let Some(all) = since.iter().copied().collect::<Option<Vec<Mono>>>() else { return false };
    let first = all.iter().min();
    let last = all.iter().max();
    all.len() >= LEAST && first.zip(last).is_some_and(|(first, last)| last.since(*first) <= AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_fall_silent_at_once_if_all_do_within_moments_and_there_are_two() {
        let at = |seconds: &[u64]| seconds.iter().map(|s| Some(Mono(s * 1000))).collect::<Vec<_>>();
        assert!(is_at_once(&at(&[100, 103, 115])));
        assert!(!is_at_once(&at(&[100, 103, 116])), "one after the other");
        assert!(!is_at_once(&at(&[100])), "one may well have died");
        assert!(!is_at_once(&[Some(Mono(0)), None]), "one answers");
        assert!(!is_at_once(&[]));
    }
}
