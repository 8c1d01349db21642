//! What is no longer needed: replicas that are gone, revisions beyond those that are kept.

use super::ReplicaView;
use super::census::is_gone;
use super::pass::Pass;
use crate::model::{Cause, Desired, Replica, Revision, RolloutState};

/// Deletes replicas of which nothing is left. A replica that is gone although it should run is replaced, because it is
/// missing from the count.
pub(super) fn delete_gone(pass: &mut Pass<'_>) {
    let view = pass.view;
    for gone in view.replicas.iter().filter(|r| is_gone(r)) {
        pass.delete(&gone.replica.name);
    }
}

/// Removes the retained container of an earlier failure once a release succeeded or another one failed.
pub(super) fn remove_retained(pass: &mut Pass<'_>) {
    let failure = pass.rollout.state.back_from();
    if failure.is_none() && pass.rollout.state != RolloutState::Complete {
        return;
    }
    let shown = failure.and_then(|failure| failure.reason.case()).map(|case| case.replica.clone());
    let view = pass.view;
    let is_retained = |r: &&ReplicaView| matches!(r.replica.desired, Desired::Retain { .. }) && !is_gone(r);
    for retained in
        view.replicas.iter().filter(is_retained).filter(|r| Some(&r.replica.name) != shown.as_ref())
    {
        let desired = Desired::Remove { cause: Cause::Replaced };
        pass.put(Replica { desired, ..retained.replica.clone() });
    }
}

/// Drops revisions of a service at rest: unused ones, beyond the newest `keepRevisions` of them.
pub(super) fn drop_revisions(pass: &mut Pass<'_>) {
    if !matches!(pass.rollout.state, RolloutState::Complete | RolloutState::RolledBack { .. }) {
        return;
    }
    let view = pass.view;
    let keep = usize::try_from(view.service.spec.rollout.keep_revisions).unwrap_or(usize::MAX);
    if view.revisions.len() <= keep {
        return;
    }
    let unused: Vec<&Revision> = view.revisions.values().rev().filter(|r| !is_needed(pass, r)).collect();
    for revision in unused.into_iter().skip(keep).rev() {
        pass.drop_revision(revision);
    }
}

/// Besides what runs or may be gone back to, the last revision made is needed: the next generation is compared with it.
fn is_needed(pass: &Pass<'_>, revision: &Revision) -> bool {
    let number = revision.number;
    let rollout = &pass.rollout;
    number == rollout.target
        || rollout.stable == Some(number)
        || number == rollout.last_revision
        || pass.view.replicas.iter().any(|r| r.replica.revision == number)
}
