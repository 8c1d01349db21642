//! Writes a plan into the store, in as few transactions as fit, each replica's writes in one.

use std::collections::BTreeMap;

use super::node_plan::{EndpointWrite, NodePlan};
use crate::events::{EventWriter, append_to};
use crate::model::{Event, NodeId, ServiceName, key};
use crate::registry::Registry;
use crate::store::{Op, Store, StoreError, TXN_MAX_BYTES, TXN_MAX_OPS, Txn};

/// Writes everything of the plan except the node's state.
pub(super) async fn commit(store: &dyn Store, node: &NodeId, plan: &NodePlan) -> Result<(), StoreError> {
    let mut events: BTreeMap<&ServiceName, Vec<Event>> = BTreeMap::new();
    for (service, event) in &plan.events {
        events.entry(service).or_default().push(event.clone());
    }
    let mut groups = groups(plan);
    for (service, events) in events {
        let ops = append_to(store, service, EventWriter::Agent(node), &events).await?;
        groups.extend(ops.into_iter().map(|op| vec![op]));
    }
    for ops in batches(groups) {
        store.txn(Txn { compare: Vec::new(), ops }).await?;
    }
    Ok(())
}

/// The writes of each replica: its status and its endpoint belong together.
fn groups(plan: &NodePlan) -> Vec<Vec<Op>> {
    let mut groups: BTreeMap<String, BTreeMap<String, Op>> = BTreeMap::new();
    for write in &plan.endpoints {
        let (name, op) = match write {
            EndpointWrite::Put(endpoint) => (endpoint.name().into_owned(), Registry::put(endpoint)),
            EndpointWrite::Delete { service, replica } => {
                (replica.to_string(), Registry::delete(service, replica))
            }
        };
        // Of two writes of one endpoint the later counts: no key twice in a transaction.
        groups.entry(name).or_default().insert(op.key().to_owned(), op);
    }
    for (service, status) in &plan.statuses {
        let key = key::status(service, &status.replica);
        groups.entry(status.replica.to_string()).or_default().insert(key.clone(), Op::put(key, status));
    }
    groups.into_values().map(|ops| ops.into_values().collect()).collect()
}

/// Groups joined into as few transactions as fit; a group is never split.
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
    fn batches_keep_groups_whole_and_transactions_within_the_limits() {
        let group = |n: usize| vec![Op::delete(format!("a/{n}")), Op::delete(format!("b/{n}"))];
        let all = batches((0..150).map(group).collect());
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [128, 128, 44]);
        let big = |n: usize| vec![Op::put(format!("k/{n}"), &"x".repeat(TXN_MAX_BYTES / 5))];
        assert_eq!(batches((0..5).map(big).collect()).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    }
}
