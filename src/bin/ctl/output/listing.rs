//! The tables of `ctl get`. Pure.

use coxswain::api::types::{
    EndpointObject, EventObject, FailureReasonName, ObjectCondition, ReplicaObject, ReplicaState,
    RevisionObject, RevisionOutcomeName, RolloutFailureDetail, RolloutStateName, ServiceObject,
};
use coxswain::model::{ConditionKind, EndpointState, EventKind, Reason};
use jiff::Timestamp;

use super::age::{ago, since};
use super::phase_text::phase_text;
use super::restarts::restarts;
use super::table::{MARK, TextTable};
use coxswain::model::sanitize;

/// Three groups of an Engine id.
const NODE_ID_SHOWN: usize = 14;

/// Appends a column that only `-o wide` shows.
pub(super) fn widen(
    table: &mut TextTable,
    wide: bool,
    title: &'static str,
    cells: impl Iterator<Item = String>,
) {
    if wide {
        table.header.push(title);
        table.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
    }
}

/// Services, each with its problem at the end of the row.
pub(crate) fn services(items: &[ServiceObject], now: Timestamp, wide: bool) -> TextTable {
    let row = |s: &ServiceObject| {
        let mark = if wants_attention(s) { MARK } else { "" };
        let listens = s.spec.listens().map(|(listen, _)| listen.to_string());
        let routes: Vec<String> =
            s.spec.routes.iter().map(|route| sanitize(&route.claim())).chain(listens).collect();
        vec![
            s.metadata.name.to_string(),
            mark.to_owned(),
            format!("{}/{}", s.status.available, s.status.wanted),
            restarts(s.status.restart_count, s.status.last_exit.as_ref().map(|last| &last.exit), now),
            revision(s),
            s.status.image.reference.clone(),
            dash(routes.join(", ")),
            ago(s.status.changed_at, now),
        ]
    };
    let mut table = TextTable {
        header: vec!["SERVICE", "", "READY", "RESTARTS", "REVISION", "IMAGE", "ROUTE", "CHANGED"],
        rows: items.iter().map(row).collect(),
    };
    widen(&mut table, wide, "APP", items.iter().map(|s| s.metadata.app.to_string()));
    widen(&mut table, wide, "DIGEST", items.iter().map(|s| s.status.image.short().to_owned()));
    widen(&mut table, wide, "AGE", items.iter().map(|s| since(s.metadata.created_at, now)));
    widen(&mut table, true, "", items.iter().map(|s| sanitize(&diagnosis(s))));
    table
}

pub(super) fn dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

fn condition(service: &ServiceObject, kind: ConditionKind) -> Option<&ObjectCondition> {
    service.status.conditions.iter().find(|condition| condition.kind == kind && condition.status)
}

/// A replica has a problem, or replicas are missing although no rollout is in progress.
fn wants_attention(service: &ServiceObject) -> bool {
    let status = &service.status;
    let missing =
        status.available < status.wanted && condition(service, ConditionKind::Progressing).is_none();
    missing || !status.troubles.is_empty()
}

/// `9`, or `12 → 13` while one replaces the other.
fn revision(service: &ServiceObject) -> String {
    let Some(rollout) = &service.status.rollout else { return "-".to_owned() };
    match rollout.from.filter(|_| rollout.state.is_under_way()) {
        Some(from) => format!("{from} → {}", rollout.target),
        None => rollout.target.to_string(),
    }
}

pub(crate) fn is_deleting(service: &ServiceObject) -> bool {
    service.status.conditions.iter().any(|condition| condition.reason == Reason::Deleting)
}

fn diagnosis(service: &ServiceObject) -> String {
    if is_deleting(service) {
        return "deleting".to_owned();
    }
    let paused = condition(service, ConditionKind::Progressing).filter(|c| c.reason == Reason::RolloutPaused);
    let paused = paused.map(|condition| &condition.message);
    let troubles: Vec<&str> =
        paused.into_iter().chain(&service.status.troubles).map(String::as_str).collect();
    if !troubles.is_empty() {
        return troubles.join("; ");
    }
    let rollout = service.status.rollout.as_ref();
    let Some((state, failure)) = rollout.and_then(|rollout| Some((rollout.state, rollout.failure.as_ref()?)))
    else {
        return condition(service, ConditionKind::Degraded).map(|c| c.message.clone()).unwrap_or_default();
    };
    match state {
        RolloutStateName::RollingBack => format!("rolling back from {}", failure.revision),
        RolloutStateName::RolledBack if failure.aborted_by.is_some() => {
            format!("last rollout aborted ({})", failure.revision)
        }
        RolloutStateName::RolledBack => format!("last rollout failed ({})", failure.revision),
        _ => format!("rollout failed ({})", failure.revision),
    }
}

/// Enough of a node's id (the Engine's twelve groups of four) to distinguish nodes.
fn short_node(id: &str) -> String {
    id.chars().take(NODE_ID_SHOWN).collect()
}

/// Replicas, each with the reason for its state at the end of the row.
pub(crate) fn replicas(items: &[ReplicaObject], now: Timestamp, wide: bool) -> TextTable {
    let status = |r: &ReplicaObject| r.status.clone();
    let row = |r: &ReplicaObject| {
        let status = status(r);
        vec![
            r.spec.name.to_string(),
            r.spec.service.to_string(),
            r.spec.revision.to_string(),
            phase_text(status.as_ref(), r.spec.runs(), r.available).word.to_owned(),
            status.as_ref().and_then(address).unwrap_or_else(|| "-".to_owned()),
            status.as_ref().map_or_else(
                || restarts(0, None, now),
                |s| restarts(s.restart_count, s.last_exit.as_ref(), now),
            ),
            status.as_ref().map_or_else(|| "-".to_owned(), |s| since(s.since, now)),
        ]
    };
    let mut table = TextTable {
        header: vec!["REPLICA", "SERVICE", "REVISION", "STATE", "ADDRESS", "RESTARTS", "SINCE"],
        rows: items.iter().map(row).collect(),
    };
    let container = |r: &ReplicaObject| {
        status(r).and_then(|s| s.container).map_or_else(|| "-".to_owned(), |c| c.short().to_owned())
    };
    widen(&mut table, wide, "IMAGE", items.iter().map(|r| r.image.reference.clone()));
    widen(&mut table, wide, "CONTAINER", items.iter().map(container));
    widen(&mut table, wide, "NODE", items.iter().map(|r| short_node(r.spec.node.as_str())));
    widen(&mut table, wide, "SLOT", items.iter().map(|r| r.spec.slot.to_string()));
    widen(&mut table, wide, "IN FLIGHT", items.iter().map(|r| r.in_flight.to_string()));
    let detail = |r: &ReplicaObject| phase_text(status(r).as_ref(), r.spec.runs(), r.available).detail;
    widen(&mut table, true, "", items.iter().map(detail));
    table
}

/// The address of a replica, or its first published port.
fn address(status: &ReplicaState) -> Option<String> {
    match status.published.values().next() {
        Some(port) => Some(format!("127.0.0.1:{port}")),
        None => status.address.map(|address| address.to_string()),
    }
}

pub(crate) fn endpoints(items: &[EndpointObject], now: Timestamp, wide: bool) -> TextTable {
    let row = |e: &EndpointObject| {
        let ports: Vec<String> = e.ports.iter().map(|(name, port)| format!("{name}:{port}")).collect();
        let state = match e.state {
            EndpointState::Ready => "ready",
            EndpointState::Draining => "draining",
            EndpointState::Unready => "unready",
        };
        vec![
            e.name.clone(),
            e.service.to_string(),
            e.revision.to_string(),
            e.address.to_string(),
            dash(ports.join(",")),
            state.to_owned(),
            e.started_at.map_or_else(|| "-".to_owned(), |at| since(at, now)),
        ]
    };
    let mut table = TextTable {
        header: vec!["ENDPOINT", "SERVICE", "REVISION", "ADDRESS", "PORTS", "STATE", "AGE"],
        rows: items.iter().map(row).collect(),
    };
    let container = |e: &EndpointObject| {
        dash(e.container.as_ref().map(|container| container.short().to_owned()).unwrap_or_default())
    };
    widen(&mut table, wide, "CONTAINER", items.iter().map(container));
    table
}

/// Revisions with their outcomes, and the reason of a failure at the end of the row.
pub(crate) fn revisions(items: &[RevisionObject], now: Timestamp, wide: bool) -> TextTable {
    let row = |object: &RevisionObject| {
        let revision = &object.status;
        let outcome = outcome(object);
        vec![
            revision.service.to_string(),
            revision.number.to_string(),
            if revision.current { format!("{outcome}, current") } else { outcome },
            revision.image.reference.clone(),
            revision.image.short().to_owned(),
            ago(revision.created_at, now),
            dash(sanitize(&revision.created_by.user)),
            sanitize(&revision.created_by.command),
        ]
    };
    let mut table = TextTable {
        header: vec!["SERVICE", "REVISION", "OUTCOME", "IMAGE", "DIGEST", "CREATED", "BY", "COMMAND"],
        rows: items.iter().map(row).collect(),
    };
    let ended = |o: &RevisionObject| o.status.outcome_at.map_or_else(|| "-".to_owned(), |at| ago(at, now));
    widen(&mut table, wide, "SINCE", items.iter().map(ended));
    widen(&mut table, wide, "GENERATION", items.iter().map(|o| o.status.generation.to_string()));
    widen(&mut table, wide, "TEMPLATE", items.iter().map(|o| o.status.template.to_string()));
    widen(
        &mut table,
        true,
        "",
        items.iter().map(|o| o.status.failure.as_ref().map(reason).unwrap_or_default()),
    );
    table
}

fn outcome(object: &RevisionObject) -> String {
    let word = match object.status.outcome {
        None => "-",
        Some(RevisionOutcomeName::InProgress) => "in progress",
        Some(RevisionOutcomeName::Complete) => "complete",
        Some(RevisionOutcomeName::Failed) => "failed",
        Some(RevisionOutcomeName::RolledBack) => "rolled back",
        Some(RevisionOutcomeName::Aborted) => "aborted",
        Some(RevisionOutcomeName::Superseded) => "superseded",
    };
    let by = object.status.superseded_by.map(|by| format!(" by {by}"));
    format!("{word}{}", by.unwrap_or_default())
}

/// One line, without repeating "no progress" or "aborted" from the outcome column.
fn reason(failure: &RolloutFailureDetail) -> String {
    sanitize(&match (failure.reason, &failure.aborted_by, failure.observed.as_slice()) {
        (_, Some(by), _) => by.summary(),
        (FailureReasonName::DeadlineExceeded, _, [_, first, ..]) => first.clone(),
        (_, _, observed) => observed.join("; "),
    })
}

/// Events, oldest first.
pub(crate) fn events(items: &[EventObject], now: Timestamp) -> TextTable {
    let row = |e: &EventObject| {
        let mark = if e.kind == EventKind::Warning { MARK } else { "" };
        vec![ago(e.at, now), mark.to_owned(), e.object.clone(), e.reason.to_string(), sanitize(&e.message)]
    };
    TextTable {
        header: vec!["WHEN", "", "OBJECT", "REASON", "MESSAGE"],
        rows: items.iter().map(row).collect(),
    }
}
