//! An operation as lines of text: its header, each change of state, its result. Pure.

use std::collections::{BTreeMap, BTreeSet};

use coxswain::api::types::{ObjectCondition, OperationOutcome, OperationProgress, RevisionObject};
use coxswain::model::image_reference::ImageReference;
use coxswain::model::{OnFailure, Pace, RevisionNumber, RolloutDirection, ServiceSpec};

use super::age::seconds;
use super::phase_text::{PhaseText, of_progress};
use coxswain::model::sanitize;

fn line(text: &PhaseText, name: &str) -> String {
    format!("  {} {name}  {}  {}", text.mark, text.word, text.detail).trim_end().to_owned()
}

/// A line per replica whose state changed between two snapshots, and per blocking condition that appeared or cleared.
pub(crate) fn changes(previous: Option<&OperationProgress>, current: &OperationProgress) -> Vec<String> {
    let before: BTreeMap<_, _> = previous
        .iter()
        .flat_map(|p| &p.replicas)
        .map(|replica| (&replica.name, of_progress(replica)))
        .collect();
    let mut lines = Vec::new();
    for replica in &current.replicas {
        let text = of_progress(replica);
        // Replicas that were ready before the first snapshot are only counted in the last line.
        let known = previous.is_none() && text.mark == '✓';
        let same =
            |before: &PhaseText| *before == text || (before.word, text.word) == ("stopping", "stopping");
        if !known && !before.get(&replica.name).is_some_and(same) {
            let count = if text.mark == '✓' { count(current) } else { String::new() };
            lines.push(format!("{}  {count}", line(&text, replica.name.as_str())).trim_end().to_owned());
        }
    }
    let gone = PhaseText { mark: '-', word: "gone", detail: String::new() };
    for (name, text) in &before {
        let left = !current.replicas.iter().any(|replica| replica.name == **name);
        if left && *text != gone {
            lines.push(line(&gone, name.as_str()));
        }
    }
    let held: &[ObjectCondition] = previous.map_or(&[], |p| &p.held_by);
    if held != current.held_by {
        lines.extend(current.held_by.iter().map(blocked));
        if current.held_by.is_empty() {
            lines.push("  ▸ continues".to_owned());
        }
    }
    lines
}

pub(super) fn blocked(condition: &ObjectCondition) -> String {
    format!("  ! blocked by {}  {}", condition.reason, sanitize(&condition.message)).trim_end().to_owned()
}

pub(super) fn count(progress: &OperationProgress) -> String {
    format!("{}/{}", progress.available, progress.wanted)
}

/// What the operation does, with the images of the revisions that are known.
pub(crate) fn header(progress: &OperationProgress, revisions: &[RevisionObject], deletes: bool) -> String {
    let find = |number| revisions.iter().find(|r| r.status.number == number);
    let from = progress.from.filter(|from| *from != progress.target);
    let name = &progress.service;
    if deletes {
        return format!("{name}  deleting");
    }
    if progress.target == RevisionNumber::default() {
        return name.to_string(); // a new service without its first revision
    }
    let Some(target) = find(progress.target) else {
        let from = from.map(|from| format!("{from} → ")).unwrap_or_default();
        return format!("{name}  revision {from}{}", progress.target);
    };
    let image = &target.status.image;
    let digest = format!("@ {}", image.short());
    let Some(from) = from else {
        return format!("{name}  {}  {digest}  rev {}", image.reference, progress.target);
    };
    let policy = &target.spec.rollout;
    let failing = match policy.on_failure {
        OnFailure::Rollback => "rollback on failure",
        OnFailure::Pause => "pause on failure",
    };
    let from = find(from);
    let images = match from {
        Some(from) => between(&from.status.image.reference, &image.reference),
        None => image.reference.clone(),
    };
    let Pace { surge, missing } =
        ServiceSpec { replicas: Some(progress.wanted), ..target.spec.clone() }.pace(progress.stops_first);
    let (action, failing) = match progress.direction {
        RolloutDirection::Forward => ("rolling", format!(", {failing}")),
        RolloutDirection::Rollback => ("rolling back", String::new()),
    };
    format!("{name}  {images}  {digest}  {action} +{surge}/-{missing}{failing}  rev {}", progress.target)
}

/// `1.4.2 → 1.5.0` within one repository, otherwise full references.
fn between(from: &str, to: &str) -> String {
    match (tag(from), tag(to)) {
        (Some((old, from)), Some((new, to))) if old == new && from != to => format!("{from} → {to}"),
        _ if from == to => to.to_owned(),
        _ => format!("{from} → {to}"),
    }
}

/// Repository and tag, unless there is a digest too.
fn tag(reference: &str) -> Option<(String, String)> {
    let reference = ImageReference::parse(reference).ok().filter(|reference| reference.digest.is_none())?;
    Some((reference.repository(), reference.tag?))
}

/// The image tag of a revision, or its number if it is unknown.
pub(crate) fn revision_name(number: RevisionNumber, revisions: &[RevisionObject]) -> String {
    let known = revisions.iter().find(|r| r.status.number == number);
    let image = known.map(|r| r.status.image.reference.as_str());
    match image {
        Some(image) => tag(image).map_or_else(|| image.to_owned(), |(_, tag)| tag),
        None => format!("revision {number}"),
    }
}

/// The last line of a successful operation.
pub(crate) fn done(progress: &OperationProgress, elapsed: u64) -> String {
    let elapsed = seconds(i64::try_from(elapsed).unwrap_or(i64::MAX));
    // In a paused or failed rollout, replicas of other revisions serve too.
    let serving = || progress.replicas.iter().filter(|replica| replica.runs && replica.available);
    let others: BTreeSet<_> =
        serving().map(|replica| replica.revision).filter(|revision| *revision != progress.target).collect();
    let OperationProgress { service, target, wanted, .. } = progress;
    if others.is_empty() {
        let done = format!("✓ {service}  {} ready on revision {target}  {elapsed}", count(progress));
        return match &progress.outcome {
            Some(OperationOutcome::Watched { left }) => {
                format!(
                    "{done}\n  ▸ watched for another {left}: if it crashes until then, revision {target} fails"
                )
            }
            _ => done,
        };
    }
    let on = others.iter().chain([target]).map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    format!("✓ {service}  {}/{wanted} ready on revisions {on}  {elapsed}", serving().count())
}

/// The last line of a deletion.
pub(crate) fn deleted(service: &str, elapsed: u64) -> String {
    format!("✓ {service}  deleted  {}", seconds(i64::try_from(elapsed).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use coxswain::api::types::{ObjectAuthor, RevisionStatus};
    use coxswain::model::{ConditionKind, Reason, ReplicaPhase, ResolvedImage};

    use super::super::phase_text::tests::snapshot;

    use super::*;

    #[test]
    fn changes_reports_only_new_states() {
        let starting = || ReplicaPhase::Starting { cause: None };
        let first = snapshot(1, &[("a", ReplicaPhase::Ready), ("b", starting())]);
        let second = snapshot(2, &[("a", ReplicaPhase::Ready), ("b", ReplicaPhase::Ready)]);
        let third = snapshot(1, &[("b", ReplicaPhase::Ready)]);
        assert_eq!(changes(None, &first), ["  ▸ b  starting"]);
        assert_eq!(changes(Some(&first), &first), [""; 0]);
        assert_eq!(changes(Some(&first), &second), ["  ✓ b  ready  after 0.9s  2/2"]);
        assert_eq!(changes(Some(&second), &third), ["  - a  gone"]);
    }

    #[test]
    fn changes_reports_blockers_when_they_appear_and_clear() {
        let free = snapshot(0, &[]);
        let condition = ObjectCondition {
            kind: ConditionKind::Degraded,
            status: true,
            reason: Reason::DeletionHeld,
            message: "14 of 20".to_owned(),
        };
        let held = OperationProgress { held_by: vec![condition], ..free.clone() };
        assert_eq!(changes(Some(&free), &held), ["  ! blocked by DeletionHeld  14 of 20"]);
        assert_eq!(changes(Some(&held), &held), [""; 0]);
        assert_eq!(changes(Some(&held), &free), ["  ▸ continues"]);
    }

    #[test]
    fn header_of_a_new_service_has_no_revision() {
        let new = OperationProgress { target: RevisionNumber::default(), ..snapshot(0, &[]) };
        assert_eq!(header(&new, &[], false), "users");
    }

    #[test]
    fn header_shows_the_direction_that_the_daemon_reports() {
        let revision = |number: u64| {
            let image = ResolvedImage::without_config(format!("users:{number}"), "sha256:aa");
            let status = RevisionStatus {
                service: "users".into(),
                number: RevisionNumber(number),
                generation: coxswain::model::Generation(number),
                image: image.into(),
                restarts: 0,
                template: "ab12".into(),
                created_at: jiff::Timestamp::UNIX_EPOCH,
                created_by: ObjectAuthor { command: String::new(), user: String::new() },
                current: false,
                outcome: None,
                outcome_at: None,
                failure: None,
                superseded_by: None,
            };
            RevisionObject { spec: ServiceSpec::of_image(format!("users:{number}")), status }
        };
        let revisions = [revision(2), revision(3)];
        let retry = OperationProgress { from: Some(RevisionNumber(3)), ..snapshot(0, &[]) };
        assert_eq!(
            header(&retry, &revisions, false),
            "users  3 → 2  @ aa  rolling +1/-0, rollback on failure  rev 2",
            "a lower number alone is no rollback"
        );
        let back = OperationProgress { direction: RolloutDirection::Rollback, ..retry };
        assert_eq!(header(&back, &revisions, false), "users  3 → 2  @ aa  rolling back +1/-0  rev 2");
    }

    #[test]
    fn done_counts_replicas_of_all_revisions() {
        let mut paused = snapshot(1, &[("a", ReplicaPhase::Ready), ("b", ReplicaPhase::Ready)]);
        assert_eq!(
            done(&snapshot(2, &[("a", ReplicaPhase::Ready)]), 3),
            "✓ users  2/2 ready on revision 2  3s"
        );
        paused.replicas[0].revision = RevisionNumber(1);
        assert_eq!(done(&paused, 3), "✓ users  2/2 ready on revisions 1 and 2  3s");
    }

    #[test]
    fn between_shortens_images_of_one_repository() {
        for (from, to, expected) in [
            ("users:1.4.2", "users:1.5.0", "1.4.2 → 1.5.0"),
            ("users:1", "users:1", "users:1"),
            ("users:1", "elk:5000/users", "users:1 → elk:5000/users"),
            ("users:1", "people:1", "users:1 → people:1"),
        ] {
            assert_eq!(between(from, to), expected);
        }
    }

    #[test]
    fn changes_reports_drained_requests_once() {
        let drains = snapshot(1, &[("a", ReplicaPhase::Draining)]);
        let mut stops = snapshot(1, &[("a", ReplicaPhase::Stopping)]);
        stops.replicas[0].drained = 41;
        assert_eq!(changes(Some(&drains), &stops), ["  - a  stopping  drained 41 requests"]);
        let mut later = stops.clone();
        later.replicas[0].drained = 42;
        assert_eq!(changes(Some(&stops), &later), [""; 0], "still stopping");
    }
}
