//! The metadata that an apply gives an object of any kind. Pure.

use crate::controller::writes::object::WriteStamp;
use crate::controller::writes::types::ApplyDocument;
use crate::model::{Generation, Metadata, ServiceName};

pub(in crate::controller::writes) fn metadata(
    document: &ApplyDocument,
    before: Option<&Metadata>,
    stamp: &WriteStamp<'_>,
) -> Metadata {
    Metadata {
        name: ServiceName::new(&document.name),
        app: document.app.clone(),
        annotations: document.annotations.clone(),
        uid: before.map_or_else(|| stamp.uid.clone(), |before| before.uid.clone()),
        generation: before.map_or(Generation(0), |before| before.generation),
        created_at: before.map_or(stamp.at, |before| before.created_at),
    }
}
