//! Conflicts between documents of one run: the same name, host and path, or port of the node. Pure.

use std::collections::BTreeMap;

use super::document::Document;
use super::finding::{Finding, Findings, SourcePlace};
use crate::model::{ObjectRef, Problem, claim_conflicts, claim_phrase};

/// Reports the later one of each pair, naming both.
pub(super) fn check(documents: &[Document], findings: &mut Findings<'_>) {
    let mut first_of: BTreeMap<ObjectRef, &Document> = BTreeMap::new();
    let mut distinct: Vec<&Document> = Vec::new();
    for document in documents {
        let object = document.object();
        if let Some(first) = first_of.get(&object) {
            let message = format!("duplicate {}", object.phrase());
            let related = (first.find("metadata.name"), "first declared at".to_owned());
            report(document, "metadata.name", message, related, findings);
            continue;
        }
        first_of.insert(object, document);
        distinct.push(document);
    }
    for conflict in claim_conflicts(distinct.iter().map(|document| (document.object(), &document.spec))) {
        let (index, first_path) = conflict.first;
        let first = distinct[index];
        let (index, path) = conflict.second;
        let second = distinct[index];
        let claim = claim_phrase(&conflict.claim);
        let message = if conflict.held == conflict.claim {
            format!("`{}` and `{}` both claim {claim}", first.name, second.name)
        } else {
            let held = claim_phrase(&conflict.held);
            format!(
                "a request can match {held} of `{}` and {claim} of `{}`, and neither has more conditions",
                first.name, second.name
            )
        };
        let related = (first.find(&first_path), format!("`{}` claims it at", first.name));
        report(second, &path, message, related, findings);
    }
}

fn report(
    document: &Document,
    path: &str,
    message: String,
    related: (SourcePlace, String),
    findings: &mut Findings<'_>,
) {
    let finding = Finding::new(document.find(path), Problem::new(path, message));
    findings.push(Finding { related: Some(related), ..finding });
}
