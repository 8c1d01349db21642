//! What a strategy decides.

use crate::model::{Revision, Traffic};
use crate::orchestrator::bounds::Bounds;
use crate::orchestrator::moves::Move;
use crate::orchestrator::pass::Pass;
use crate::orchestrator::{Blocker, ReplicaView, ServiceView};

/// Whether a rollout has reached its target.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::orchestrator) enum Completion {
    Complete,
    /// Not yet, because of these; none is named while old replicas are still being removed.
    Awaits(Vec<Blocker>),
}

/// How replicas of one revision take the place of another's.
pub(in crate::orchestrator) trait RolloutStrategy {
    /// The bounds while replicas of `made` are started. Invariants refuse a plan that leaves them.
    fn bounds(&self, view: &ServiceView, made: &Revision) -> Bounds;

    /// Whether a replica of `made` may be started only when this one is gone.
    fn waits_for(&self, view: &ServiceView, made: &Revision, replica: &ReplicaView) -> bool;

    /// The next move; `None` where the rollout waits or has nothing left to do.
    fn next_move<'a>(&self, pass: &Pass<'a>) -> Option<Move<'a>>;

    /// Whether the rollout to the pass's target is complete, asked where no move was due.
    fn completion(&self, pass: &Pass<'_>) -> Completion;

    /// How requests are shared between the revisions after this pass.
    fn traffic(&self, pass: &Pass<'_>) -> Traffic;
}
