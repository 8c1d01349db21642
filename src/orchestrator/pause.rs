//! The user's pause of a rollout.

use super::ServiceView;
use crate::model::{InterventionKind, Rollout, RolloutIntervention, RolloutState};

/// The pause that is in force. A pause that remains from a rollout that ended has no effect.
pub(super) fn in_force<'a>(view: &'a ServiceView, rollout: &Rollout) -> Option<&'a RolloutIntervention> {
    let under_way = matches!(rollout.state, RolloutState::Progressing { .. });
    let requested = view.service.intervention.as_ref();
    requested.filter(|request| under_way && request.kind == InterventionKind::Pause)
}
