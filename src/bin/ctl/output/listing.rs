//! Tables of `ctl get`, from objects. PURE.

use std::collections::BTreeMap;

use coxswain::api::types::{NodeObject, ReplicaObject, RevisionObject, ServiceObject};
use coxswain::model::{
    Condition, ConditionKind, Endpoint, EndpointState, Event, EventKind, FailureReason, Reason,
    ReplicaStatus, RevisionOutcome, RolloutFailure, RolloutState,
};
use jiff::Timestamp;

use super::age::{ago, since};
use super::plain::plain;
use super::progress::phase_text;
use super::table::{MARK, Table};

/// Three groups of an Engine's id.
const HOST_ID_SHOWN: usize = 14;

/// A column that only `-o wide` shows, appended to the header and to each row.
fn widen(table: &mut Table, wide: bool, title: &'static str, cells: impl Iterator<Item = String>) {
    if wide {
        table.header.push(title);
        table.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
    }
}

/// Services; what is wrong with one stands at the end of its row.
pub(crate) fn services(items: &[ServiceObject], now: Timestamp, wide: bool) -> Table {
    let row = |s: &ServiceObject| {
        let mark = if wants_attention(s) { MARK } else { "" };
        let routes: Vec<String> = s.spec.routes.iter().map(coxswain::model::Route::claim).collect();
        vec![
            s.metadata.name.to_string(),
            mark.to_owned(),
            format!("{}/{}", s.status.available, s.status.wanted),
            revision(s),
            s.status.image.reference.clone(),
            dash(routes.join(", ")),
            ago(s.status.changed_at, now),
        ]
    };
    let mut table = Table {
        header: vec!["SERVICE", "", "READY", "REVISION", "IMAGE", "ROUTE", "CHANGED"],
        rows: items.iter().map(row).collect(),
    };
    widen(&mut table, wide, "APP", items.iter().map(|s| s.metadata.app.to_string()));
    widen(&mut table, wide, "DIGEST", items.iter().map(|s| s.status.image.short().to_owned()));
    widen(&mut table, wide, "AGE", items.iter().map(|s| since(s.metadata.created_at, now)));
    widen(&mut table, true, "", items.iter().map(|s| plain(&diagnosis(s))));
    table
}

fn dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

fn condition(service: &ServiceObject, kind: ConditionKind) -> Option<&Condition> {
    service.status.conditions.iter().find(|condition| condition.kind == kind && condition.status)
}

/// Troubles of replicas, or fewer than wanted while nothing is under way.
fn wants_attention(service: &ServiceObject) -> bool {
    let status = &service.status;
    let missing =
        status.available < status.wanted && condition(service, ConditionKind::Progressing).is_none();
    missing || !status.troubles.is_empty()
}

/// `9`, or `12 → 13` while one replaces the other.
fn revision(service: &ServiceObject) -> String {
    let Some(rollout) = &service.status.rollout else { return "-".to_owned() };
    let from = match &rollout.state {
        RolloutState::Progressing { .. } => rollout.stable,
        RolloutState::RollingBack { failure, .. } => Some(failure.revision),
        RolloutState::Complete | RolloutState::RolledBack { .. } | RolloutState::Failed { .. } => None,
    };
    match from.filter(|from| *from != rollout.target) {
        Some(from) => format!("{from} → {}", rollout.target),
        None => rollout.target.to_string(),
    }
}

/// Whether a service is on its way out.
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
    match service.status.rollout.as_ref().map(|rollout| &rollout.state) {
        Some(RolloutState::RollingBack { failure, .. }) => format!("rolling back from {}", failure.revision),
        Some(RolloutState::RolledBack { failure }) => match failure.reason {
            FailureReason::Aborted { .. } => format!("last rollout aborted ({})", failure.revision),
            _ => format!("last rollout failed ({})", failure.revision),
        },
        Some(RolloutState::Failed { failure }) => format!("rollout failed ({})", failure.revision),
        Some(RolloutState::Progressing { .. } | RolloutState::Complete) | None => {
            condition(service, ConditionKind::Degraded).map(|c| c.message.clone()).unwrap_or_default()
        }
    }
}

/// Enough of a host's id, an Engine's twelve groups of four, to tell hosts apart.
fn short_node(id: &str) -> String {
    id.chars().take(HOST_ID_SHOWN).collect()
}

/// Replicas; the reason why one is held up stands at the end of its row.
pub(crate) fn replicas(items: &[ReplicaObject], now: Timestamp, wide: bool) -> Table {
    let status = |r: &ReplicaObject| r.status.clone();
    let row = |r: &ReplicaObject| {
        let status = status(r);
        vec![
            r.spec.name.to_string(),
            r.spec.service.to_string(),
            r.spec.revision.to_string(),
            phase_text(status.as_ref(), r.spec.runs(), r.available).word.to_owned(),
            status.as_ref().and_then(address).unwrap_or_else(|| "-".to_owned()),
            status.as_ref().map_or(0, |s| s.attempt.saturating_sub(1)).to_string(),
            status.as_ref().map_or_else(|| "-".to_owned(), |s| since(s.since, now)),
        ]
    };
    let mut table = Table {
        header: vec!["REPLICA", "SERVICE", "REVISION", "STATE", "ADDRESS", "RESTARTS", "FOR"],
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

/// Where a replica is reached: its address, or the first of its ports that are published.
fn address(status: &ReplicaStatus) -> Option<String> {
    match status.published.values().next() {
        Some(port) => Some(format!("127.0.0.1:{port}")),
        None => status.address.map(|address| address.to_string()),
    }
}

/// Endpoints of the registry.
pub(crate) fn endpoints(items: &[Endpoint], now: Timestamp, wide: bool) -> Table {
    let row = |e: &Endpoint| {
        let ports: Vec<String> = e.ports.iter().map(|(name, port)| format!("{name}:{port}")).collect();
        let state = match e.state {
            EndpointState::Ready => "ready",
            EndpointState::Draining => "draining",
            EndpointState::Unready => "unready",
        };
        vec![
            e.replica.to_string(),
            e.service.to_string(),
            e.revision.to_string(),
            e.address.to_string(),
            dash(ports.join(",")),
            state.to_owned(),
            since(e.started_at, now),
        ]
    };
    let mut table = Table {
        header: vec!["ENDPOINT", "SERVICE", "REVISION", "ADDRESS", "PORTS", "STATE", "AGE"],
        rows: items.iter().map(row).collect(),
    };
    widen(&mut table, wide, "CONTAINER", items.iter().map(|e| e.container.short().to_owned()));
    table
}

/// Routes, as the specs of the services declare them, in the order of their text.
pub(crate) fn routes(items: &[ServiceObject], wide: bool) -> Table {
    let by_claim: BTreeMap<String, _> =
        items.iter().flat_map(|s| s.spec.routes.iter().map(move |r| (r.claim(), (s, r)))).collect();
    let row = |(claim, (service, route)): (&String, &(&ServiceObject, &coxswain::model::Route))| {
        let port = service.spec.port(route.port.as_deref());
        vec![
            claim.clone(),
            service.metadata.name.to_string(),
            port.map_or_else(|| "-".to_owned(), |port| format!("{}:{}", port.name, port.port)),
            format!("{}/{}", service.status.available, service.status.wanted),
        ]
    };
    let mut table =
        Table { header: vec!["ROUTE", "SERVICE", "PORT", "READY"], rows: by_claim.iter().map(row).collect() };
    widen(&mut table, wide, "TIMEOUT", by_claim.values().map(|(_, r)| r.timeout.to_string()));
    let stripped = |r: &coxswain::model::Route| if r.strip_prefix { "yes" } else { "no" }.to_owned();
    widen(&mut table, wide, "STRIP PREFIX", by_claim.values().map(|(_, r)| stripped(r)));
    table
}

/// Hosts.
pub(crate) fn nodes(items: &[NodeObject], wide: bool) -> Table {
    let row = |h: &NodeObject| {
        let mark = if h.available { "" } else { MARK };
        vec![h.name.clone(), mark.to_owned(), h.containers.to_string(), plain(&h.engine)]
    };
    let mut table =
        Table { header: vec!["NODE", "", "CONTAINERS", "ENGINE"], rows: items.iter().map(row).collect() };
    widen(
        &mut table,
        wide,
        "REACH",
        items.iter().map(|h| dash(h.exposure.map(|r| r.to_string()).unwrap_or_default())),
    );
    widen(&mut table, wide, "ID", items.iter().map(|h| h.id.to_string()));
    table
}

/// Revisions with what became of them; why one failed stands at the end of its row.
pub(crate) fn revisions(items: &[RevisionObject], now: Timestamp, wide: bool) -> Table {
    let row = |object: &RevisionObject| {
        let revision = &object.revision;
        let (outcome, _) = outcome(object);
        vec![
            revision.service.to_string(),
            revision.number.to_string(),
            if object.current { format!("{outcome}, current") } else { outcome },
            revision.image.reference.clone(),
            revision.image.short().to_owned(),
            ago(revision.created_at, now),
            dash(plain(&revision.created_by.user)),
            plain(&revision.created_by.command),
        ]
    };
    let mut table = Table {
        header: vec!["SERVICE", "REVISION", "OUTCOME", "IMAGE", "DIGEST", "MADE", "BY", "WITH"],
        rows: items.iter().map(row).collect(),
    };
    let ended = |o: &RevisionObject| o.record.as_ref().map_or_else(|| "-".to_owned(), |r| ago(r.at, now));
    widen(&mut table, wide, "SINCE", items.iter().map(ended));
    widen(&mut table, wide, "GENERATION", items.iter().map(|o| o.revision.generation.to_string()));
    widen(&mut table, wide, "TEMPLATE", items.iter().map(|o| o.revision.hash.to_string()));
    widen(&mut table, true, "", items.iter().map(|o| outcome(o).1));
    table
}

/// What became of a revision in a word or two, and why.
fn outcome(object: &RevisionObject) -> (String, String) {
    let Some(record) = &object.record else { return ("-".to_owned(), String::new()) };
    match &record.outcome {
        RevisionOutcome::InProgress => ("in progress".to_owned(), String::new()),
        RevisionOutcome::Complete => ("complete".to_owned(), String::new()),
        RevisionOutcome::Failed { failure } => ("failed".to_owned(), reason(failure)),
        RevisionOutcome::RolledBack { failure } => ("rolled back".to_owned(), reason(failure)),
        RevisionOutcome::Aborted { failure } => ("aborted".to_owned(), reason(failure)),
        RevisionOutcome::Superseded { by } => (format!("superseded by {by}"), String::new()),
    }
}

/// In one line; under an outcome that says so, "no progress" and "aborted" need not be told again.
fn reason(failure: &RolloutFailure) -> String {
    plain(&match &failure.reason {
        FailureReason::DeadlineExceeded { observed, .. } if !observed.is_empty() => observed[0].clone(),
        FailureReason::Aborted { by } => by.told(),
        reason => reason.to_string(),
    })
}

/// Events, oldest first.
pub(crate) fn events(items: &[Event], now: Timestamp) -> Table {
    let row = |e: &Event| {
        let mark = if e.kind == EventKind::Warning { MARK } else { "" };
        vec![ago(e.at, now), mark.to_owned(), e.object.clone(), e.reason.to_string(), plain(&e.message)]
    };
    Table { header: vec!["WHEN", "", "OBJECT", "REASON", "MESSAGE"], rows: items.iter().map(row).collect() }
}
