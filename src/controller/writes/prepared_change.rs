//! A change of a service's release or rollout, with what it needs of the store and the Engine. Pure.

use super::kinds::service;
use super::object::{ObjectChange, WriteStamp};
use super::rollout_phase::RolloutCommand;
use super::snapshot::WriteSnapshot;
use crate::controller::error::ControllerError;
use crate::model::{
    Generation, InterventionKind, ResolvedImage, Revision, RevisionOutcome, Service, ServiceName,
};

/// A change with what had to be read or resolved before it could be written.
pub(super) enum PreparedChange {
    Image { image: String, resolved: ResolvedImage, read: Generation },
    Undo { revision: Box<Revision>, outcome: Option<RevisionOutcome>, read: Generation },
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
                let change = service::set_image(service, image, resolved.clone(), stamp)?;
                snapshot.check_read(*read, &change)?;
                Ok(change)
            }
            Self::Undo { revision, outcome, read } => {
                let change = service::undo(service, revision, outcome.as_ref(), stamp)?;
                snapshot.check_read(*read, &change)?;
                Ok(change)
            }
            Self::Command(command) => match state.position().rejection(*command) {
                Some(rejection) => {
                    Err(ControllerError::NotNow { name: name.clone(), rejection: Box::new(rejection) })
                }
                None => commanded(*command, service, stamp),
            },
        }
    }
}

fn commanded(
    command: RolloutCommand,
    service: &Service,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, ControllerError> {
    Ok(match command {
        RolloutCommand::Pause => service::intervention(service, Some(InterventionKind::Pause), stamp)?,
        RolloutCommand::Resume => service::intervention(service, None, stamp)?,
        RolloutCommand::Abort => service::intervention(service, Some(InterventionKind::Abort), stamp)?,
        RolloutCommand::Restart | RolloutCommand::Retry => service::restart(service, stamp)?,
    })
}
