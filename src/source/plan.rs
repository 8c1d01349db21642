//! From what a directory declares and what it declared before to what is applied and removed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::{ApplyDocument, Declared};
use crate::manifest::Document;
use crate::model::ServiceName;

/// So many services may always go at once.
const ALWAYS: usize = 3;
/// Beyond that, so many per cent of what the directory declared.
const PERCENT: usize = 30;

/// What is to be done with a directory's documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// New or changed documents. One that did not change is left alone: its image is not resolved anew, and what a
    /// command changed since stays.
    pub apply: Vec<ApplyDocument>,
    /// Services of the directory whose document went.
    pub remove: Vec<ServiceName>,
    /// Such services that stay until the user confirms it: too many at once, or all of them.
    pub held: Vec<ServiceName>,
}

/// Decides. `declared` is what this directory brought before and is not being deleted; `confirmed` are removals that the
/// user let happen.
pub fn decide(
    documents: &[Document],
    declared: &BTreeMap<ServiceName, Declared>,
    confirmed: &BTreeSet<ServiceName>,
) -> Decision {
    let unchanged = |document: &&Document| {
        declared.get(&document.name).is_some_and(|before| {
            before.applied.as_ref() == Some(&document.spec)
                && before.annotations == document.annotations
                && before.app == document.app
        })
    };
    let apply = documents.iter().filter(|document| !unchanged(document)).map(|document| ApplyDocument {
        name: document.name.clone(),
        app: document.app.clone(),
        annotations: document.annotations.clone(),
        spec: document.spec.clone(),
        origin: document.origin(),
    });
    let stays: BTreeSet<&ServiceName> = documents.iter().map(|document| &document.name).collect();
    let going = declared.keys().filter(|name| !stays.contains(name)).cloned();
    let (mut remove, held): (Vec<ServiceName>, Vec<ServiceName>) =
        going.partition(|name| confirmed.contains(name));
    let may_go = ALWAYS.max(declared.len() * PERCENT / 100);
    let lets_go = !documents.is_empty() && held.len() <= may_go;
    let held = if lets_go {
        remove.extend(held);
        Vec::new()
    } else {
        held
    };
    remove.sort();
    Decision { apply: apply.collect(), remove, held }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Source, parse};

    fn documents(names: &[&str]) -> Vec<Document> {
        let text = |name: &&str| {
            let (name, image) = name.split_once('=').unwrap_or((name, "a:1"));
            format!(
                "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{image: {image}}}\n"
            )
        };
        let text = names.iter().map(text).collect::<Vec<_>>().join("---\n");
        parse(&[Source::new("a.yaml", text)]).unwrap()
    }

    fn declared(names: &[&str]) -> BTreeMap<ServiceName, Declared> {
        let of = |document: Document| {
            let Document { name, app, annotations, spec, .. } = document;
            (name, Declared { app, annotations, applied: Some(spec) })
        };
        documents(names).into_iter().map(of).collect()
    }

    fn check(there: &[&str], before: &[&str], confirmed: &[&str], expected: [&str; 3]) {
        let confirmed = confirmed.iter().map(|name| ServiceName::new(*name)).collect();
        let decision = decide(&documents(there), &declared(before), &confirmed);
        let text =
            |names: &[ServiceName]| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let apply: Vec<ServiceName> = decision.apply.iter().map(|document| document.name.clone()).collect();
        let seen = [text(&apply), text(&decision.remove), text(&decision.held)];
        assert_eq!(seen, expected, "{there:?} after {before:?}, confirmed {confirmed:?}");
    }

    #[test]
    fn documents_are_applied_removed_and_held() {
        let ten = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        // there, before, confirmed -> apply, remove, held
        check(&["a", "b"], &[], &[], ["a b", "", ""]);
        check(&["a", "b"], &["a", "b"], &[], ["", "", ""]);
        check(&["a=a:2", "b"], &["a", "b"], &[], ["a", "", ""]);
        check(&["a"], &["a", "b"], &[], ["", "b", ""]);
        check(&["a"], &["a", "b", "c", "d"], &[], ["", "b c d", ""]);
        check(&["a"], &["a", "b", "c", "d", "e"], &[], ["", "", "b c d e"]);
        check(&["a", "x"], &["a", "b", "c", "d", "e"], &[], ["x", "", "b c d e"]);
        check(&["a"], &["a", "b", "c", "d", "e"], &["b", "c", "d", "e"], ["", "b c d e", ""]);
        check(&["a"], &["a", "b", "c", "d", "e"], &["b"], ["", "b c d e", ""]);
        check(&ten[..7], &ten, &[], ["", "h i j", ""]);
        check(&ten[..6], &ten, &[], ["", "", "g h i j"]);
        // An empty directory is a mistake more often than a wish.
        check(&[], &["a"], &[], ["", "", "a"]);
        check(&[], &["a"], &["a"], ["", "a", ""]);
        check(&[], &[], &[], ["", "", ""]);
    }

    #[test]
    fn any_part_of_a_document_makes_it_another() {
        let mut before = declared(&["a"]);
        before.get_mut(&ServiceName::new("a")).unwrap().annotations.insert("owner".into(), "x".into());
        assert_eq!(decide(&documents(&["a"]), &before, &BTreeSet::new()).apply.len(), 1);
        let mut before = declared(&["a"]);
        before.get_mut(&ServiceName::new("a")).unwrap().applied = None;
        assert_eq!(decide(&documents(&["a"]), &before, &BTreeSet::new()).apply.len(), 1);
    }
}
