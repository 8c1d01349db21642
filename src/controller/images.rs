//! What a write needs of the Engine: images resolved before anything is written, or there still for an undo.

use super::refused::{Refused, UnresolvedImage};
use super::resolve::{full_reference, resolve};
use super::{ApplyDocument, Controller};
use crate::engine::EngineError;
use crate::model::{ResolvedImage, Revision, RevisionNumber, Rollout, Service, ServiceName, key};
use crate::store::Entry;

impl Controller {
    /// What all documents are made from; those that cannot be resolved are refused together.
    pub(super) async fn resolve_all(
        &self,
        documents: &[ApplyDocument],
    ) -> Result<Vec<ResolvedImage>, Refused> {
        let mut resolved: Vec<ResolvedImage> = Vec::new();
        let mut failed = Vec::new();
        for document in documents {
            let spec = &document.spec;
            match resolve(self.engine.as_ref(), &spec.image, spec.pull).await {
                Ok(image) => resolved.push(image),
                Err(error) => {
                    failed.push(unresolved(&document.name, &document.origin, &spec.image, error)?);
                }
            }
        }
        if failed.is_empty() { Ok(resolved) } else { Err(Refused::Images(failed)) }
    }

    /// What a service would be made from with another image.
    pub(super) async fn resolve_one(
        &self,
        name: &ServiceName,
        command: &str,
        image: &str,
        service: &Service,
    ) -> Result<ResolvedImage, Refused> {
        match resolve(self.engine.as_ref(), image, service.spec.pull).await {
            Ok(resolved) => Ok(resolved),
            Err(error) => Err(Refused::Images(vec![unresolved(name, command, image, error)?])),
        }
    }

    /// The revision asked for, or the last one before the current; its image must still be there.
    pub(super) async fn revision_to_undo_to(
        &self,
        name: &ServiceName,
        to: Option<RevisionNumber>,
    ) -> Result<Revision, Refused> {
        let listing = self.store.list(&key::revisions_of(name)).await?;
        let revisions: Vec<Revision> = listing.entries.iter().map(Entry::decode).collect::<Result<_, _>>()?;
        let rollout = self.store.get(&key::rollout(name)).await?;
        let rollout = rollout.map(|entry| entry.decode::<Rollout>()).transpose()?;
        let wanted = to.or_else(|| before_current(&revisions, rollout.as_ref()?));
        let found = wanted.and_then(|number| revisions.iter().find(|revision| revision.number == number));
        let Some(revision) = found else {
            let kept = revisions.iter().map(|revision| revision.number).collect();
            return Err(Refused::NoRevision { name: name.clone(), wanted: to, kept });
        };
        match self.engine.image(&revision.image.pinned).await {
            Ok(_) => Ok(revision.clone()),
            Err(error) => {
                let origin = format!("revision {}", revision.number);
                Err(Refused::Images(vec![unresolved(name, &origin, &revision.image.reference, error)?]))
            }
        }
    }
}

/// An Engine that is away is an error of its own; anything else is the image's.
fn unresolved(
    service: &ServiceName,
    origin: &str,
    reference: &str,
    error: EngineError,
) -> Result<UnresolvedImage, Refused> {
    if error.is_away() {
        return Err(error.into());
    }
    let reference = full_reference(reference);
    let (service, origin, why) = (service.clone(), origin.to_owned(), why(&error));
    Ok(UnresolvedImage { service, origin, reference, why })
}

/// Why there is no such image, without its name: whoever reads this has just been told.
fn why(error: &EngineError) -> String {
    match error {
        EngineError::NotFound { .. } => "the Engine does not have it".to_owned(),
        EngineError::PullDenied { message, .. } => format!("the registry refuses to give it: {message}"),
        EngineError::ImageUnknown { message, .. } => format!("the registry does not have it: {message}"),
        EngineError::RegistryUnreachable { message, .. } => {
            format!("the registry cannot be reached: {message}")
        }
        other => other.to_string(),
    }
}

/// What an undo goes back to: out of a rollout that is under way or paused, to the last revision that completed; else to
/// the newest kept one before the current.
fn before_current(revisions: &[Revision], rollout: &Rollout) -> Option<RevisionNumber> {
    let earlier = || revisions.iter().map(|revision| revision.number).rfind(|n| *n < rollout.target);
    rollout.stable.filter(|stable| *stable != rollout.target).or_else(earlier)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Generation, Millis, RolloutState, ServiceSpec};

    const AT: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

    fn revision(number: u64) -> Revision {
        Revision {
            service: "users".into(),
            number: RevisionNumber(number),
            generation: Generation(number),
            spec: ServiceSpec::of_image("users:1"),
            image: ResolvedImage { reference: "users:1".into(), pinned: "sha256:aa".into() },
            restarts: 0,
            hash: "h".into(),
            hash_schema: crate::model::HASH_SCHEMA,
            created_at: AT,
            cause: String::new(),
        }
    }

    #[test]
    fn an_undo_goes_back_to_what_last_completed() {
        let kept: Vec<Revision> = [1, 2, 3, 4].into_iter().map(revision).collect();
        let undone = |target, stable: Option<u64>| {
            let rollout = Rollout {
                observed: Generation(4),
                target: RevisionNumber(target),
                stable: stable.map(RevisionNumber),
                last_revision: RevisionNumber(4),
                issued: Default::default(),
                forgiven: Default::default(),
                state: RolloutState::Progressing { waited: Millis(0), best: 0 },
                since: AT,
            };
            before_current(&kept, &rollout).map(|number| number.0)
        };
        assert_eq!(undone(4, Some(4)), Some(3), "at rest: the one before");
        assert_eq!(undone(4, Some(2)), Some(2), "under way: 3 never completed");
        assert_eq!(undone(2, Some(2)), Some(1), "rolled back: 4 is not before 2");
        assert_eq!(undone(3, None), Some(2), "nothing ever completed");
        assert_eq!(undone(1, None), None);
    }
}
