//! From an object's variant to the functions of its kind.

use super::service;
use super::service_context;
use crate::controller::writes::diff;
use crate::controller::writes::fields::{self, FieldRules, Fields, FieldsError};
use crate::controller::writes::merged::Merged;
use crate::controller::writes::object::{Object, ObjectChange, ObjectContext, WriteStamp};
use crate::controller::writes::types::{ApplyDocument, FieldChange};
use crate::model::{ObjectKind, ObjectRef, ObjectSpec, ResolvedImage, ServiceName};
use crate::store::{Compare, Store, StoreError};

/// Reads an object with the revision of its key and its context; `None` where there is none.
pub(in crate::controller::writes) async fn read(
    store: &dyn Store,
    object: &ObjectRef,
) -> Result<Option<(Object, u64, ObjectContext)>, StoreError> {
    match object.kind {
        ObjectKind::Service => {
            let found = service_context::read(store, &ServiceName::new(&object.name)).await?;
            Ok(found.map(|(service, revision, context)| {
                (Object::Service(Box::new(service)), revision, ObjectContext::Service(context))
            }))
        }
    }
}

/// The object that a document asks for, merged with what commands changed. `image` is the resolved image of the merged
/// spec, where its kind has one.
pub(in crate::controller::writes) fn apply(
    document: &ApplyDocument,
    before: Option<&Object>,
    merged: Merged,
    image: Option<ResolvedImage>,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    match merged.spec.clone() {
        ObjectSpec::Service(spec) => {
            let before = before.map(|Object::Service(before)| &**before);
            let image = image.ok_or_else(|| FieldsError::new("its image is not resolved"))?;
            service::apply(document, before, spec, merged, image, stamp)
        }
    }
}

/// The object marked as deleted.
pub(in crate::controller::writes) fn delete(
    object: &Object,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    match object {
        Object::Service(service) => service::delete(service, false, stamp),
    }
}

pub(in crate::controller::writes) fn rules(kind: ObjectKind) -> &'static FieldRules {
    match kind {
        ObjectKind::Service => &service::RULES,
    }
}

pub(in crate::controller::writes) fn fields(spec: &ObjectSpec) -> Result<Fields, FieldsError> {
    match spec {
        ObjectSpec::Service(spec) => fields::fields(spec, &service::RULES),
    }
}

pub(in crate::controller::writes) fn assemble(
    kind: ObjectKind,
    fields: Fields,
) -> Result<ObjectSpec, FieldsError> {
    match kind {
        ObjectKind::Service => fields::assemble(fields).map(ObjectSpec::Service),
    }
}

/// What a new object sets that its kind would not set without being asked.
pub(in crate::controller::writes) fn settings(spec: &ObjectSpec) -> Result<Vec<FieldChange>, FieldsError> {
    match spec {
        ObjectSpec::Service(spec) => diff::settings(spec),
    }
}

/// What must not have changed since an object was read, apart from itself, for a change of it to be committed.
pub(in crate::controller::writes) fn further_compares(
    before: &Object,
    context: &ObjectContext,
    after: &Object,
) -> Vec<Compare> {
    match (before, context, after) {
        (Object::Service(before), ObjectContext::Service(context), Object::Service(after)) => {
            context.further_compares(before, after)
        }
    }
}

/// A note for a change that replaces something in progress.
pub(in crate::controller::writes) fn replaces(
    before: &Object,
    context: &ObjectContext,
    after: &Object,
) -> Option<String> {
    match (before, context, after) {
        (Object::Service(before), ObjectContext::Service(context), Object::Service(after)) => {
            context.replaces(before, after)
        }
    }
}
