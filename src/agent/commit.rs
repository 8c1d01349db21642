//! Writes a plan into the store, in transactions as large as they may be, each replica's writes in one.

use std::collections::BTreeMap;

use super::draft::{EndpointWrite, NodePlan};
use super::events::{self, Writer};
use crate::model::{Event, ReplicaName, ServiceName, key};
use crate::registry::Registry;
use crate::store::{Op, Store, StoreError, TXN_MAX_BYTES, TXN_MAX_OPS, Txn};

/// Writes everything of the plan but the host's state.
pub(super) async fn commit(store: &dyn Store, plan: &NodePlan) -> Result<(), StoreError> {
    let mut told: BTreeMap<&ServiceName, Vec<Event>> = BTreeMap::new();
    for (service, event) in &plan.events {
        told.entry(service).or_default().push(event.clone());
    }
    let mut groups = groups(plan);
    for (service, events) in told {
        let ops = events::append_to(store, service, Writer::Agent, &events).await?;
        groups.extend(ops.into_iter().map(|op| vec![op]));
    }
    for ops in batches(groups) {
        store.txn(Txn { compare: Vec::new(), ops }).await?;
    }
    Ok(())
}

/// The writes of each replica: its status and its endpoint belong together.
fn groups(plan: &NodePlan) -> Vec<Vec<Op>> {
    let mut groups: BTreeMap<ReplicaName, BTreeMap<String, Op>> = BTreeMap::new();
    for write in &plan.endpoints {
        let (service, replica, op) = match write {
            EndpointWrite::Put(e) => (&e.service, &e.replica, Registry::put(e)),
            EndpointWrite::Delete { service, replica } => {
                (service, replica, Registry::delete(service, replica))
            }
        };
        // A later write of the same endpoint is the one that counts: no key twice in a transaction.
        groups.entry(replica.clone()).or_default().insert(key::endpoint(service, replica), op);
    }
    for (service, status) in &plan.statuses {
        let key = key::status(service, &status.replica);
        groups.entry(status.replica.clone()).or_default().insert(key.clone(), Op::put(key, status));
    }
    groups.into_values().map(|ops| ops.into_values().collect()).collect()
}

/// Groups put together into as few transactions as fit; a group is never torn.
fn batches(groups: Vec<Vec<Op>>) -> Vec<Vec<Op>> {
    let size = |ops: &[Op]| -> usize { ops.iter().map(bytes).sum() };
    let mut batches: Vec<Vec<Op>> = Vec::new();
    for group in groups {
        match batches.last_mut() {
            Some(last)
                if last.len() + group.len() <= TXN_MAX_OPS
                    && size(last) + size(&group) <= TXN_MAX_BYTES / 2 =>
            {
                last.extend(group);
            }
            _ => batches.push(group),
        }
    }
    batches
}

fn bytes(op: &Op) -> usize {
    match op {
        Op::Put { key, value, .. } => key.len() + value.len(),
        Op::Delete { key } | Op::Unencodable { key, .. } => key.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stay_whole_and_transactions_within_the_limits() {
        let group = |n: usize| vec![Op::delete(format!("a/{n}")), Op::delete(format!("b/{n}"))];
        let all = batches((0..150).map(group).collect());
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [128, 128, 44]);
        let big = |n: usize| vec![Op::put(format!("k/{n}"), &"x".repeat(TXN_MAX_BYTES / 5))];
        assert_eq!(batches((0..5).map(big).collect()).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    }
}
