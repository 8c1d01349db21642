//! An operation on a service as text: a line for each change of state, what it is about, how it went. PURE.

use std::collections::{BTreeMap, BTreeSet};

use coxswain::api::types::{OperationProgress, ReplicaProgress};
use coxswain::model::{
    Condition, Millis, OnFailure, Pace, ReplicaPhase, ReplicaStatus, Revision, RevisionNumber, ServiceSpec,
};

use super::age::seconds;
use super::plain::plain;

/// Where a replica stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PhaseText {
    /// `✓` ready, `▸` under way, `!` in trouble, `-` leaving, blank waiting.
    pub(crate) mark: char,
    /// One word.
    pub(crate) word: &'static str,
    /// Why, or how it went; may be empty.
    pub(crate) detail: String,
}

/// Spells out where a replica stands.
pub(crate) fn phase_text(status: Option<&ReplicaStatus>, runs: bool, available: bool) -> PhaseText {
    let text = |mark, word, detail| PhaseText { mark, word, detail };
    let Some(status) = status else {
        // A status goes with its container: of what is on its way out there is none left, or never was one.
        return if runs { text(' ', "waiting", String::new()) } else { text('-', "gone", String::new()) };
    };
    match &status.phase {
        ReplicaPhase::Ready if !runs => text('-', "leaving", String::new()),
        ReplicaPhase::Ready if !available => text('▸', "ready", "not routed yet".to_owned()),
        ReplicaPhase::Ready => text(
            '✓',
            "ready",
            status.ready_after.map(|after| format!("after {}", short(after))).unwrap_or_default(),
        ),
        ReplicaPhase::Waiting { reason: None } => text(' ', "waiting", String::new()),
        ReplicaPhase::Waiting { reason: Some(reason) } => text('!', "waiting", plain(&reason.to_string())),
        ReplicaPhase::Pulling => text('▸', "pulling", String::new()),
        ReplicaPhase::Starting { reason } => text(
            '▸',
            "starting",
            reason.as_ref().map(|reason| plain(&reason.to_string())).unwrap_or_default(),
        ),
        ReplicaPhase::Unready { reason } => text('!', "unready", plain(&reason.to_string())),
        ReplicaPhase::BackOff { reason, retry_at: _ } => {
            text('!', "back-off", format!("{}, attempt {}", plain(&reason.to_string()), status.attempt))
        }
        ReplicaPhase::Draining => text('-', "draining", String::new()),
        ReplicaPhase::Stopping => text('-', "stopping", String::new()),
        ReplicaPhase::Retained => text('-', "kept", "stopped, to be looked at".to_owned()),
        ReplicaPhase::Gone => text('-', "gone", String::new()),
    }
}

/// `2.2s` under a minute, else as in a manifest.
pub(super) fn short(duration: Millis) -> String {
    if duration.0 < 60_000 {
        format!("{}.{}s", duration.0 / 1000, duration.0 % 1000 / 100)
    } else {
        Millis(duration.0 / 1000 * 1000).to_string()
    }
}

/// The same for a replica of an operation.
pub(crate) fn of(replica: &ReplicaProgress) -> PhaseText {
    let text = phase_text(replica.status.as_ref(), replica.runs, replica.available);
    match text.word {
        "stopping" if replica.drained > 0 => PhaseText { detail: drained(replica.drained), ..text },
        _ => text,
    }
}

/// `drained 41 requests`: what a replica finished since no new one was sent to it.
pub(super) fn drained(requests: u64) -> String {
    match requests {
        0 => "drained".to_owned(),
        1 => "drained 1 request".to_owned(),
        many => format!("drained {many} requests"),
    }
}

fn line(text: &PhaseText, name: &str) -> String {
    format!("  {} {name}  {}  {}", text.mark, text.word, text.detail).trim_end().to_owned()
}

/// What changed from one snapshot to the next: a line per replica in another state, per hold that began or ended.
pub(crate) fn changes(previous: Option<&OperationProgress>, current: &OperationProgress) -> Vec<String> {
    let before: BTreeMap<_, _> =
        previous.iter().flat_map(|p| &p.replicas).map(|replica| (&replica.name, of(replica))).collect();
    let mut lines = Vec::new();
    for replica in &current.replicas {
        let text = of(replica);
        // What was ready before we looked is no news; the last line counts it.
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
    let held: &[Condition] = previous.map_or(&[], |p| &p.held_by);
    if held != current.held_by {
        lines.extend(current.held_by.iter().map(hold));
        if current.held_by.is_empty() {
            lines.push("  ▸ goes on".to_owned());
        }
    }
    lines
}

pub(super) fn hold(condition: &Condition) -> String {
    format!("  ! held by {}  {}", condition.reason, plain(&condition.message)).trim_end().to_owned()
}

pub(super) fn count(progress: &OperationProgress) -> String {
    format!("{}/{}", progress.available, progress.wanted)
}

/// What an operation is about, from the revisions it goes between (those that are known).
pub(crate) fn header(progress: &OperationProgress, revisions: &[Revision], deletes: bool) -> String {
    let find = |number| revisions.iter().find(|r| r.number == number);
    let from = progress.from.filter(|from| *from != progress.target);
    let name = &progress.service;
    if deletes {
        return format!("{name}  deleting");
    }
    if progress.target == RevisionNumber::default() {
        return name.to_string(); // of a new service, before its first revision
    }
    let Some(target) = find(progress.target) else {
        let from = from.map(|from| format!("{from} → ")).unwrap_or_default();
        return format!("{name}  revision {from}{}", progress.target);
    };
    let digest = format!("@ {}", target.image.short());
    let Some(from) = from else {
        return format!("{name}  {}  {digest}  rev {}", target.image.reference, target.number);
    };
    let policy = &target.spec.rollout;
    let failing = match policy.on_failure {
        OnFailure::Rollback => "rollback on failure",
        OnFailure::Pause => "pause on failure",
    };
    let from = find(from);
    let images = match from {
        Some(from) => between(&from.image.reference, &target.image.reference),
        None => target.image.reference.clone(),
    };
    let stops_first = from.is_some_and(|from| target.spec.waits_for(&from.spec, progress.wanted));
    let Pace { surge, missing } =
        ServiceSpec { replicas: Some(progress.wanted), ..target.spec.clone() }.pace(stops_first);
    let how = if is_rollback(progress) { "rolling back" } else { "rolling" };
    let failing = if is_rollback(progress) { String::new() } else { format!(", {failing}") };
    format!("{name}  {images}  {digest}  {how} +{surge}/-{missing}{failing}  rev {}", target.number)
}

/// Revisions are numbered upwards, so only a rollback goes to a lower number.
pub(super) fn is_rollback(progress: &OperationProgress) -> bool {
    progress.from.is_some_and(|from| from > progress.target)
}

/// `1.4.2 → 1.5.0` within one repository, full references between two.
fn between(from: &str, to: &str) -> String {
    match (tag(from), tag(to)) {
        (Some((old, from)), Some((new, to))) if old == new && from != to => format!("{from} → {to}"),
        _ if from == to => to.to_owned(),
        _ => format!("{from} → {to}"),
    }
}

/// Repository and tag; a colon before a slash is a registry's port.
fn tag(reference: &str) -> Option<(&str, &str)> {
    reference.rsplit_once(':').filter(|(_, tag)| !tag.contains('/') && !reference.contains('@'))
}

/// What a revision is called where it fails: its tag, else its number.
pub(crate) fn revision_name(number: RevisionNumber, revisions: &[Revision]) -> String {
    let image = revisions.iter().find(|r| r.number == number).map(|r| r.image.reference.as_str());
    match image {
        Some(image) => tag(image).map_or(image, |(_, tag)| tag).to_owned(),
        None => format!("revision {number}"),
    }
}

/// The last line of an operation that went well.
pub(crate) fn done(progress: &OperationProgress, elapsed: u64) -> String {
    let elapsed = seconds(i64::try_from(elapsed).unwrap_or(i64::MAX));
    // Of a rollout that is paused or stands still others serve as well.
    let serving = || progress.replicas.iter().filter(|replica| replica.runs && replica.available);
    let others: BTreeSet<_> =
        serving().map(|replica| replica.revision).filter(|revision| *revision != progress.target).collect();
    let OperationProgress { service, target, wanted, .. } = progress;
    if others.is_empty() {
        return format!("✓ {service}  {} ready on revision {target}  {elapsed}", count(progress));
    }
    let on = others.iter().chain([target]).map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    format!("✓ {service}  {}/{wanted} ready on revisions {on}  {elapsed}", serving().count())
}

/// The last line of a deletion.
pub(crate) fn deleted(service: &str, elapsed: u64) -> String {
    format!("✓ {service}  deleted  {}", seconds(i64::try_from(elapsed).unwrap_or(i64::MAX)))
}

#[cfg(test)]
pub(crate) mod tests {
    use coxswain::model::{ConditionKind, Reason, ReplicaName};

    use jiff::Timestamp;

    use super::*;

    pub(crate) fn snapshot(available: u32, replicas: &[(&str, ReplicaPhase)]) -> OperationProgress {
        let replica = |(name, phase): &(&str, ReplicaPhase)| ReplicaProgress {
            name: ReplicaName::new(*name),
            revision: RevisionNumber(2),
            runs: true,
            available: *phase == ReplicaPhase::Ready,
            status: Some(ReplicaStatus {
                replica: ReplicaName::new(*name),
                phase: phase.clone(),
                attempt: 1,
                failures: 0,
                container: None,
                published: Default::default(),
                address: None,
                ready_after: Some(Millis(900)),
                since: Timestamp::UNIX_EPOCH,
                diagnosis: None,
            }),
            in_flight: 0,
            drained: 0,
            counters: None,
        };
        OperationProgress {
            service: "users".into(),
            observed: coxswain::model::Generation(1),
            from: None,
            target: RevisionNumber(2),
            wanted: 2,
            available,
            replicas: replicas.iter().map(replica).collect(),
            held_by: Vec::new(),
            counted: None,
            failed_requests: None,
            outcome: None,
        }
    }

    #[test]
    fn only_what_changed_is_told() {
        let starting = || ReplicaPhase::Starting { reason: None };
        let first = snapshot(1, &[("a", ReplicaPhase::Ready), ("b", starting())]);
        let second = snapshot(2, &[("a", ReplicaPhase::Ready), ("b", ReplicaPhase::Ready)]);
        let third = snapshot(1, &[("b", ReplicaPhase::Ready)]);
        assert_eq!(changes(None, &first), ["  ▸ b  starting"]);
        assert_eq!(changes(Some(&first), &first), [""; 0]);
        assert_eq!(changes(Some(&first), &second), ["  ✓ b  ready  after 0.9s  2/2"]);
        assert_eq!(changes(Some(&second), &third), ["  - a  gone"]);
    }

    #[test]
    fn what_leaves_and_has_no_status_is_gone() {
        assert_eq!(phase_text(None, true, false).word, "waiting");
        assert_eq!(phase_text(None, false, false).word, "gone");
    }

    #[test]
    fn holds_are_told_when_they_begin_and_end() {
        let free = snapshot(0, &[]);
        let condition = Condition {
            kind: ConditionKind::Degraded,
            status: true,
            reason: Reason::DeletionHeld,
            message: "14 of 20".to_owned(),
        };
        let held = OperationProgress { held_by: vec![condition], ..free.clone() };
        assert_eq!(changes(Some(&free), &held), ["  ! held by DeletionHeld  14 of 20"]);
        assert_eq!(changes(Some(&held), &held), [""; 0]);
        assert_eq!(changes(Some(&held), &free), ["  ▸ goes on"]);
    }

    #[test]
    fn a_new_service_has_no_revision_to_show() {
        let new = OperationProgress { target: RevisionNumber::default(), ..snapshot(0, &[]) };
        assert_eq!(header(&new, &[], false), "users");
    }

    #[test]
    fn what_serves_beside_the_target_counts_at_the_end() {
        let mut paused = snapshot(1, &[("a", ReplicaPhase::Ready), ("b", ReplicaPhase::Ready)]);
        assert_eq!(
            done(&snapshot(2, &[("a", ReplicaPhase::Ready)]), 3),
            "✓ users  2/2 ready on revision 2  3s"
        );
        paused.replicas[0].revision = RevisionNumber(1);
        assert_eq!(done(&paused, 3), "✓ users  2/2 ready on revisions 1 and 2  3s");
    }

    #[test]
    fn images_are_told_by_their_tags_within_a_repository() {
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
    fn what_a_replica_drained_is_told_as_it_stops() {
        let drains = snapshot(1, &[("a", ReplicaPhase::Draining)]);
        let mut stops = snapshot(1, &[("a", ReplicaPhase::Stopping)]);
        stops.replicas[0].drained = 41;
        assert_eq!(changes(Some(&drains), &stops), ["  - a  stopping  drained 41 requests"]);
        let mut later = stops.clone();
        later.replicas[0].drained = 42;
        assert_eq!(changes(Some(&stops), &later), [""; 0], "it still stops");
    }
}
