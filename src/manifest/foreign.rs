//! Recognises documents that are not our manifests: Kubernetes and Compose files, kinds of later versions, kinds that are
//! shown but not declared. All of them are refused as a whole. Pure.

use super::foreign_kinds;
use super::shape::{API_VERSION, KINDS};
use super::tree::{Node, YamlValue};
use crate::model::{ObjectKind, Problem, nearest};

/// Kinds that `ctl get` shows and Coxswain manages.
const SHOWN: [&str; 4] = ["Replica", "Endpoint", "Revision", "Event"];

/// API groups of Kubernetes itself; those of its extensions end in `.k8s.io`.
const KUBERNETES: [&str; 5] = ["apps", "batch", "autoscaling", "policy", "extensions"];

/// The kind of a document.
pub(super) enum DocumentKind {
    /// An object, perhaps with problems in its first lines.
    Object(ObjectKind, Vec<Problem>),
    /// `kind: List`, as `ctl get -o yaml` prints several objects.
    List,
    /// A document that cannot be applied, and why. The path is the key that shows it.
    Other(Problem),
}

/// Recognises the kind of a document by its top-level keys.
pub(super) fn recognise(root: &Node) -> DocumentKind {
    let version = root.get("apiVersion").and_then(Node::text);
    let kind = root.get("kind").and_then(Node::text);
    if version.is_none() && kind.is_none() && is_compose(root) {
        let instead = "write a manifest of `kind: Service` for each of its services";
        return DocumentKind::Other(import("services", "this is a Compose file", instead));
    }
    if let Some(version) = version.filter(|v| is_kubernetes(v)) {
        let what = format!("this is a Kubernetes {} ({version})", kind.unwrap_or("object"));
        let instead = kind.and_then(foreign_kinds::instead).unwrap_or("write a manifest of `kind: Service`");
        return DocumentKind::Other(import("apiVersion", &what, instead));
    }
    if ["apiVersion", "kind", "metadata", "spec"].iter().all(|key| root.get(key).is_none()) {
        let problem = Problem::new(
            "",
            "this is not a manifest: it has none of `apiVersion`, `kind`, `metadata` and `spec`",
        );
        return DocumentKind::Other(problem.suggest(format!("apiVersion: {API_VERSION}")));
    }
    let mut problems = Vec::new();
    match version {
        Some(API_VERSION) => {}
        None if kind == Some("List") => {}
        None => problems.push(
            Problem::new("apiVersion", "`apiVersion` is required")
                .suggest(format!("apiVersion: {API_VERSION}")),
        ),
        Some(other) => problems
            .push(Problem::new("apiVersion", format!("unsupported version `{other}`")).suggest(API_VERSION)),
    }
    match kind {
        Some("List") => problems.pop().map_or(DocumentKind::List, DocumentKind::Other),
        None => {
            problems.push(Problem::new("kind", "`kind` is required").suggest("kind: Service"));
            DocumentKind::Object(ObjectKind::Service, problems)
        }
        Some(word) => match ObjectKind::ALL.iter().copied().find(|kind| kind.to_string() == word) {
            Some(kind) => DocumentKind::Object(kind, problems),
            None => DocumentKind::Other(other_kind(word)),
        },
    }
}

fn other_kind(kind: &str) -> Problem {
    if KINDS.later.contains(&kind) {
        return Problem::new("kind", format!("kind `{kind}` is not supported yet"));
    }
    if SHOWN.contains(&kind) {
        let message = format!("a {kind} is managed by Coxswain and cannot be applied; change its Service");
        return Problem::new("kind", message);
    }
    if let Some(instead) = foreign_kinds::instead(kind) {
        return Problem::new("kind", format!("there is no kind `{kind}`; {instead}"));
    }
    let problem = Problem::new("kind", format!("unknown kind `{kind}`"));
    match nearest(kind, KINDS.names().chain(KINDS.later.iter().copied())) {
        Some(guess) => problem.suggest(guess),
        None => problem,
    }
}

fn import(path: &str, what: &str, instead: &str) -> Problem {
    let message =
        format!("{what}; {instead}; `ctl import`, which translates such files, is not supported yet");
    Problem::new(path, message)
}

fn is_kubernetes(version: &str) -> bool {
    match version.split_once('/') {
        None => version.starts_with('v') && version[1..].starts_with(|c: char| c.is_ascii_digit()),
        Some((group, _)) => KUBERNETES.contains(&group) || group.ends_with(".k8s.io"),
    }
}

fn is_compose(root: &Node) -> bool {
    root.get("services").is_some_and(|services| matches!(services.value, YamlValue::Map(_)))
}
