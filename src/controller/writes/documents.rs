//! The documents of a run, checked without the store: what the client checked already, because the server must not trust
//! it. Pure.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::types::{ApplyDocument, DocumentProblem};
use crate::controller::error::ControllerError;
use crate::model::{
    AppName, LIMITS, ObjectRef, Problem, ServiceName, ServiceSpec, claim_conflicts, claim_phrase,
};

/// Most bytes of annotations: they are stored with the object, whose transaction they must leave room in.
const ANNOTATIONS_MAX_BYTES: usize = 64 << 10;

/// Refuses documents that are not sound, with all problems together.
pub(crate) fn check_documents(documents: &[ApplyDocument]) -> Result<(), ControllerError> {
    if documents.len() > LIMITS.documents {
        let message = format!("{} documents are more than the {} allowed", documents.len(), LIMITS.documents);
        return Err(ControllerError::BadValue(message));
    }
    let mut problems = Vec::new();
    let mut seen: BTreeSet<ObjectRef> = BTreeSet::new();
    for (index, document) in documents.iter().enumerate() {
        let mut found = document.spec.problems();
        found.extend(check_metadata(document));
        if !seen.insert(document.object()) {
            let message = format!("`{}` is declared twice", document.name);
            found.push(Problem::new("metadata.name", message));
        }
        problems.extend(found.into_iter().map(|problem| DocumentProblem { document: index, problem }));
    }
    let claimed = documents.iter().map(|document| (document.object(), &document.spec));
    for conflict in claim_conflicts(claimed) {
        let (first, _) = conflict.first;
        let (second, path) = conflict.second;
        let claim = claim_phrase(&conflict.claim);
        let owner = documents[first].object().phrase();
        let message = if conflict.held == conflict.claim {
            format!("{claim} is also claimed by {owner}")
        } else {
            let held = claim_phrase(&conflict.held);
            format!("a request can match {claim} and {held} of {owner}, and neither has more conditions")
        };
        problems.push(DocumentProblem { document: second, problem: Problem::new(path, message) });
    }
    if problems.is_empty() { Ok(()) } else { Err(ControllerError::Invalid(problems)) }
}

/// Refuses documents that listen on a port on which the daemon itself serves HTTP or HTTPS,
/// on whatever address.
pub(super) fn check_own_ports(
    documents: &[ApplyDocument],
    http: &[SocketAddr],
) -> Result<(), ControllerError> {
    for document in documents {
        let listens = document.spec.as_service().into_iter().flat_map(ServiceSpec::listens);
        for (listen, _) in listens {
            if let Some(by) = http.iter().find(|address| address.port() == listen.port) {
                return Err(ControllerError::OwnPort {
                    port: listen.port,
                    object: document.object(),
                    origin: document.origin.clone(),
                    by: *by,
                });
            }
        }
    }
    Ok(())
}

fn check_metadata(document: &ApplyDocument) -> Vec<Problem> {
    let mut found = Vec::new();
    let app = document.app.as_str();
    for (path, text, error) in [
        ("metadata.name", document.name.as_str(), ServiceName::parse(&document.name).err()),
        ("metadata.app", app, AppName::parse(app).err()),
    ] {
        found.extend(error.map(|error| Problem::new(path, format!("`{text}`: {error}"))));
    }
    let annotations: usize = document.annotations.iter().map(|(name, text)| name.len() + text.len()).sum();
    if annotations > ANNOTATIONS_MAX_BYTES {
        let message = format!("{annotations} bytes are more than the {ANNOTATIONS_MAX_BYTES} allowed");
        found.push(Problem::new("metadata.annotations", message));
    }
    found
}
