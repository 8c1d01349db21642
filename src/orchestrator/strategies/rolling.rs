//! The rolling strategy: replica by replica, within `maxSurge` and `maxUnavailable`.
//!
//! Old and new are counted, never paired. With 3 wanted, surge 1 and none allowed to be missing: 3 old run; a new one is
//! started (4 run); when it has served for `healthyFor`, 4 can be relied on, so one old may go (3 run); and again.

use super::replacement;
use super::rollout_strategy::{Completion, RolloutStrategy};
use crate::model::{Revision, Traffic};
use crate::orchestrator::bounds::Bounds;
use crate::orchestrator::moves::Move;
use crate::orchestrator::pass::Pass;
use crate::orchestrator::{ReplicaView, ServiceView};

/// Old and new replicas run next to each other.
pub(super) struct Rolling;

impl RolloutStrategy for Rolling {
    /// With 10 wanted, `maxSurge: 25%` and `maxUnavailable: 25%`: at most 10 + 3 run (2.5 up), at least 10 - 2 are
    /// available (2.5 down).
    fn bounds(&self, view: &ServiceView, _made: &Revision) -> Bounds {
        let spec = &view.service.spec;
        Bounds::of(spec, spec.pace(false))
    }

    fn waits_for(&self, _view: &ServiceView, _made: &Revision, _replica: &ReplicaView) -> bool {
        false
    }

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
