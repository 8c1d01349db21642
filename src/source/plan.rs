//! From what a directory declares and what it declared before to what is applied and removed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::removal_guard::RemovalGuard;
use crate::controller::{ApplyDocument, Declared, Removals};
use crate::manifest::Document;
use crate::model::{Mono, ServiceName};

/// Looks that may miss something else than the one before, before that is told of.
const LOOKS_MAX: usize = 5;

/// What is to be done with a directory's documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Decision {
    /// New or changed documents. One that did not change is left alone: its image is not resolved anew, and what a
    /// command changed since stays.
    pub(super) apply: Vec<ApplyDocument>,
    /// Services of the directory whose document went.
    pub(super) remove: Vec<ServiceName>,
    /// Such services that stay until the user confirms it: too many lately, or all of them. What was held stays held, for
    /// the user was told so.
    pub(super) held: BTreeSet<ServiceName>,
}

/// Decides. `declared` is what this directory brought before and is not being deleted; `removals` is what was held back
/// and what the user let go of it, `removal_guard` what went without being asked.
pub(super) fn decide(
    documents: &[Document],
    declared: &BTreeMap<ServiceName, Declared>,
    removals: &Removals,
    removal_guard: &RemovalGuard,
    now: Mono,
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
    let (confirmed, mut held): (BTreeSet<ServiceName>, BTreeSet<ServiceName>) =
        missing(documents, declared).partition(|name| removals.confirmed.contains(name));
    let mut remove = confirmed;
    let all: BTreeSet<&ServiceName> = declared.keys().chain(stays.iter().copied()).collect();
    if !documents.is_empty() && removal_guard.lets_go(held.len(), &all, declared.len(), now) {
        let stays_held = held.intersection(&removals.held).cloned().collect();
        remove.extend(held.difference(&removals.held).cloned());
        held = stays_held;
    }
    Decision { apply: apply.collect(), remove: remove.into_iter().collect(), held }
}

/// Services of the directory without a document whose removal is neither held nor confirmed.
pub(super) fn newly_missing(
    documents: &[Document],
    declared: &BTreeMap<ServiceName, Declared>,
    removals: &Removals,
) -> BTreeSet<ServiceName> {
    let is_known = |name: &ServiceName| removals.held.contains(name) || removals.confirmed.contains(name);
    missing(documents, declared).filter(|name| !is_known(name)).collect()
}

fn missing(
    documents: &[Document],
    declared: &BTreeMap<ServiceName, Declared>,
) -> impl Iterator<Item = ServiceName> {
    let there: BTreeSet<&ServiceName> = documents.iter().map(|document| &document.name).collect();
    declared.keys().filter(move |name| !there.contains(name)).cloned()
}

/// What is missing of a directory, from one look at it to the next.
#[derive(Debug, Default)]
pub(super) struct Missing {
    names: BTreeSet<ServiceName>,
    looks: usize,
}

/// What to do after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing is missing that was not missing at the look before.
    Act,
    /// Something is, and may be back in a moment.
    LookAgain,
    /// Something else was missing each time: whoever writes the directory never gets done.
    GiveUp,
}

impl Missing {
    /// Takes in what a look missed.
    pub(super) fn next(&mut self, now: BTreeSet<ServiceName>) -> Next {
        let next = match () {
            () if now.is_subset(&self.names) => Next::Act,
            () if self.looks >= LOOKS_MAX => Next::GiveUp,
            () => Next::LookAgain,
        };
        (self.names, self.looks) = (now, self.looks + 1);
        next
    }
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

    /// What was held is written `-a`, what was confirmed `+a`.
    fn check(there: &[&str], before: &[&str], said: &[&str], expected: [&str; 3]) {
        let said = |sign: char| {
            said.iter().filter_map(|name| name.strip_prefix(sign)).map(ServiceName::new).collect()
        };
        let removals = Removals { held: said('-'), confirmed: said('+') };
        let decision =
            decide(&documents(there), &declared(before), &removals, &RemovalGuard::default(), Mono(0));
        let apply = decision.apply.into_iter().map(|document| document.name).collect();
        let text = |names: Vec<ServiceName>| names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(" ");
        let seen = [apply, decision.remove, decision.held.into_iter().collect()].map(text);
        assert_eq!(seen, expected, "{there:?} after {before:?}, {removals:?}");
    }

    #[test]
    fn documents_are_applied_removed_and_held() {
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
        // An empty directory is a mistake more often than a wish.
        check(&[], &["a"], &[], ["", "", "a"]);
        check(&[], &["a"], &["+a"], ["", "a", ""]);
        check(&[], &[], &[], ["", "", ""]);
        // What is held stays held until it is confirmed or declared again, however few they are by then.
        check(&["a", "b", "c"], &["a", "b", "c", "d"], &["-d"], ["", "", "d"]);
        check(&["a", "b"], &["a", "b", "c", "d"], &["-d"], ["", "c", "d"]);
        check(&["a", "b"], &["a", "b", "c", "d"], &["-c", "+d"], ["", "d", "c"]);
        check(&["a", "b"], &["a", "b"], &["-b"], ["", "", ""]);
    }

    /// Takes one service after another out of a directory of so many, `apart` ms each; how many went and how many are held.
    fn one_by_one(of: usize, gone: usize, apart: u64) -> (usize, usize) {
        let names: Vec<String> = (0..of).map(|n| format!("s{n:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut there, mut removals, mut removal_guard) =
            (declared(&names), Removals::default(), RemovalGuard::default());
        for n in 1..=gone {
            let now = Mono(apart * n as u64);
            let decision = decide(&documents(&names[n..]), &there, &removals, &removal_guard, now);
            removal_guard.release(&decision.remove, now);
            there.retain(|name, _| !decision.remove.contains(name));
            removals.held = decision.held;
        }
        (of - there.len(), removals.held.len())
    }

    #[test]
    fn a_document_must_be_missing_at_two_looks_and_somebody_must_get_done() {
        let next = |looks: &[&[&str]]| -> Vec<Next> {
            let mut missing = Missing::default();
            let names = |look: &&[&str]| look.iter().map(|name| ServiceName::new(*name)).collect();
            looks.iter().map(|look| missing.next(names(look))).collect()
        };
        use Next::{Act, GiveUp, LookAgain};
        assert_eq!(next(&[&[]]), [Act]);
        assert_eq!(next(&[&["a"], &["a"]]), [LookAgain, Act]);
        assert_eq!(next(&[&["a", "b"], &["b"]]), [LookAgain, Act]);
        assert_eq!(next(&[&["a"], &[]]), [LookAgain, Act], "it is back");
        assert_eq!(next(&[&["a"], &["a", "b"], &["a", "b"]]), [LookAgain, LookAgain, Act]);
        let in_turns: Vec<&[&str]> =
            (0..=LOOKS_MAX).map(|n| if n % 2 == 0 { &["a"][..] } else { &["b"] }).collect();
        assert_eq!(next(&in_turns).last(), Some(&GiveUp));
    }

    #[test]
    fn removals_of_ten_minutes_are_summed() {
        assert_eq!(one_by_one(100, 60, 1_000), (30, 30));
        assert_eq!(one_by_one(6, 5, 1_000), (3, 2));
        assert_eq!(one_by_one(6, 5, 200_000), (5, 0), "three in ten minutes");
    }

    #[test]
    fn what_is_declared_again_is_not_gone() {
        let mut removal_guard = RemovalGuard::default();
        let names = ["a", "b", "c"].map(ServiceName::new);
        removal_guard.release(&names, Mono(0));
        let remove = |there: &[&str], before: &[&str]| {
            decide(&documents(there), &declared(before), &Removals::default(), &removal_guard, Mono(1))
                .remove
                .len()
        };
        assert_eq!(remove(&["x"], &["x", "y"]), 0, "three went");
        assert_eq!(remove(&["x", "a"], &["x", "y"]), 1, "one of them is declared again");
        assert_eq!(remove(&["x"], &["a", "b", "c", "x"]), 3, "none of them has gone yet");
    }

    #[test]
    fn any_part_of_a_document_makes_it_another() {
        let changed = |before: &BTreeMap<ServiceName, Declared>| {
            decide(&documents(&["a"]), before, &Removals::default(), &RemovalGuard::default(), Mono(0))
                .apply
                .len()
        };
        let mut before = declared(&["a"]);
        before.get_mut(&ServiceName::new("a")).unwrap().annotations.insert("owner".into(), "x".into());
        assert_eq!(changed(&before), 1);
        let mut before = declared(&["a"]);
        before.get_mut(&ServiceName::new("a")).unwrap().applied = None;
        assert_eq!(changed(&before), 1);
    }
}
