//! The documents of a run, checked by themselves: what the client checked already, because the server must not trust it.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::request::{ApplyDocument, DocumentProblem};
use crate::controller::error::ControllerError;
use crate::model::{AppName, Problem, ServiceName, check_service};

/// Documents of one run; the manifest reader has the same limit.
const DOCUMENTS_MAX: usize = 1_000;

/// Most bytes of annotations: they are stored with the Service, whose transaction they must leave room in.
const ANNOTATIONS_MAX_BYTES: usize = 64 << 10;

/// What is wrong with the documents of a run, taken by themselves.
pub(crate) fn check_documents(documents: &[ApplyDocument]) -> Result<(), ControllerError> {
    if documents.len() > DOCUMENTS_MAX {
        let message = format!("{} documents are more than the {DOCUMENTS_MAX} of one run", documents.len());
        return Err(ControllerError::BadValue(message));
    }
    let mut problems = Vec::new();
    let mut names: BTreeSet<&ServiceName> = BTreeSet::new();
    let mut claims: BTreeMap<String, &ServiceName> = BTreeMap::new();
    for (index, document) in documents.iter().enumerate() {
        let mut found = check_service(&document.spec);
        for (path, text, error) in [
            ("metadata.name", document.name.as_str(), ServiceName::parse(document.name.as_str()).err()),
            ("metadata.app", document.app.as_str(), AppName::parse(document.app.as_str()).err()),
        ] {
            found.extend(error.map(|error| Problem::new(path, format!("`{text}`: {error}"))));
        }
        let annotations: usize =
            document.annotations.iter().map(|(name, text)| name.len() + text.len()).sum();
        if annotations > ANNOTATIONS_MAX_BYTES {
            let message =
                format!("{annotations} bytes are more than the {ANNOTATIONS_MAX_BYTES} that are kept");
            found.push(Problem::new("metadata.annotations", message));
        }
        if !names.insert(&document.name) {
            found
                .push(Problem::new("metadata.name", format!("`{}` stands twice in this run", document.name)));
        }
        for (i, route) in document.spec.routes.iter().enumerate() {
            if let Some(other) =
                claims.insert(route.claim(), &document.name).filter(|other| **other != document.name)
            {
                let message = format!("`{}` is claimed by {other} as well", route.claim());
                found.push(Problem::new(format!("spec.route[{i}]"), message));
            }
        }
        problems.extend(found.into_iter().map(|problem| DocumentProblem { document: index, problem }));
    }
    if problems.is_empty() { Ok(()) } else { Err(ControllerError::Invalid(problems)) }
}
