//! A deleted service: every replica out, then nothing left.

use super::census::is_gone;
use super::pass::{MOST_OPERATIONS, event};
use super::{Blocker, Changes, ServiceView};
use crate::model::{Cause, Desired, EventKind, EventReason, Now, Replica};

/// Removes what runs, deletes what is gone, and forgets the service when none is left. A rollout under way stays where
/// it is: nothing reads it any more.
pub(super) fn plan(view: &ServiceView, now: Now) -> Changes {
    let mut changes = Changes::default();
    // Room for one event.
    let mut room = MOST_OPERATIONS - 1;
    let mut left = 0_usize;
    for seen in &view.replicas {
        let operations = match (is_gone(seen), seen.replica.desired) {
            (true, _) => 2,
            (false, Desired::Remove { .. }) => 0,
            (false, Desired::Run | Desired::Retain { .. }) => 1,
        };
        let fits = operations <= room;
        if fits && is_gone(seen) {
            changes.delete_replicas.push(seen.replica.name.clone());
        } else {
            left += 1;
            if fits && operations > 0 {
                let desired = Desired::Remove { cause: Cause::Deleted };
                changes.put_replicas.push(Replica { desired, ..seen.replica.clone() });
            }
        }
        if fits {
            room -= operations;
        } else if changes.blockers.is_empty() {
            changes.blockers.push(Blocker::TransactionFull);
        }
    }
    changes.forget_service = left == 0;
    let told = if changes.forget_service {
        Some((EventReason::ServiceDeleted, "nothing of it is left".to_owned()))
    } else {
        let n = changes.put_replicas.len();
        (n > 0).then(|| (EventReason::Deleting, format!("{n} replicas are drained and removed")))
    };
    changes.events.extend(told.map(|(reason, text)| event(view, now, EventKind::Normal, reason, text)));
    changes
}
