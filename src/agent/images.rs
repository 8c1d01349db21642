//! Images: present before a container is created, and protected for as long as a stored revision needs them. Pure.

use std::collections::BTreeMap;

use super::action::ActionSubject;
use super::action::AgentAction;
use super::backoff::FIND_AGAIN;
use super::memory::{ImageMemory, Retry};
use super::plan_builder::PlanBuilder;
use super::view::WantedReplica;
use crate::engine::{LABEL_SERVICE, ObservedContainer, has_label};
use crate::model::image_reference::is_image_id;
use crate::model::{Cause, Desired, NotReadyCause, Pull, ResolvedImage, ServiceName};

/// Whether an image is present.
pub(super) enum ImageNeed {
    Met,
    /// It is being looked up.
    LookingUp,
    /// It is being pulled, or will be once other pulls have ended.
    Pulling,
    /// It cannot be pulled for now.
    Unavailable(Retry),
}

/// Makes sure that an image is present. It is pinned, so it is pulled only if the Engine does not have it.
pub(super) fn need(builder: &mut PlanBuilder<'_>, resolved: &ResolvedImage, policy: Pull) -> ImageNeed {
    let image = resolved.pinned.as_str();
    if builder.is_busy(&ActionSubject::Pull(image.to_owned())) {
        return ImageNeed::Pulling;
    }
    let look = AgentAction::FindImage { image: image.to_owned() };
    match builder.memory.images.get(image) {
        Some(ImageMemory::Present) => ImageNeed::Met,
        None => {
            builder.act(look);
            ImageNeed::LookingUp
        }
        Some(ImageMemory::Failed { retry, .. }) if retry.at > builder.now.mono => {
            ImageNeed::Unavailable(retry.clone())
        }
        Some(ImageMemory::Absent | ImageMemory::Failed { .. }) => match not_pullable(resolved, policy) {
            Some(message) => {
                builder.act(look);
                let cause = NotReadyCause::ImageNotFound { message };
                ImageNeed::Unavailable(Retry::after(builder.now, FIND_AGAIN, cause))
            }
            None => {
                builder.pull(image);
                ImageNeed::Pulling
            }
        },
    }
}

fn not_pullable(image: &ResolvedImage, policy: Pull) -> Option<String> {
    let gone = format!("image {} is no longer on the node", image.summary());
    if policy == Pull::Never {
        return Some(format!("{gone}, and `pull: never` forbids pulling it; load it again"));
    }
    is_image_id(&image.pinned).then(|| {
        format!(
            "{gone}, and no registry has it; load it again, or apply the service to take what its tag is now"
        )
    })
}

/// The prefix of the tags that protect a service's images; a revision's number and our store's name follow.
fn tag_prefix(service: &ServiceName) -> String {
    format!("coxswain/{service}:r")
}

/// The tag that protects the image of a revision.
fn tag_of(builder: &PlanBuilder<'_>, service: &ServiceName, number: u64) -> String {
    format!("{}{number}-{}", tag_prefix(service), builder.view.facts.store.short())
}

/// Whether the user deleted the replica's service.
fn is_deleted(wanted: &WantedReplica) -> bool {
    wanted.replica.desired == Desired::Remove { cause: Cause::Deleted }
}

/// Removes the tags of a deleted service once its last container is gone, before its last replica is reported gone: a user
/// who saw the deletion end may stop the daemon. Returns whether that is under way; a tag that the Engine keeps blocks
/// nothing.
pub(super) fn untag_deleted(builder: &mut PlanBuilder<'_>, wanted: &WantedReplica) -> bool {
    let view = builder.view;
    let service = &wanted.replica.service;
    let is_of_service = |c: &ObservedContainer| has_label(&c.labels, LABEL_SERVICE, service.as_str());
    if !is_deleted(wanted) || view.ours().any(is_of_service) {
        return false;
    }
    let prefix = tag_prefix(service);
    let mut under_way = false;
    for tag in builder.memory.images.tags(&view.state.tags).into_iter().filter(|tag| tag.starts_with(&prefix))
    {
        let subject = ActionSubject::Tag(tag.clone());
        under_way |= builder.act(AgentAction::Untag { tag }) || builder.is_claimed(&subject);
    }
    under_way
}

/// Tags the images of stored revisions and untags those of deleted ones. Called when there is nothing else to do.
pub(super) fn protect(builder: &mut PlanBuilder<'_>) {
    let view = builder.view;
    let here = |service: &ServiceName| {
        view.replicas.values().any(|w| w.replica.service == *service && !is_deleted(w))
    };
    let stored: BTreeMap<String, (&ServiceName, &str)> = view
        .revisions
        .iter()
        .map(|((service, number), revision)| {
            (tag_of(builder, service, number.0), (service, revision.image.pinned.as_str()))
        })
        .collect();
    let tags = builder.memory.images.tags(&view.state.tags);
    builder.state.tags.clone_from(&tags);
    for (tag, (service, image)) in &stored {
        if !tags.contains(tag) && here(service) {
            let image = (*image).to_owned();
            builder.act(AgentAction::Tag { image, tag: tag.clone() });
        }
    }
    // A service scaled to zero keeps its images: it may be scaled up again.
    for tag in tags.iter().filter(|tag| !stored.contains_key(*tag)) {
        builder.act(AgentAction::Untag { tag: tag.clone() });
    }
}
