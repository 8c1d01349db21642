//! The node for a new replica: the one with the fewest of its service, the first by name where several tie.
//!
//! A replica stays on its node: a node that is no longer offered is unknown, not dead.

use super::ServiceView;
use super::census::is_gone;
use crate::model::{NodeId, Replica};

/// The node for one more replica, counting those that this pass already places; `None` where no node is offered.
pub(super) fn choose<'a>(view: &'a ServiceView, placed: &[Replica]) -> Option<&'a NodeId> {
    if let [only] = view.nodes.as_slice() {
        return Some(only);
    }
    let there = |node: &NodeId| {
        let running = view.replicas.iter().filter(|r| r.replica.runs() && !is_gone(r));
        running.filter(|r| r.replica.node == *node).count()
            + placed.iter().filter(|r| r.node == *node).count()
    };
    view.nodes.iter().min_by_key(|node| there(node))
}
