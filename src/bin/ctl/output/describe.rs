//! The text of `ctl describe` and `ctl why`. Pure.

use coxswain::api::failure_code;
use coxswain::api::types::{
    DaemonStatus, EndpointObject, EventObject, FieldChange, FieldOverride, ObjectCondition, ReplicaObject,
    ReplicaPhaseName, RevisionObject, RolloutFailureDetail, RolloutStateName, ServiceObject,
    settings as non_default_settings,
};
use coxswain::model::{ConditionKind, Reason, RolloutDirection};
use jiff::Timestamp;

use super::age::{ago, seconds, since};
use super::changes::field;
use super::listing;
use super::phase_text::phase_text;
use super::restarts;
use super::route_listing;
use super::style::Style;
use super::table::{MARK, TextTable};
use coxswain::model::sanitize;

/// Lines that `why` shows of what it waits for, to fit one screen.
const WAITS_SHOWN: usize = 12;
/// Last exits that `why` shows, one for each replica.
const EXITS_SHOWN: usize = 4;
/// Events that `describe` shows; `ctl events` has all of them.
const EVENTS_SHOWN: usize = 10;

pub(crate) struct ServiceDetails {
    pub(crate) service: ServiceObject,
    pub(crate) replicas: Vec<ReplicaObject>,
    pub(crate) endpoints: Vec<EndpointObject>,
    pub(crate) revisions: Vec<RevisionObject>,
    pub(crate) events: Vec<EventObject>,
    pub(crate) daemon: DaemonStatus,
}

/// `ctl describe`: a section each for spec, status and events; empty sections are left out.
pub(crate) fn service(details: &ServiceDetails, now: Timestamp, style: Style) -> String {
    let ServiceDetails { service, replicas, endpoints, revisions, events, daemon: _ } = details;
    let meta = &service.metadata;
    let head = format!(
        "service {}  app {}  generation {}  created {}\nimage   {}",
        meta.name,
        meta.app,
        meta.generation,
        ago(meta.created_at, now),
        service.status.image.summary()
    );
    let one = std::slice::from_ref(service);
    let recent = &events[events.len().saturating_sub(EVENTS_SHOWN)..];
    let table = |title: &str, table: TextTable| {
        let text = if table.rows.is_empty() { String::new() } else { table.render(style) };
        section(title, text.lines().map(str::to_owned).collect())
    };
    let sections = [
        section("spec (non-default values)", settings(service)),
        section("overrides", service.status.overrides.iter().map(|over| overridden(over, now)).collect()),
        section("conditions", service.status.conditions.iter().map(condition).collect()),
        section("waits", service.status.waits.iter().map(|wait| sanitize(wait)).collect()),
        table("routes", route_listing::routes(one, false)),
        table("replicas", listing::replicas(replicas, now, false)),
        section("last exits", restarts::last_exits(replicas, now)),
        table("endpoints", listing::endpoints(endpoints, now, false)),
        table("revisions", listing::revisions(revisions, now, false)),
        section("volumes", service.status.volumes.clone()),
        table("events", listing::events(recent, now)),
    ];
    std::iter::once(head).chain(sections.into_iter().flatten()).collect::<Vec<_>>().join("\n\n")
}

fn section(title: &str, lines: Vec<String>) -> Option<String> {
    let indented = lines.iter().map(|line| format!("  {line}").trim_end().to_owned());
    let text = std::iter::once(title.to_owned()).chain(indented).collect::<Vec<_>>().join("\n");
    if lines.is_empty() { None } else { Some(text) }
}

fn settings(service: &ServiceObject) -> Vec<String> {
    match non_default_settings(&service.spec) {
        Ok(changes) => changes.iter().map(setting).collect(),
        Err(error) => vec![error.to_string()],
    }
}

fn setting(change: &FieldChange) -> String {
    field(change).trim_start_matches("+ ").to_owned()
}

fn overridden(over: &FieldOverride, now: Timestamp) -> String {
    let text = |value: &Option<serde_json::Value>| match value {
        Some(serde_json::Value::String(text)) => sanitize(text),
        Some(value) => sanitize(&value.to_string()),
        None => "nothing".to_owned(),
    };
    let old = text(&over.old);
    let new = text(&over.new);
    format!("{}: {old} → {new}, by {}, {}", over.field, sanitize(&over.by.summary()), ago(over.at, now))
}

fn condition(condition: &ObjectCondition) -> String {
    let ObjectCondition { kind, status, reason, message } = condition;
    let is_bad = match kind {
        ConditionKind::Ready => !*status,
        ConditionKind::Degraded => *status,
        ConditionKind::Progressing => false,
    };
    let mark = if is_bad { MARK } else { " " };
    let status = if *status { "yes" } else { "no" };
    format!("{mark} {kind:?}: {status}, {reason}  {}", sanitize(message)).trim_end().to_owned()
}

/// Whether its container is still being drained or stopped. One that is retained for inspection has stopped.
fn is_leaving(replica: &ReplicaObject) -> bool {
    let ended = replica
        .status
        .as_ref()
        .is_some_and(|status| matches!(status.phase, ReplicaPhaseName::Retained | ReplicaPhaseName::Gone));
    !replica.spec.runs() && !ended
}

/// The state of a service whose replicas serve in between.
fn unstable_state(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::CrashLooping => Some("is crash-looping"),
        Reason::ReadinessFlapping => Some("has flapping readiness"),
        Reason::PortUnavailable => Some("lacks a TCP port"),
        _ => None,
    }
}

/// `ctl why`: whether the service is in sync, what blocks it, what it waits for, what failed last, what to do next.
pub(crate) fn why(details: &ServiceDetails, now: Timestamp) -> String {
    let ServiceDetails { service, replicas, daemon, .. } = details;
    let name = &service.metadata.name;
    let deleting = listing::is_deleting(service);
    let is_awaited = |r: &&ReplicaObject| deleting || r.spec.runs() && !r.available || is_leaving(r);
    let missing = replicas.iter().filter(is_awaited).map(|r| waits(r, now));
    let waiting = missing.chain(service.status.waits.iter().map(|wait| sanitize(wait))).collect();
    let rollout = service.status.rollout.as_ref();
    let active = |kind| service.status.conditions.iter().find(|c| c.kind == kind && c.status);
    let is_ready = active(ConditionKind::Ready).is_some();
    let progressing = active(ConditionKind::Progressing);
    let degraded = active(ConditionKind::Degraded);
    let unstable = degraded.and_then(|condition| unstable_state(condition.reason));
    let in_sync = is_ready
        && unstable.is_none()
        && progressing.is_none()
        && !replicas.iter().any(is_leaving)
        && rollout.is_some_and(|rollout| rollout.state == RolloutStateName::Complete);
    let mark = if in_sync { "✓" } else { MARK };
    let state = unstable.unwrap_or(if in_sync { "is in sync" } else { "is out of sync" });
    let revision = rollout.map_or_else(String::new, |rollout| format!(", revision {}", rollout.target));
    let available = service.status.available;
    let wanted = service.status.wanted;
    let head = match (deleting, replicas.len()) {
        (false, _) => format!("{mark} {name} {state}: {available}/{wanted} replicas available{revision}"),
        (true, 1) => format!("{mark} {name} is being deleted: 1 replica left"),
        (true, left) => format!("{mark} {name} is being deleted: {left} replicas left"),
    };
    let mut lines = vec![head];
    let mut add = |title: &str, texts: Vec<String>| {
        for (index, text) in texts.into_iter().enumerate() {
            lines.push(format!("  {:<8} {text}", if index == 0 { title } else { "" }));
        }
    };
    let line = |c: &ObjectCondition| format!("{}  {}", c.reason, sanitize(&c.message)).trim_end().to_owned();
    add("now", progressing.into_iter().chain(degraded).map(line).collect());
    add("daemon", daemon.conditions.iter().filter(|c| c.status).map(line).collect());
    add("waits", at_most(WAITS_SHOWN, waiting));
    add("exits", at_most(EXITS_SHOWN, restarts::recent_exits(replicas, now)));
    add("then", deadline(service).into_iter().collect());
    add("live", service.status.overrides.iter().map(|over| overridden(over, now)).collect());
    // A failure older than the running revision is only of interest in `ctl history`.
    let runs = rollout.map(|rollout| rollout.target);
    let failed = last_failed(&details.revisions).filter(|failure| Some(failure.revision) >= runs);
    add("failed", failed.iter().flat_map(|failure| failure_lines(failure, now)).collect());
    add("next", next(details, in_sync, degraded.map(|condition| condition.reason)));
    lines.join("\n")
}

fn at_most(count: usize, mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(count);
    lines.truncate(count);
    lines.extend((more > 0).then(|| format!("… and {more} more")));
    lines
}

/// `users-10-a starting for 12s: GET /healthz → 503; next attempt in 5s`.
fn waits(replica: &ReplicaObject, now: Timestamp) -> String {
    let status = replica.status.as_ref();
    let text = phase_text(status, replica.spec.runs(), replica.available);
    let age = status.map(|status| format!(" for {}", since(status.since, now))).unwrap_or_default();
    let detail = if text.detail.is_empty() { String::new() } else { format!(": {}", text.detail) };
    let retry = status
        .and_then(|status| status.retry_at)
        .map(|retry_at| format!("; next attempt in {}", seconds(retry_at.as_second() - now.as_second())));
    let retry = retry.unwrap_or_default();
    format!("{} {}{age}{detail}{retry}", replica.spec.name, text.word)
}

/// When the rollout fails unless it makes progress, and what happens then.
fn deadline(service: &ServiceObject) -> Option<String> {
    let rollout = service.status.rollout.as_ref()?;
    let deadline = rollout.deadline.as_ref()?;
    let left = deadline.remaining;
    if rollout.direction == RolloutDirection::Rollback {
        return Some(format!("without progress the rollback fails in {left} and stops"));
    }
    let then = match deadline.rolls_back_to {
        Some(stable) => format!("rolls back to revision {stable}"),
        None => "is not rolled back".to_owned(),
    };
    Some(match &deadline.replica {
        Some(name) => format!("the rollout fails in {left} unless {name} becomes healthy, and {then}"),
        None => format!("without progress the rollout fails in {left}, and {then}"),
    })
}

/// The failure of the latest revision that failed or was aborted.
fn last_failed(revisions: &[RevisionObject]) -> Option<&RolloutFailureDetail> {
    revisions.iter().rev().find_map(|object| object.status.failure.as_ref())
}

fn failure_lines(failure: &RolloutFailureDetail, now: Timestamp) -> Vec<String> {
    let class = failure_code(failure.reason);
    let head = format!("revision {}, {}: {}", failure.revision, ago(failure.at, now), class.title);
    std::iter::once(head).chain(failure.observed.iter().map(|line| sanitize(line))).collect()
}

fn next(details: &ServiceDetails, in_sync: bool, degraded: Option<Reason>) -> Vec<String> {
    let name = &details.service.metadata.name;
    let Some(rollout) = &details.service.status.rollout else { return vec![format!("ctl rollout {name}")] };
    match (rollout.state, &rollout.failure) {
        _ if rollout.paused => vec![format!("ctl resume {name}"), format!("ctl abort {name}")],
        _ if degraded == Some(Reason::CrashLooping) => {
            vec![format!("ctl logs {name} --previous"), format!("ctl events {name}")]
        }
        (RolloutStateName::RolledBack | RolloutStateName::Failed, Some(failure)) => vec![
            format!("ctl logs {name} --revision {}", failure.revision),
            format!("ctl rollout {name} --retry"),
        ],
        (RolloutStateName::Complete, _) if in_sync => vec![format!("ctl describe {name}")],
        (RolloutStateName::Complete, _) => vec![format!("ctl events {name}")],
        _ => vec![format!("ctl rollout {name}")],
    }
}
