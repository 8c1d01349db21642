//! Which replicas must be gone before one that takes their place is started: two containers never write to one volume.

use super::census::has_ended;
use super::{ReplicaView, ServiceView};
use crate::model::Revision;

/// Whether a replica of `made` that takes the place of this one is started only when this one is gone. A replica that is
/// to run and has the template of `made` gives its place to no other.
pub(super) fn is_waited_for(view: &ServiceView, made: &Revision, replica: &ReplicaView) -> bool {
    let own = view.revisions.get(&replica.replica.revision);
    let stays = replica.replica.runs()
        && (replica.replica.revision == made.number || own.is_some_and(|own| own.same_template(made)));
    let spec = own.map_or(&made.spec, |own| &own.spec);
    !stays && !has_ended(replica) && made.spec.waits_for(spec, view.service.spec.replica_count())
}

/// Whether any replica must be gone before one of `made` is started.
pub(super) fn any_is_waited_for(view: &ServiceView, made: &Revision) -> bool {
    view.replicas.iter().any(|replica| is_waited_for(view, made, replica))
}
