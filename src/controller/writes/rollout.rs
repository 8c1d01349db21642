//! One service rolled to another image, anew, back, or held: what is asked of the rollout itself.

use std::collections::BTreeMap;

use super::commit::Going;
use super::edit::{self, Edit};
use super::request::{RolloutChange, WriteResult};
use super::steer::RolloutCommand;
use crate::controller::Controller;
use crate::controller::error::ControllerError;
use crate::model::image_reference::with_image;
use crate::model::{
    Author, Generation, InterventionKind, OutcomeRecord, ResolvedImage, Revision, RevisionNumber,
    RevisionOutcome, Rollout, Service, ServiceName, key,
};
use crate::store::StoreEntry;

/// A change with what had to be asked for before it could be written.
enum Ready<'a> {
    Image { image: String, resolved: ResolvedImage, read: Generation },
    Undo { revision: Box<Revision>, outcome: Option<RevisionOutcome>, read: Generation },
    Steer(RolloutCommand, &'a ServiceName),
}

impl Controller {
    /// Rolls one service to another image, to new containers, back to an earlier revision, or halts its rollout.
    ///
    /// # Errors
    /// As [`Controller::apply`]; [`ControllerError::NotNow`] where the rollout does not stand as the change needs it.
    pub async fn rollout(
        &self,
        request_id: &str,
        name: &ServiceName,
        change: &RolloutChange,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, ControllerError> {
        let by = by.into();
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        let ready = self.prepare(name, change, &by.command).await?;
        let fits = async {
            let Ready::Undo { revision, .. } = &ready else { return Ok(()) };
            let after = self.existing(name).await?.spec.with_release_of(&revision.spec);
            self.check_memory(&[(name, after)], &[]).await
        };
        let names = std::slice::from_ref(name);
        self.edit_each(request_id, names, Going::ControllerError, &by, fits, |before, service, writer| {
            match &ready {
                Ready::Image { image, resolved, read } => {
                    let edit = edit::set_image(service, image, resolved.clone(), writer);
                    before.check_read(*read, &edit)?;
                    Ok(edit)
                }
                Ready::Undo { revision, outcome, read } => {
                    let edit = edit::undo(service, revision, outcome.as_ref(), writer);
                    before.check_read(*read, &edit)?;
                    Ok(edit)
                }
                Ready::Steer(asked, name) => {
                    before.position(service).check(*asked, name)?;
                    Ok(steered(*asked, service, writer))
                }
            }
        })
        .await
    }

    async fn prepare<'a>(
        &self,
        name: &'a ServiceName,
        change: &RolloutChange,
        command: &str,
    ) -> Result<Ready<'a>, ControllerError> {
        Ok(match change {
            RolloutChange::Image { image } => {
                let service = self.existing(name).await?;
                let image = with_image(&service.spec.image, image);
                let resolved = self.resolve_one(name, command, &image, &service).await?;
                Ready::Image { image, resolved, read: service.metadata.generation }
            }
            RolloutChange::Undo { to } => {
                let service = self.existing(name).await?;
                let read = service.metadata.generation;
                let (revision, outcome) = self.revision_to_undo_to(name, *to).await?;
                Ready::Undo { revision: Box::new(revision), outcome, read }
            }
            RolloutChange::Restart => Ready::Steer(RolloutCommand::Restart, name),
            RolloutChange::Retry => Ready::Steer(RolloutCommand::Retry, name),
            RolloutChange::Pause => Ready::Steer(RolloutCommand::Pause, name),
            RolloutChange::Resume => Ready::Steer(RolloutCommand::Resume, name),
            RolloutChange::Abort => Ready::Steer(RolloutCommand::Abort, name),
        })
    }

    /// The revision asked for, or the last good one before the current; its image must still be there.
    async fn revision_to_undo_to(
        &self,
        name: &ServiceName,
        to: Option<RevisionNumber>,
    ) -> Result<(Revision, Option<RevisionOutcome>), ControllerError> {
        let listing = self.store.list(&key::revisions_of(name)).await?;
        let revisions: Vec<Revision> =
            listing.entries.iter().map(StoreEntry::decode).collect::<Result<_, _>>()?;
        let mut outcomes = BTreeMap::new();
        for entry in self.store.list(&key::outcomes_of(name)).await?.entries {
            let record: OutcomeRecord = entry.decode()?;
            outcomes.insert(record.revision, record.outcome);
        }
        let rollout = self.store.get(&key::rollout(name)).await?;
        let rollout = rollout.map(|entry| entry.decode::<Rollout>()).transpose()?;
        let kept: Vec<RevisionNumber> = revisions.iter().map(|revision| revision.number).collect();
        let wanted = to.or_else(|| last_good(&kept, &outcomes, rollout.as_ref()?));
        let found =
            wanted.and_then(|number| revisions.into_iter().find(|revision| revision.number == number));
        let Some(revision) = found else {
            return Err(ControllerError::NoRevision { name: name.clone(), wanted: to, kept });
        };
        self.check_image_of(&revision).await?;
        let outcome = outcomes.remove(&revision.number);
        Ok((revision, outcome))
    }
}

fn steered(asked: RolloutCommand, service: &Service, writer: &edit::Writer<'_>) -> Edit {
    match asked {
        RolloutCommand::Pause => edit::intervention(service, Some(InterventionKind::Pause), writer),
        RolloutCommand::Resume => edit::intervention(service, None, writer),
        RolloutCommand::Abort => edit::intervention(service, Some(InterventionKind::Abort), writer),
        RolloutCommand::Restart | RolloutCommand::Retry => edit::restart(service, writer),
    }
}

/// What an undo goes back to: out of a rollout that is under way or paused, to the last revision that completed; else to
/// the newest kept one before the current that completed. One without a record, made by an earlier version of `ctl`,
/// counts as good.
fn last_good(
    kept: &[RevisionNumber],
    outcomes: &BTreeMap<RevisionNumber, RevisionOutcome>,
    rollout: &Rollout,
) -> Option<RevisionNumber> {
    let good = |number: &RevisionNumber| {
        outcomes.get(number).is_none_or(|outcome| *outcome == RevisionOutcome::Complete)
    };
    let earlier = || kept.iter().copied().filter(good).rfind(|number| *number < rollout.target);
    rollout.stable.filter(|stable| *stable != rollout.target).or_else(earlier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undo_goes_back_to_what_last_completed() {
        let kept: Vec<RevisionNumber> = (1..=4).map(RevisionNumber).collect();
        let undone = |target, stable: Option<u64>, bad: &[u64]| {
            let rollout = Rollout {
                stable: stable.map(RevisionNumber),
                last_revision: RevisionNumber(4),
                ..crate::testing::rollout(target)
            };
            let superseded =
                |n: &u64| (RevisionNumber(*n), RevisionOutcome::Superseded { by: RevisionNumber(n + 1) });
            let outcomes = bad.iter().map(superseded).collect();
            last_good(&kept, &outcomes, &rollout).map(|number| number.0)
        };
        assert_eq!(undone(4, Some(4), &[]), Some(3), "at rest: the one before");
        assert_eq!(undone(4, Some(4), &[3]), Some(2), "at rest: the last good one before");
        assert_eq!(undone(4, Some(2), &[]), Some(2), "under way: 3 never completed");
        assert_eq!(undone(2, Some(2), &[]), Some(1), "rolled back: 4 is not before 2");
        assert_eq!(undone(3, None, &[]), Some(2), "nothing ever completed, by no record");
        assert_eq!(undone(3, None, &[1, 2]), None, "nothing ever completed");
        assert_eq!(undone(1, None, &[]), None);
    }
}
