//! Whether replicas are unstable: their containers fail again and again, or they are ready and unready in turn. Pure.
//!
//! Decided from the times that the agent stored, so a restart of the controller changes nothing. A replica stays unstable until
//! nothing has happened to it for [`OVER_AFTER`], which the rollout remembers: otherwise each crash would begin and end it. What
//! happens to the target of a rollout is explained by the rollout; only what happens after it ended counts.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::ReplicaView;
use super::census::is_gone;
use super::pass::Pass;
use crate::model::{EventKind, Instability, Millis, REPEATS, ReplicaName, RolloutState};

/// The last [`REPEATS`] of a kind within so long make a replica unstable. With the longest back-off of a minute a crash loop
/// makes about ten attempts in that time, so none is missed; accidents of a service that runs for days are further apart.
const WITHIN: Millis = Millis::secs(600);
/// A replica to which nothing happened for so long is stable again. As long as [`WITHIN`]: a shorter time would end and begin
/// with failures that are unevenly spaced.
const OVER_AFTER: Millis = WITHIN;

/// Finds the unstable replicas, reports when the first one becomes unstable and when none is any longer, and sets the alarm for
/// the latter.
pub(super) fn observe(pass: &mut Pass<'_>) {
    let before = std::mem::take(&mut pass.rollout.unstable);
    for kind in Instability::ALL {
        let was_unstable = before.get(&kind).cloned().unwrap_or_default();
        let replicas = unstable(pass, kind, &was_unstable);
        match (was_unstable.first(), replicas.first()) {
            (None, Some(first)) => {
                let message =
                    format!("{first} {}{}", kind.repeated(REPEATS, WITHIN), last_exit(pass, kind, first));
                pass.event(EventKind::Warning, kind.begin(), message);
            }
            (Some(first), None) => {
                let exists = runs(pass).any(|r| was_unstable.contains(&r.replica.name));
                let message = match exists {
                    true => kind.over(OVER_AFTER),
                    false => format!("{first} was replaced or removed"),
                };
                pass.event(EventKind::Normal, kind.end(), message);
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        if !replicas.is_empty() {
            pass.rollout.unstable.insert(kind, replicas);
        }
    }
}

/// `: exited with code 1; its output: ctl logs users-9-a --previous`.
fn last_exit(pass: &Pass<'_>, kind: Instability, name: &ReplicaName) -> String {
    let replica = runs(pass).find(|r| r.replica.name == *name);
    let exit = replica.and_then(|r| r.status.as_ref()?.history.last_exit.as_ref());
    match (kind, exit) {
        (Instability::CrashLooping, Some(exit)) => {
            format!(": {exit}; its output: ctl logs {name} --previous")
        }
        _ => String::new(),
    }
}

fn runs<'a>(pass: &Pass<'a>) -> impl Iterator<Item = &'a ReplicaView> + use<'a> {
    let view = pass.view;
    view.replicas.iter().filter(|replica| replica.replica.runs() && !is_gone(replica))
}

/// The replicas that are unstable now; sets the alarm for the first that may be stable again.
fn unstable(
    pass: &mut Pass<'_>,
    kind: Instability,
    was_unstable: &BTreeSet<ReplicaName>,
) -> BTreeSet<ReplicaName> {
    let rollout = &pass.rollout;
    let is_explained = rollout.state.is_under_way() || matches!(rollout.state, RolloutState::Failed { .. });
    let target = rollout.target;
    let since = rollout.since;
    let now = pass.now.wall;
    let mut found = BTreeSet::new();
    let mut alarm: Option<Millis> = None;
    for replica in runs(pass) {
        let Some(status) = &replica.status else { continue };
        let times = kind.times(&status.history);
        let name = &replica.replica.name;
        let may_begin = !is_explained || replica.replica.revision != target;
        let is_unstable = was_unstable.contains(name) || (may_begin && is_repeated(times, since));
        let Some(left) = time_left(times, now).filter(|_| is_unstable) else { continue };
        alarm = Some(alarm.map_or(left, |soonest| soonest.min(left)));
        found.insert(name.clone());
    }
    alarm.into_iter().for_each(|left| pass.wake(left));
    found
}

/// Whether the last of these are so many since a moment, and so close together, that the replica is unstable.
fn is_repeated(times: &[Timestamp], since: Timestamp) -> bool {
    let first = times.len().checked_sub(REPEATS).and_then(|index| times.get(index));
    let Some((first, last)) = first.zip(times.last()) else { return false };
    *first >= since && between(*first, *last) <= WITHIN
}

/// How long until the last of these is so long ago that the replica is stable; `None` if it is already.
fn time_left(times: &[Timestamp], now: Timestamp) -> Option<Millis> {
    // Also where the clock was set back since: then it is not known how long ago it is.
    let passed = between(*times.last()?, now);
    (passed < OVER_AFTER).then(|| Millis(OVER_AFTER.0 - passed.0))
}

fn between(one: Timestamp, other: Timestamp) -> Millis {
    Millis(u64::try_from(one.duration_until(other).abs().as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: &[i64]) -> Vec<Timestamp> {
        minutes.iter().map(|minute| Timestamp::from_second(minute * 60).unwrap()).collect()
    }

    #[test]
    fn is_repeated_by_number_time_and_moment() {
        for (what, times, since, expected) in [
            ("nothing happened", &[][..], 0, false),
            ("once", &[5], 0, false),
            ("twice within a minute", &[5, 5], 0, false),
            ("three times", &[5, 6, 7], 0, true),
            ("three times at once", &[5, 5, 5], 0, true),
            ("three times in exactly ten minutes", &[5, 14, 15], 0, true),
            ("three times in eleven", &[5, 14, 16], 0, false),
            ("the first before the rollout ended", &[5, 6, 7], 6, false),
            ("as the rollout ended", &[5, 6, 7], 5, true),
            ("of many the last count", &[0, 20, 21, 22], 1, true),
        ] {
            assert_eq!(is_repeated(&at(times), at(&[since])[0]), expected, "{what}");
        }
    }

    #[test]
    fn time_left_until_nothing_happened_for_ten_minutes() {
        for (what, times, now, expected) in [
            ("nothing happened", &[][..], 5, None),
            ("now", &[5], 5, Some(10)),
            ("a while ago", &[1, 5], 9, Some(6)),
            ("just before", &[5], 14, Some(1)),
            ("ten minutes ago", &[5], 15, None),
            ("the clock was set back a little", &[5], 3, Some(8)),
            ("the clock was set back by hours", &[500], 5, None),
        ] {
            assert_eq!(
                time_left(&at(times), at(&[now])[0]),
                expected.map(|m| Millis::secs(m * 60)),
                "{what}"
            );
        }
    }

    /// Whatever the times are, it does not end and begin again while three are within ten minutes of each other.
    #[test]
    fn instability_does_not_flap_with_unevenly_spaced_failures() {
        let minutes = [0, 1, 9, 10, 18, 19, 27, 28];
        let times = at(&minutes);
        for index in REPEATS..times.len() {
            let seen = &times[index - REPEATS..index];
            assert!(is_repeated(seen, times[0]), "{seen:?}");
            assert!(time_left(seen, times[index]).is_some(), "{seen:?}");
        }
    }
}
