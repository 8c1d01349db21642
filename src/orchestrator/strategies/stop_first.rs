//! Stop-first: removes an old replica before it starts the replacement, for volumes that allow one writer.
//!
//! The bounds have no surge, let at least one replica be missing, and count a replica until it is gone. With 1 wanted: the
//! old one is removed, holds its place while it drains and stops, then the new one is started.

use super::replacement;
use super::rollout_strategy::{Completion, RolloutStrategy};
use crate::model::{Pace, Revision, Traffic};
use crate::orchestrator::bounds::Bounds;
use crate::orchestrator::census::has_ended;
use crate::orchestrator::moves::Move;
use crate::orchestrator::pass::Pass;
use crate::orchestrator::{ReplicaView, ServiceView};

/// Two containers never write to one volume.
pub(super) struct StopFirst;

/// Whether any replica must be gone before one of `made` is started.
pub(super) fn is_needed(view: &ServiceView, made: &Revision) -> bool {
    view.replicas.iter().any(|replica| StopFirst.waits_for(view, made, replica))
}

impl RolloutStrategy for StopFirst {
    fn bounds(&self, view: &ServiceView, made: &Revision) -> Bounds {
        let spec = &view.service.spec;
        let waited_for = view.replicas.iter().filter(|replica| self.waits_for(view, made, replica));
        let (running, leaving): (Vec<&ReplicaView>, Vec<&ReplicaView>) =
            waited_for.partition(|replica| replica.replica.runs());
        // Once the last one is leaving no other has to make room, and no more may be missing than the policy says.
        let Pace { missing, .. } = spec.pace(!running.is_empty());
        Bounds { held: leaving.len(), ..Bounds::of(spec, Pace { surge: 0, missing }) }
    }

    /// A replica that is to run and has the template of `made` gives its place to no other.
    fn waits_for(&self, view: &ServiceView, made: &Revision, replica: &ReplicaView) -> bool {
        let own = view.revisions.get(&replica.replica.revision);
        let stays = replica.replica.runs()
            && (replica.replica.revision == made.number || own.is_some_and(|own| own.same_template(made)));
        let own = own.unwrap_or(made).release();
        !stays && !has_ended(replica) && made.release().waits_for(own, view.service.spec.replica_count())
    }

    /// Fills the places that are free, else frees as many as may be missing.
    fn next_move<'a>(&self, pass: &Pass<'a>) -> Option<Move<'a>> {
        replacement::next_move(pass)
    }

    fn completion(&self, pass: &Pass<'_>) -> Completion {
        replacement::completion(pass)
    }

    /// All ready endpoints count alike, old and new.
    fn traffic(&self, pass: &Pass<'_>) -> Traffic {
        Traffic::even(pass.view.service.name().clone())
    }
}
