//! A change of a service's release or rollout, with what it needs of the store and the Engine. Pure.

use super::kinds::{moved_tag, service};
use super::object::{ObjectChange, WriteStamp};
use super::rollout_phase::{RolloutCommand, RolloutPosition, RolloutRejection};
use super::snapshot::WriteSnapshot;
use super::types::WriteAction;
use super::undo_target::{back_already, named, undone};
use crate::controller::error::ControllerError;
use crate::controller::service_state::ServiceState;
use crate::model::{Generation, InterventionKind, ResolvedImage, Revision, RevisionOutcome, ServiceName};

/// A change with what had to be read or resolved before it could be written.
pub(super) enum PreparedChange {
    Image {
        image: String,
        resolved: Box<ResolvedImage>,
        read: Generation,
    },
    /// `moved` is what the tag of the revision's image means by now, where that is another image.
    Undo {
        revision: Box<Revision>,
        moved: Option<Box<ResolvedImage>>,
        read: Generation,
    },
    /// `moved` is what the tag of the service's image means by now, where that is another image.
    Restart {
        moved: Option<Box<ResolvedImage>>,
    },
    Command(RolloutCommand),
}

impl PreparedChange {
    /// The change of the service as it is read for the write.
    pub(super) fn change(
        &self,
        name: &ServiceName,
        snapshot: &WriteSnapshot,
        stamp: &WriteStamp<'_>,
    ) -> Result<ObjectChange, ControllerError> {
        let state = snapshot.service()?;
        let service = &state.service;
        match self {
            Self::Image { image, resolved, read } => {
                let change = service::set_image(service, image, (**resolved).clone(), stamp)?;
                snapshot.check_read(*read, &change)?;
                Ok(change)
            }
            Self::Undo { revision, moved, read } => {
                let mut change = service::undo(service, revision, undo_notes(state, revision), stamp)?;
                if let Some(moved) = moved {
                    moved_tag::keep_digest(&mut change, moved, stamp);
                }
                snapshot.check_read(*read, &change)?;
                match state.position().undo_rejection() {
                    Some(rejection) if change.action == WriteAction::Unchanged => {
                        Err(not_now(name, rejection))
                    }
                    _ => Ok(change),
                }
            }
            Self::Restart { moved } => match state.position().rejection(RolloutCommand::Restart) {
                Some(rejection) => {
                    Err(ControllerError::NotNow { name: name.clone(), rejection: Box::new(rejection) })
                }
                None => {
                    let mut change = service::restart(service, stamp)?;
                    change.notes.extend(moved.as_ref().map(|moved| moved_tag::restarts_old(service, moved)));
                    Ok(change)
                }
            },
            Self::Command(command) => match state.position().rejection(*command) {
                Some(rejection) => Err(not_now(name, rejection)),
                None => commanded(*command, state, stamp),
            },
        }
    }
}

fn not_now(name: &ServiceName, rejection: RolloutRejection) -> ControllerError {
    ControllerError::NotNow { name: name.clone(), rejection: Box::new(rejection) }
}

/// Both releases of an undo, and what the user should know of the one that it goes back to.
fn undo_notes(state: &ServiceState, to: &Revision) -> Vec<String> {
    let mut notes = vec![format!("back from {} to {}", undone(state), named(to))];
    let number = to.number;
    notes.extend(back_already(state, number).map(|failure| {
        let failed = failure.revision;
        let how = failure.how_it_ended();
        format!("revision {failed} {how}; revision {number} serves already, and no replica is replaced")
    }));
    let doubt = match state.outcome(number) {
        None | Some(RevisionOutcome::Complete | RevisionOutcome::InProgress) => None,
        Some(
            RevisionOutcome::Failed { failure }
            | RevisionOutcome::RolledBack { failure }
            | RevisionOutcome::Aborted { failure },
        ) => Some(failure.how_it_ended()),
        Some(RevisionOutcome::Superseded { .. }) => Some("was superseded before its rollout ended"),
    };
    notes.extend(doubt.map(|doubt| format!("revision {number} {doubt}")));
    notes
}

fn commanded(
    command: RolloutCommand,
    state: &ServiceState,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, ControllerError> {
    let service = &state.service;
    Ok(match command {
        RolloutCommand::Pause => service::intervention(service, Some(InterventionKind::Pause), stamp)?,
        RolloutCommand::Resume => service::intervention(service, None, stamp)?,
        RolloutCommand::Abort => service::intervention(service, Some(InterventionKind::Abort), stamp)?,
        RolloutCommand::Restart | RolloutCommand::Retry => service::restart(service, stamp)?,
        // An undo is prepared with its revision.
        RolloutCommand::Undo => {
            let RolloutPosition { phase, stable } = state.position();
            return Err(not_now(service.name(), RolloutRejection { command, phase, stable }));
        }
    })
}
