//! Images: there before a container is made, and protected for as long as a stored revision needs them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{AgentAction, Draft};
use super::memory::ImageMemory;
use super::replica_memory::Retry;
use super::view::{NodeView, Subject, WantedReplica};
use crate::engine::{LABEL_SERVICE, ObservedContainer};
use crate::model::{Cause, Desired, ImageRefusal, Millis, Pull, ServiceName, WaitReason};

/// An image that cannot be pulled is looked for again after so long: someone may build it.
pub(super) const LOOK_AGAIN: Millis = Millis::secs(5);

/// Whether an image is there.
pub(super) enum Need {
    /// It is.
    Met,
    /// The Engine is being asked.
    Looking,
    /// It is being pulled, or will be once other pulls have ended.
    Pulling,
    /// It could not be had; it is tried again then.
    Unavailable(Retry),
}

/// Sees to it that an image is there. It is pinned, so it is pulled only where the Engine does not have it.
pub(super) fn need(draft: &mut Draft<'_>, image: &str, policy: Pull) -> Need {
    if draft.is_busy(&Subject::Pull(image.to_owned())) {
        return Need::Pulling;
    }
    let look = AgentAction::FindImage { image: image.to_owned() };
    match draft.view.memory.images.get(image) {
        Some(ImageMemory::Present) => Need::Met,
        None => {
            draft.act(look);
            Need::Looking
        }
        Some(ImageMemory::Failed { retry, .. }) if retry.at > draft.now.mono => {
            Need::Unavailable(retry.clone())
        }
        Some(ImageMemory::Absent | ImageMemory::Failed { .. }) => match not_pullable(image, policy) {
            Some(message) => {
                draft.act(look);
                let reason = WaitReason::ImageUnavailable { message, refusal: Some(ImageRefusal::NotFound) };
                Need::Unavailable(Retry::after(draft.now, LOOK_AGAIN, reason))
            }
            None => {
                draft.pull(image);
                Need::Pulling
            }
        },
    }
}

fn not_pullable(image: &str, policy: Pull) -> Option<String> {
    if policy == Pull::Never {
        return Some(format!("the Engine does not have {image}, and `pull: never` forbids to pull it"));
    }
    let local = image.starts_with("sha256:");
    local.then(|| {
        format!("the Engine does not have {image} any more; it existed only there, no registry has it")
    })
}

/// How the tags of ours begin that protect a service's images; a revision's number and our store's name follow.
fn tag_prefix(service: &ServiceName) -> String {
    format!("coxswain/{service}:r")
}

/// The tag of ours that protects the image of a revision.
fn tag_of(draft: &Draft<'_>, service: &ServiceName, number: u64) -> String {
    format!("{}{number}-{}", tag_prefix(service), draft.view.facts.store.short())
}

/// Tags of ours, as far as is known: those stored and those set since, without those taken away.
fn tags(view: &NodeView) -> BTreeSet<String> {
    let all = view.state.tags.union(&view.memory.tagged);
    all.filter(|tag| !view.memory.untagged.contains(*tag)).cloned().collect()
}

/// Whether the user deleted the service: all of its replicas go for that reason.
fn is_deleted(wanted: &WantedReplica) -> bool {
    wanted.replica.desired == Desired::Remove { cause: Cause::Deleted }
}

/// Takes away the tags of a deleted service whose last container went, before its last replica is called gone: whoever
/// saw the deletion end may stop the daemon. Whether that is under way; a tag that the Engine keeps holds up nothing.
pub(super) fn untag_deleted(draft: &mut Draft<'_>, wanted: &WantedReplica) -> bool {
    let (view, service) = (draft.view, &wanted.replica.service);
    let stands =
        |c: &ObservedContainer| c.labels.get(LABEL_SERVICE).map(String::as_str) == Some(service.as_str());
    if !is_deleted(wanted) || view.ours().any(stands) {
        return false;
    }
    let prefix = tag_prefix(service);
    let mut under_way = false;
    for tag in tags(view).into_iter().filter(|tag| tag.starts_with(&prefix)) {
        let subject = Subject::Tag(tag.clone());
        under_way |= draft.act(AgentAction::Untag { tag }) || draft.is_claimed(&subject);
    }
    under_way
}

/// Tags the images of stored revisions and untags those of dropped ones. Called when nothing else is to do.
pub(super) fn protect(draft: &mut Draft<'_>) {
    let view = draft.view;
    let here = |service: &ServiceName| {
        view.replicas.values().any(|w| w.replica.service == *service && !is_deleted(w))
    };
    let stored: BTreeMap<String, (&ServiceName, &str)> = view
        .revisions
        .iter()
        .map(|((service, number), revision)| {
            (tag_of(draft, service, number.0), (service, revision.image.pinned.as_str()))
        })
        .collect();
    let tags = tags(view);
    draft.state_mut().tags.clone_from(&tags);
    for (tag, (service, image)) in &stored {
        if !tags.contains(tag) && here(service) {
            let image = (*image).to_owned();
            draft.act(AgentAction::Tag { image, tag: tag.clone() });
        }
    }
    // A service scaled to nothing keeps its images: it may be scaled up again.
    for tag in tags.iter().filter(|tag| !stored.contains_key(*tag)) {
        draft.act(AgentAction::Untag { tag: tag.clone() });
    }
}
