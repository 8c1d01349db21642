//! From an object's variant to the functions of its kind.

#[cfg(any(test, feature = "testing"))]
use super::gadget;
use super::service;
use crate::controller::service_state::ServiceState;
use crate::controller::writes::diff;
use crate::controller::writes::fields::{FieldRules, FieldsError};
use crate::controller::writes::merge::MergeOutcome;
use crate::controller::writes::object::{Object, ObjectChange, ObjectContext, WriteStamp};
use crate::controller::writes::types::{ApplyDocument, FieldChange};
use crate::model::{ObjectKind, ObjectRef, ObjectSpec, ResolvedImage, Revision, ServiceName};
use crate::store::{Store, StoreError};

/// Reads an object with the revision of its key and its context; `None` where there is none.
pub(in crate::controller::writes) async fn read(
    store: &dyn Store,
    object: &ObjectRef,
) -> Result<Option<(Object, u64, ObjectContext)>, StoreError> {
    Ok(match object.kind {
        ObjectKind::Service => {
            ServiceState::read(store, &ServiceName::new(&object.name)).await?.map(|state| {
                let service = Object::Service(Box::new(state.service.clone()));
                (service, state.service_revision, ObjectContext::Service(Box::new(state)))
            })
        }
        #[cfg(any(test, feature = "testing"))]
        ObjectKind::Gadget => match store.get(&crate::model::key::object(object)).await? {
            Some(entry) => {
                Some((Object::decode(object.kind, &entry)?, entry.mod_revision, ObjectContext::None))
            }
            None => None,
        },
    })
}

/// The object that a document asks for, its spec merged with what commands changed. `image` is the resolved image of the
/// merged spec, where its kind has one; `went_back_to` is what serves, where the release that is asked for failed.
pub(in crate::controller::writes) fn apply(
    document: &ApplyDocument,
    before: Option<&Object>,
    went_back_to: Option<&Revision>,
    spec: ObjectSpec,
    merged: MergeOutcome,
    image: Option<ResolvedImage>,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    match spec {
        ObjectSpec::Service(spec) => {
            let before = before.and_then(Object::as_service);
            let image = image.ok_or_else(|| FieldsError::new("its image is not resolved"))?;
            service::apply(document, before, went_back_to, spec, merged, image, stamp)
        }
        #[cfg(any(test, feature = "testing"))]
        ObjectSpec::Gadget(spec) => {
            let before = before.and_then(|object| match object {
                Object::Gadget(before) => Some(&**before),
                Object::Service(_) => None,
            });
            gadget::apply(document, before, spec, merged, stamp)
        }
    }
}

/// The object marked as deleted, with the volumes of a service where the user named them.
pub(in crate::controller::writes) fn delete(
    object: &Object,
    volumes: bool,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    match object {
        Object::Service(service) => service::delete(service, volumes, stamp),
        #[cfg(any(test, feature = "testing"))]
        Object::Gadget(gadget) => Ok(gadget::delete(gadget, stamp)),
    }
}

pub(in crate::controller::writes) fn rules(kind: ObjectKind) -> FieldRules {
    match kind {
        ObjectKind::Service => service::RULES,
        #[cfg(any(test, feature = "testing"))]
        ObjectKind::Gadget => gadget::RULES,
    }
}

/// What a new object sets that its kind would not set without being asked.
pub(in crate::controller::writes) fn settings(spec: &ObjectSpec) -> Result<Vec<FieldChange>, FieldsError> {
    match spec {
        ObjectSpec::Service(spec) => diff::settings(spec),
        #[cfg(any(test, feature = "testing"))]
        ObjectSpec::Gadget(spec) => diff::changes(&crate::model::GadgetSpec::default(), spec),
    }
}
