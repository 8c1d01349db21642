//! What two documents of one run cannot both have: a name, or a host and path.

use std::collections::BTreeMap;

use super::document::Document;
use super::finding::{Finding, Findings};
use crate::model::Problem;

/// Reports the later one of each pair, naming both.
pub(super) fn check(documents: &[Document], findings: &mut Findings<'_>) {
    let mut names: BTreeMap<&str, &Document> = BTreeMap::new();
    let mut claims: BTreeMap<String, (&Document, String)> = BTreeMap::new();
    for document in documents {
        if let Some(first) = names.get(document.name.as_str()) {
            let message = format!("two documents declare the service `{}`", document.name);
            let related = (first.find("metadata.name"), "it is first declared at".to_owned());
            report(document, "metadata.name", message, related, findings);
            continue;
        }
        names.insert(document.name.as_str(), document);
        for (i, route) in document.spec.routes.iter().enumerate() {
            let path = format!("spec.route[{i}]");
            let Some((first, at)) = claims.get(&route.claim()) else {
                claims.insert(route.claim(), (document, path));
                continue;
            };
            // Twice in one document is the model's own rule.
            if first.name != document.name {
                let (one, two) = (&first.name, &document.name);
                let message = format!("the services `{one}` and `{two}` both claim `{}`", route.claim());
                let related = (first.find(at), format!("`{one}` claims it at"));
                report(document, &path, message, related, findings);
            }
        }
    }
}

fn report(
    document: &Document,
    path: &str,
    message: String,
    related: (super::Place, String),
    findings: &mut Findings<'_>,
) {
    let finding = Finding::new(document.find(path), Problem::new(path, message));
    findings.push(Finding { related: Some(related), ..finding });
}
