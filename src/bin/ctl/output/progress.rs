//! An operation on a service as text: lines for each change of state, and a picture that redraws. PURE.

use std::collections::BTreeMap;

use coxswain::api::types::{Progress, ReplicaProgress};
use coxswain::model::{
    Condition, Millis, NumberOrPercent, OnFailure, Phase, ReplicaStatus, Revision, RevisionNumber,
};
use jiff::Timestamp;

use super::age::seconds;
use super::plain::plain;
use super::style::{Paint, Style};

/// Lines of replicas in one picture; more would scroll the picture off the terminal. The rest is counted.
const PICTURE_MAX_REPLICAS: usize = 12;
/// Cells of the bar.
const BAR_WIDTH: u32 = 12;

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
        Phase::Ready if !runs => text('-', "leaving", String::new()),
        Phase::Ready if !available => text('▸', "ready", "not routed yet".to_owned()),
        Phase::Ready => text(
            '✓',
            "ready",
            status.ready_after.map(|after| format!("after {}", short(after))).unwrap_or_default(),
        ),
        Phase::Waiting { reason: None } => text(' ', "waiting", String::new()),
        Phase::Waiting { reason: Some(reason) } => text('!', "waiting", plain(&reason.to_string())),
        Phase::Pulling => text('▸', "pulling", String::new()),
        Phase::Starting { reason } => text(
            '▸',
            "starting",
            reason.as_ref().map(|reason| plain(&reason.to_string())).unwrap_or_default(),
        ),
        Phase::Unready { reason } => text('!', "unready", plain(&reason.to_string())),
        Phase::BackOff { reason, retry_at: _ } => {
            text('!', "back-off", format!("{}, attempt {}", plain(&reason.to_string()), status.attempt))
        }
        Phase::Draining => text('-', "draining", String::new()),
        Phase::Stopping => text('-', "stopping", String::new()),
        Phase::Kept => text('-', "kept", "stopped, to be looked at".to_owned()),
        Phase::Gone => text('-', "gone", String::new()),
    }
}

/// `2.2s` under a minute, else as in a manifest.
fn short(duration: Millis) -> String {
    if duration.0 < 60_000 {
        format!("{}.{}s", duration.0 / 1000, duration.0 % 1000 / 100)
    } else {
        Millis(duration.0 / 1000 * 1000).to_string()
    }
}

/// The same for a replica of an operation.
pub(crate) fn of(replica: &ReplicaProgress) -> PhaseText {
    phase_text(replica.status.as_ref(), replica.runs, replica.available)
}

fn line(text: &PhaseText, name: &str) -> String {
    format!("  {} {name}  {}  {}", text.mark, text.word, text.detail).trim_end().to_owned()
}

/// What changed from one snapshot to the next: a line per replica in another state, per hold that began or ended.
pub(crate) fn changes(previous: Option<&Progress>, current: &Progress) -> Vec<String> {
    let before: BTreeMap<_, _> =
        previous.iter().flat_map(|p| &p.replicas).map(|replica| (&replica.name, of(replica))).collect();
    let mut lines = Vec::new();
    for replica in &current.replicas {
        let text = of(replica);
        // What was ready before we looked is no news; the last line counts it.
        let known = previous.is_none() && text.mark == '✓';
        if !known && before.get(&replica.name) != Some(&text) {
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

fn hold(condition: &Condition) -> String {
    format!("  ! held by {}  {}", condition.reason, plain(&condition.message)).trim_end().to_owned()
}

fn count(progress: &Progress) -> String {
    format!("{}/{}", progress.available, progress.wanted)
}

/// What an operation is about, from the revisions it goes between (those that are known).
pub(crate) fn header(progress: &Progress, revisions: &[Revision], deletes: bool) -> String {
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
    let images = match find(from) {
        Some(from) => between(&from.image.reference, &target.image.reference),
        None => target.image.reference.clone(),
    };
    let (surge, unavailable): (NumberOrPercent, NumberOrPercent) = (policy.max_surge, policy.max_unavailable);
    let how = if is_rollback(progress) { "rolling back" } else { "rolling" };
    let failing = if is_rollback(progress) { String::new() } else { format!(", {failing}") };
    format!("{name}  {images}  {digest}  {how} +{surge}/-{unavailable}{failing}  rev {}", target.number)
}

/// Revisions are numbered upwards, so only a rollback goes to a lower number.
fn is_rollback(progress: &Progress) -> bool {
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

/// The picture of one service: header, replicas, bar. `healthy_for` is what the release that is rolled to asks for.
pub(crate) fn picture(
    header: &str,
    current: &Progress,
    healthy_for: Option<Millis>,
    elapsed: u64,
    now: Timestamp,
    style: Style,
) -> String {
    let mut lines = vec![header.to_owned()];
    if !current.replicas.is_empty() {
        lines.push(String::new());
    }
    let width = current.replicas.iter().map(|r| r.name.as_str().len()).max().unwrap_or(0);
    for replica in in_view(&current.replicas) {
        let text = of(replica);
        let mark = style.paint(paint(text.mark), &text.mark.to_string());
        let detail = match rolling(current, replica, healthy_for, now) {
            Some(detail) => detail,
            None => detail(replica, &text, now),
        };
        let row = format!("  {mark} {:<width$}  {:<8}  {detail}", replica.name, text.word);
        lines.push(row.trim_end().to_owned());
    }
    if let Some(more) = current.replicas.len().checked_sub(PICTURE_MAX_REPLICAS + 1) {
        lines.push(format!("    … and {} more", more + 1));
    }
    lines.extend(current.held_by.iter().map(hold));
    lines.push(String::new());
    let elapsed = seconds(i64::try_from(elapsed).unwrap_or(i64::MAX));
    // Nothing is wanted of what is deleted or scaled to none: there is no part of it to show.
    let part =
        if current.wanted > 0 { format!("{} {}   ", bar(current), count(current)) } else { String::new() };
    lines.push(format!("  {part}elapsed {elapsed}"));
    style.spell(&lines.join("\n"))
}

/// Those under way or in trouble first where there are too many, in the order of their names.
fn in_view(replicas: &[ReplicaProgress]) -> Vec<&ReplicaProgress> {
    let calm = |replica: &&ReplicaProgress| matches!(of(replica).mark, '✓' | ' ');
    let mut shown: Vec<_> = replicas.iter().collect();
    if shown.len() > PICTURE_MAX_REPLICAS {
        shown.sort_by_key(calm);
        shown.truncate(PICTURE_MAX_REPLICAS);
        shown.sort_by(|a, b| a.name.cmp(&b.name));
    }
    shown
}

fn paint(mark: char) -> Paint {
    match mark {
        '✓' => Paint::Good,
        '!' => Paint::Attention,
        _ => Paint::Faint,
    }
}

/// What a rollout waits for with a replica that serves: that a new one stays healthy, that an old one may go.
fn rolling(
    current: &Progress,
    replica: &ReplicaProgress,
    healthy_for: Option<Millis>,
    now: Timestamp,
) -> Option<String> {
    let serves = replica.runs && replica.available;
    let status = replica.status.as_ref().filter(|status| serves && status.is_ready())?;
    current.from?;
    if replica.revision != current.target {
        return Some(format!("serves until it is replaced, revision {}", replica.revision));
    }
    if is_rollback(current) {
        return None;
    }
    let wanted = i64::try_from(healthy_for?.0 / 1000).ok()?;
    let served = now.as_second() - status.since.as_second();
    (served < wanted).then(|| format!("healthy for {} of {}", seconds(served.max(0)), seconds(wanted)))
}

/// The detail with what changes by the second: a countdown, requests in flight.
fn detail(replica: &ReplicaProgress, text: &PhaseText, now: Timestamp) -> String {
    match replica.status.as_ref().map(|status| &status.phase) {
        Some(Phase::BackOff { retry_at, .. }) => {
            format!("{}, next in {}", text.detail, seconds(retry_at.as_second() - now.as_second()))
        }
        Some(Phase::Draining | Phase::Ready) if !replica.runs && replica.in_flight > 0 => {
            format!("{} requests in flight", replica.in_flight)
        }
        _ => text.detail.clone(),
    }
}

fn bar(progress: &Progress) -> String {
    let full = (progress.available.min(progress.wanted) * BAR_WIDTH).checked_div(progress.wanted);
    let full = full.unwrap_or(BAR_WIDTH);
    (0..BAR_WIDTH).map(|cell| if cell < full { '█' } else { '░' }).collect()
}

/// The last line of an operation that went well.
pub(crate) fn done(progress: &Progress, elapsed: u64) -> String {
    let elapsed = seconds(i64::try_from(elapsed).unwrap_or(i64::MAX));
    format!("✓ {}  {} ready on revision {}  {elapsed}", progress.service, count(progress), progress.target)
}

/// The last line of a deletion.
pub(crate) fn deleted(service: &str, elapsed: u64) -> String {
    format!("✓ {service}  deleted  {}", seconds(i64::try_from(elapsed).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use coxswain::model::{ConditionKind, Reason, ReplicaName};

    use super::*;

    fn snapshot(available: u32, replicas: &[(&str, Phase)]) -> Progress {
        let replica = |(name, phase): &(&str, Phase)| ReplicaProgress {
            name: ReplicaName::new(*name),
            revision: RevisionNumber(2),
            runs: true,
            available: *phase == Phase::Ready,
            status: Some(ReplicaStatus {
                replica: ReplicaName::new(*name),
                phase: phase.clone(),
                attempt: 1,
                failures: 0,
                container: None,
                address: None,
                ready_after: Some(Millis(900)),
                since: Timestamp::UNIX_EPOCH,
                trouble: None,
            }),
            in_flight: 0,
        };
        Progress {
            service: "users".into(),
            observed: coxswain::model::Generation(1),
            from: None,
            target: RevisionNumber(2),
            wanted: 2,
            available,
            replicas: replicas.iter().map(replica).collect(),
            held_by: Vec::new(),
            outcome: None,
        }
    }

    #[test]
    fn only_what_changed_is_told() {
        let starting = || Phase::Starting { reason: None };
        let first = snapshot(1, &[("a", Phase::Ready), ("b", starting())]);
        let second = snapshot(2, &[("a", Phase::Ready), ("b", Phase::Ready)]);
        let third = snapshot(1, &[("b", Phase::Ready)]);
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
        let held = Progress { held_by: vec![condition], ..free.clone() };
        assert_eq!(changes(Some(&free), &held), ["  ! held by DeletionHeld  14 of 20"]);
        assert_eq!(changes(Some(&held), &held), [""; 0]);
        assert_eq!(changes(Some(&held), &free), ["  ▸ goes on"]);
    }

    #[test]
    fn what_a_rollout_waits_for_is_told() {
        let mut some = snapshot(1, &[("a", Phase::Ready), ("b", Phase::Ready)]);
        some.replicas[0].revision = RevisionNumber(1);
        let told = |progress: &Progress, replica: usize, second: i64| {
            let now = Timestamp::from_second(second).expect("a time");
            rolling(progress, &progress.replicas[replica], Some(Millis::secs(10)), now)
        };
        assert_eq!(told(&some, 1, 3), None, "nothing is replaced");
        let rolls = Progress { from: Some(RevisionNumber(1)), ..some.clone() };
        assert_eq!(told(&rolls, 0, 3).as_deref(), Some("serves until it is replaced, revision 1"));
        assert_eq!(told(&rolls, 1, 3).as_deref(), Some("healthy for 3s of 10s"));
        assert_eq!(told(&rolls, 1, 10), None, "it has proved itself");
        let back = Progress { from: Some(RevisionNumber(3)), ..some };
        assert_eq!(told(&back, 1, 3), None, "what ran before needs no proof");
    }

    #[test]
    fn a_new_service_has_no_revision_to_show() {
        let new = Progress { target: RevisionNumber::default(), ..snapshot(0, &[]) };
        assert_eq!(header(&new, &[], false), "users");
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
    fn a_picture_has_a_row_for_each_replica_up_to_a_limit() {
        let style = Style { colour: false, unicode: true };
        let some = snapshot(1, &[("a", Phase::Ready), ("b", Phase::Pulling)]);
        assert_eq!(
            picture("users", &some, None, 24, Timestamp::UNIX_EPOCH, style),
            "users\n\n  ✓ a  ready     after 0.9s\n  ▸ b  pulling\n\n  ██████░░░░░░ 1/2   elapsed 24s"
        );
        let names: Vec<String> = (0..20).map(|n| format!("r{n:02}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), Phase::Ready)).collect();
        let text = picture("users", &snapshot(20, &many), None, 0, Timestamp::UNIX_EPOCH, style);
        assert_eq!(text.matches('✓').count(), PICTURE_MAX_REPLICAS);
        assert!(text.contains("… and 8 more"), "{text}");
    }
}
