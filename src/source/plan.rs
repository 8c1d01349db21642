//! From what a directory declares and declared before to what is applied and removed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::{ApplyDocument, DeclaredObject, DirectoryRemovals};
use crate::manifest::Document;
use crate::model::{Mono, ObjectRef, RecentDeletions};

/// Scans that may each miss another document, before the follower gives up.
const SCANS_MAX: usize = 5;

/// What to do with a directory's documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct DirectoryPlan {
    /// New or changed documents. One that did not change is left alone: its image is not resolved again, and what a
    /// command changed since stays.
    pub(super) apply: Vec<ApplyDocument>,
    /// Objects of the directory whose document was removed.
    pub(super) remove: Vec<ObjectRef>,
    /// Such objects that stay until the user confirms: too many lately, or all of them. What was held stays held, because
    /// it was reported as held.
    pub(super) held: BTreeSet<ObjectRef>,
}

/// Plans. `declared`: services from this directory that are not being deleted. `removals`: held deletions and which of them
/// the user confirmed. `recent`: deletions without confirmation.
pub(super) fn decide(
    documents: &[Document],
    declared: &BTreeMap<ObjectRef, DeclaredObject>,
    removals: &DirectoryRemovals,
    recent: &RecentDeletions<ObjectRef>,
    now: Mono,
) -> DirectoryPlan {
    let unchanged = |document: &&Document| {
        declared.get(&document.object()).is_some_and(|before| {
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
    let stays: BTreeSet<ObjectRef> = documents.iter().map(Document::object).collect();
    let (mut remove, mut held): (BTreeSet<ObjectRef>, BTreeSet<ObjectRef>) =
        missing(documents, declared).partition(|object| removals.confirmed.contains(object));
    let exists = |object: &ObjectRef| declared.contains_key(object) || stays.contains(object);
    if !documents.is_empty() && recent.allows(held.len(), declared.len(), exists, now) {
        let stays_held = held.intersection(&removals.held).cloned().collect();
        remove.extend(held.difference(&removals.held).cloned());
        held = stays_held;
    }
    DirectoryPlan { apply: apply.collect(), remove: remove.into_iter().collect(), held }
}

/// Objects of the directory without a document whose removal is neither held nor confirmed.
pub(super) fn newly_missing(
    documents: &[Document],
    declared: &BTreeMap<ObjectRef, DeclaredObject>,
    removals: &DirectoryRemovals,
) -> BTreeSet<ObjectRef> {
    let is_known = |name: &ObjectRef| removals.held.contains(name) || removals.confirmed.contains(name);
    missing(documents, declared).filter(|name| !is_known(name)).collect()
}

fn missing(
    documents: &[Document],
    declared: &BTreeMap<ObjectRef, DeclaredObject>,
) -> impl Iterator<Item = ObjectRef> {
    let there: BTreeSet<ObjectRef> = documents.iter().map(Document::object).collect();
    declared.keys().filter(move |name| !there.contains(name)).cloned()
}

/// The documents that a directory lacks, from one scan to the next.
#[derive(Debug, Default)]
pub(super) struct MissingDocuments {
    objects: BTreeSet<ObjectRef>,
    scans: usize,
}

/// What to do after a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MissingVerdict {
    /// Nothing is missing that was not missing at the scan before.
    Act,
    /// Something is, and may be back in a moment.
    ScanAgain,
    /// Something else was missing each time.
    GiveUp,
}

impl MissingDocuments {
    /// Takes in what a scan lacked.
    pub(super) fn next(&mut self, now: BTreeSet<ObjectRef>) -> MissingVerdict {
        let verdict = if now.is_subset(&self.objects) {
            MissingVerdict::Act
        } else if self.scans >= SCANS_MAX {
            MissingVerdict::GiveUp
        } else {
            MissingVerdict::ScanAgain
        };
        self.objects = now;
        self.scans += 1;
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{ManifestSource, parse};
    use crate::model::{GadgetSpec, ObjectKind, ObjectSpec, ServiceName};

    fn object(name: &str) -> ObjectRef {
        ObjectRef::from(&ServiceName::new(name))
    }

    fn documents(names: &[&str]) -> Vec<Document> {
        let text = |name: &&str| {
            let (name, image) = name.split_once('=').unwrap_or((name, "a:1"));
            format!(
                "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{image: {image}}}\n"
            )
        };
        let text = names.iter().map(text).collect::<Vec<_>>().join("---\n");
        parse(&[ManifestSource::new("a.yaml", text)]).unwrap()
    }

    fn declared(names: &[&str]) -> BTreeMap<ObjectRef, DeclaredObject> {
        let before = |document: Document| {
            let object = document.object();
            let Document { app, annotations, spec, .. } = document;
            (object, DeclaredObject { app, annotations, applied: Some(spec) })
        };
        documents(names).into_iter().map(before).collect()
    }

    /// What was held is written `-a`, what was confirmed `+a`.
    fn check(there: &[&str], before: &[&str], said: &[&str], expected: [&str; 3]) {
        let said = |sign: char| said.iter().filter_map(|name| name.strip_prefix(sign)).map(object).collect();
        let removals = DirectoryRemovals { held: said('-'), confirmed: said('+') };
        let decision =
            decide(&documents(there), &declared(before), &removals, &RecentDeletions::default(), Mono(0));
        let apply = decision.apply.iter().map(ApplyDocument::object).collect();
        let text = |objects: Vec<ObjectRef>| {
            objects.into_iter().map(|object| object.name).collect::<Vec<_>>().join(" ")
        };
        let seen = [apply, decision.remove, decision.held.into_iter().collect()].map(text);
        assert_eq!(seen, expected, "{there:?} after {before:?}, {removals:?}");
    }

    #[test]
    fn decide_applies_removes_and_holds() {
        let ten = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        // there, before, held and confirmed -> apply, remove, held
        check(&["a", "b"], &[], &[], ["a b", "", ""]);
        check(&["a", "b"], &["a", "b"], &[], ["", "", ""]);
        check(&["a=a:2", "b"], &["a", "b"], &[], ["a", "", ""]);
        check(&["a"], &["a", "b"], &[], ["", "b", ""]);
        check(&["a"], &["a", "b", "c", "d"], &[], ["", "b c d", ""]);
        check(&["a"], &["a", "b", "c", "d", "e"], &[], ["", "", "b c d e"]);
        check(&["a", "x"], &["a", "b", "c", "d", "e"], &[], ["x", "", "b c d e"]);
        check(&["a"], &["a", "b", "c", "d", "e"], &["+b", "+c", "+d", "+e"], ["", "b c d e", ""]);
        check(&["a"], &["a", "b", "c", "d", "e"], &["+b"], ["", "b c d e", ""]);
        check(&ten[..7], &ten, &[], ["", "h i j", ""]);
        check(&ten[..6], &ten, &[], ["", "", "g h i j"]);
        // An empty directory is usually a mistake.
        check(&[], &["a"], &[], ["", "", "a"]);
        check(&[], &["a"], &["+a"], ["", "a", ""]);
        check(&[], &[], &[], ["", "", ""]);
        // What is held stays held until it is confirmed or declared again, however few they are by then.
        check(&["a", "b", "c"], &["a", "b", "c", "d"], &["-d"], ["", "", "d"]);
        check(&["a", "b"], &["a", "b", "c", "d"], &["-d"], ["", "c", "d"]);
        check(&["a", "b"], &["a", "b", "c", "d"], &["-c", "+d"], ["", "d", "c"]);
        check(&["a", "b"], &["a", "b"], &["-b"], ["", "", ""]);
    }

    /// Removes one document after another from a directory, `apart` ms each; how many objects are removed, how many held.
    fn one_by_one(of: usize, gone: usize, apart: u64) -> (usize, usize) {
        let names: Vec<String> = (0..of).map(|n| format!("s{n:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut there = declared(&names);
        let mut removals = DirectoryRemovals::default();
        let mut recent = RecentDeletions::default();
        for n in 1..=gone {
            let now = Mono(apart * n as u64);
            let decision = decide(&documents(&names[n..]), &there, &removals, &recent, now);
            recent.record(&decision.remove, now);
            there.retain(|name, _| !decision.remove.contains(name));
            removals.held = decision.held;
        }
        (of - there.len(), removals.held.len())
    }

    #[test]
    fn missing_documents_act_once_two_scans_agree_and_give_up_in_the_end() {
        use MissingVerdict::{Act, GiveUp, ScanAgain};
        let next = |scans: &[&[&str]]| -> Vec<MissingVerdict> {
            let mut missing = MissingDocuments::default();
            let lacked = |scan: &&[&str]| scan.iter().map(|name| object(name)).collect();
            scans.iter().map(|scan| missing.next(lacked(scan))).collect()
        };
        assert_eq!(next(&[&[]]), [Act]);
        assert_eq!(next(&[&["a"], &["a"]]), [ScanAgain, Act]);
        assert_eq!(next(&[&["a", "b"], &["b"]]), [ScanAgain, Act]);
        assert_eq!(next(&[&["a"], &[]]), [ScanAgain, Act], "it is back");
        assert_eq!(next(&[&["a"], &["a", "b"], &["a", "b"]]), [ScanAgain, ScanAgain, Act]);
        let in_turns: Vec<&[&str]> =
            (0..=SCANS_MAX).map(|n| if n % 2 == 0 { &["a"][..] } else { &["b"] }).collect();
        assert_eq!(next(&in_turns).last(), Some(&GiveUp));
    }

    #[test]
    fn decide_removes_by_kind_and_name() {
        let gadget = ObjectRef { kind: ObjectKind::Gadget, name: "a".to_owned() };
        let mut before = declared(&["a", "b"]);
        let as_gadget = before[&object("a")].clone();
        before.insert(gadget.clone(), as_gadget);
        let there = documents(&["a"]);
        let removals = DirectoryRemovals::default();
        let plan = decide(&there, &before, &removals, &RecentDeletions::default(), Mono(0));
        assert_eq!((plan.apply, plan.remove), (vec![], vec![object("b"), gadget.clone()]));

        let mut gadgets = documents(&["a"]);
        gadgets[0].spec = ObjectSpec::Gadget(GadgetSpec::default());
        let plan = decide(&gadgets, &before, &removals, &RecentDeletions::default(), Mono(0));
        assert_eq!(plan.apply.iter().map(ApplyDocument::object).collect::<Vec<_>>(), [gadget]);
        assert_eq!(plan.remove, [object("a"), object("b")]);
    }

    #[test]
    fn decide_sums_removals_of_ten_minutes() {
        assert_eq!(one_by_one(100, 60, 1_000), (30, 30));
        assert_eq!(one_by_one(6, 5, 1_000), (3, 2));
        assert_eq!(one_by_one(6, 5, 200_000), (5, 0), "three in ten minutes");
    }

    #[test]
    fn decide_does_not_count_what_is_declared_again() {
        let mut recent = RecentDeletions::default();
        let names = ["a", "b", "c"].map(object);
        recent.record(&names, Mono(0));
        let remove = |there: &[&str], before: &[&str]| {
            decide(&documents(there), &declared(before), &DirectoryRemovals::default(), &recent, Mono(1))
                .remove
                .len()
        };
        assert_eq!(remove(&["x"], &["x", "y"]), 0, "three went");
        assert_eq!(remove(&["x", "a"], &["x", "y"]), 1, "one of them is declared again");
        assert_eq!(remove(&["x"], &["a", "b", "c", "x"]), 3, "none of them has gone yet");
    }

    #[test]
    fn decide_applies_a_document_that_changed_in_any_part() {
        let changed = |before: &BTreeMap<ObjectRef, DeclaredObject>| {
            decide(
                &documents(&["a"]),
                before,
                &DirectoryRemovals::default(),
                &RecentDeletions::default(),
                Mono(0),
            )
            .apply
            .len()
        };
        let mut before = declared(&["a"]);
        before.get_mut(&object("a")).unwrap().annotations.insert("owner".into(), "x".into());
        assert_eq!(changed(&before), 1);
        let mut before = declared(&["a"]);
        before.get_mut(&object("a")).unwrap().applied = None;
        assert_eq!(changed(&before), 1);
    }
}
