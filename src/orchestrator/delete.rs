//! A deleted service: every replica is removed, then its volumes if the user named them, then the service itself.

use super::census::is_gone;
use super::cut_requests;
use super::pass::{MOST_OPERATIONS, event};
use super::{Blocker, Changes, ServiceView, VolumeRemovalState};
use crate::model::{Cause, Desired, Event, EventKind, EventReason, Millis, Now, Replica};

/// Removes what runs, deletes what is gone, and forgets the service when none is left. A rollout under way is left
/// alone: nothing reads it any more.
pub(super) fn plan(view: &ServiceView, now: Now) -> Changes {
    let mut changes = Changes::default();
    let cut = cut_requests::note_deletion(view, &mut changes);
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
    if left == 0 {
        finish(view, &mut changes);
    }
    let notice = if changes.forget_service {
        Some((EventReason::ServiceDeleted, "all replicas are removed".to_owned()))
    } else {
        let n = changes.put_replicas.len();
        (n > 0).then(|| (EventReason::Deleting, format!("{n} replicas are drained and removed")))
    };
    let cut = if changes.forget_service { cut } else { Vec::new() };
    let notice = notice.map(|(reason, text)| event(view, now, EventKind::Normal, reason, text));
    changes.events.extend(notice.map(|event| Event { cut, ..event }));
    changes
}

/// No replica is left: removes the volumes where the user named them, and forgets the service once they are gone.
fn finish(view: &ServiceView, changes: &mut Changes) {
    if !view.service.deletes_volumes {
        changes.forget_service = true;
        return;
    }
    match view.volume_removal {
        VolumeRemovalState::NotRequested | VolumeRemovalState::Failed { retry_after: Millis(0) } => {
            changes.remove_volumes = true;
        }
        VolumeRemovalState::Failed { retry_after } => changes.wake_after = Some(retry_after),
        VolumeRemovalState::InProgress => {}
        VolumeRemovalState::Done => changes.forget_service = true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{ReplicaView, invariants};
    use super::*;
    use crate::model::{Mono, Service};
    use crate::testing;

    const NOW: Now = Now { mono: Mono(0), wall: jiff::Timestamp::UNIX_EPOCH };

    fn view(deletes_volumes: bool, volume_removal: VolumeRemovalState) -> ServiceView {
        let service = Service {
            deleted_at: Some(jiff::Timestamp::UNIX_EPOCH),
            deletes_volumes,
            ..testing::service("db")
        };
        ServiceView {
            service,
            rollout: None,
            revisions: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            replicas: Vec::new(),
            traffic: None,
            nodes: vec!["n".into()],
            unsaved_wait: Millis(0),
            volume_removal,
        }
    }

    /// What the plan does: remove the volumes, forget the service, plan again after.
    fn planned(view: &ServiceView) -> (bool, bool, Option<Millis>) {
        let changes = invariants::validate(view, plan(view, NOW)).unwrap();
        (changes.remove_volumes, changes.forget_service, changes.wake_after)
    }

    #[test]
    fn deleted_service_is_forgotten_only_after_its_volumes_are_gone() {
        use VolumeRemovalState::{Done, Failed, InProgress, NotRequested};
        let failed = |millis| Failed { retry_after: Millis(millis) };
        assert_eq!(planned(&view(true, NotRequested)), (true, false, None));
        assert_eq!(planned(&view(true, InProgress)), (false, false, None));
        assert_eq!(planned(&view(true, failed(900))), (false, false, Some(Millis(900))));
        assert_eq!(planned(&view(true, failed(0))), (true, false, None));
        assert_eq!(planned(&view(true, Done)), (false, true, None));
    }

    #[test]
    fn deleted_service_keeps_volumes_that_the_user_did_not_name() {
        assert_eq!(planned(&view(false, VolumeRemovalState::NotRequested)), (false, true, None));
    }

    #[test]
    fn volumes_stay_while_a_replica_is_left() {
        let mut view = view(true, VolumeRemovalState::NotRequested);
        let replica: Replica = serde_json::from_value(serde_json::json!({
            "name": "db-1-a", "service": "db", "app": "shop", "slot": 1, "revision": 1, "hash": "h", "node": "n",
            "desired": { "state": "run" },
        }))
        .unwrap();
        view.replicas.push(ReplicaView { replica, status: None, serving_for: None });
        assert_eq!(planned(&view), (false, false, None));
    }
}
