//! Dispatches the reading of a document by its kind. A new kind is an arm in each `match`, and a file next to this one. Pure.

mod service;

use super::reader::{Block, ManifestReader, YamlField};
use super::shape::{self, SchemaNode};
use crate::model::{ObjectKind, ObjectSpec, Problem};

/// The keys of a document of this kind.
pub(super) fn document_shape(kind: ObjectKind) -> &'static SchemaNode {
    match kind {
        ObjectKind::Service => &shape::DOCUMENT,
        #[cfg(any(test, feature = "testing"))]
        ObjectKind::Gadget => &shape::DOCUMENT,
    }
}

/// The spec as far as it can be read; problems are reported.
pub(super) fn read_spec(
    kind: ObjectKind,
    reader: &mut ManifestReader<'_, '_>,
    field: &YamlField<'_>,
) -> Option<ObjectSpec> {
    match kind {
        ObjectKind::Service => service::read(reader, field).map(ObjectSpec::Service),
        // Tests declare gadgets as objects, not as YAML.
        #[cfg(any(test, feature = "testing"))]
        ObjectKind::Gadget => None,
    }
}

/// Defaults that the user should know of.
pub(super) fn notes(document: &Block<'_>, spec: &ObjectSpec) -> Vec<String> {
    match spec {
        ObjectSpec::Service(spec) => service::notes(document, spec),
        #[cfg(any(test, feature = "testing"))]
        ObjectSpec::Gadget(_) => Vec::new(),
    }
}

/// Whether a problem only follows from another one of the same kind.
pub(super) fn follows(kind: ObjectKind, reader: &ManifestReader<'_, '_>, problem: &Problem) -> bool {
    match kind {
        ObjectKind::Service => service::follows(reader, problem),
        #[cfg(any(test, feature = "testing"))]
        ObjectKind::Gadget => false,
    }
}
