//! The text of `ctl status`. Pure.

use coxswain::api::types::{BalancerObject, DaemonProcessList, DaemonStatus, NodeObject, RefusedConnections};
use coxswain::model::{DaemonRole, EngineKind, ExposureMode, ProcessState, Reason, TableName};

use super::age::seconds;
use super::table::MARK;
use coxswain::model::sanitize;

/// A line per part of the daemon, then a line per active condition.
pub(crate) fn daemon(status: &DaemonStatus, processes: Option<&DaemonProcessList>) -> String {
    let DaemonStatus {
        version,
        pid,
        uptime,
        store,
        store_revision,
        node,
        table,
        acknowledged,
        balancers,
        connections,
        held_requests,
        http,
        https,
        services,
        conditions,
    } = status;
    let up = seconds(i64::try_from(uptime.0 / 1000).unwrap_or(i64::MAX));
    let balancer = balancer(table.as_ref(), acknowledged.as_ref());
    let engine = sanitize(&node.engine);
    let exposure = exposure(node);
    let limits = match node.unenforced.as_slice() {
        [] => None,
        some => {
            Some(format!("limits    {} limits are not enforced by this Docker Engine", some.join(" and ")))
        }
    };
    let node = match (node.available, node.name.as_str()) {
        (true, name) => format!("{name}, {engine}, {} containers", node.containers),
        // The name is unknown before the Engine's first answer.
        (false, "") => engine.to_string(),
        (false, name) => format!("{name}, {engine}; {} containers at its last answer", node.containers),
    };
    let mut lines = vec![format!("daemon    version {version}, pid {pid}, up {up}")];
    lines.extend(processes.map(|list| format!("processes {}", process_line(list, version))));
    // Without its store the daemon knows nothing of the rest.
    if !conditions.iter().any(|found| found.status && found.reason == Reason::StoreUnavailable) {
        let http = http.iter().map(|address| format!("http://{address}"));
        let https = https.iter().map(|address| format!("https://{address}"));
        let entry: Vec<String> = http.chain(https).collect();
        lines.push(format!("node      {node}"));
        lines.extend(exposure.into_iter().chain(limits));
        lines.push(format!("entry     {}", entry.join(", ")));
        lines.push(format!("balancer  {balancer}"));
        // One alone is described by that line.
        lines.extend(balancers.iter().filter(|_| balancers.len() > 1).map(balancer_process));
        lines.extend(refused(connections));
        if *held_requests > 0 {
            lines.push(format!("waiting   {held_requests} requests wait for a replica (route.hold)"));
        }
        lines.push(format!("store     {store}, revision {store_revision}"));
        lines.push(format!("services  {services}"));
    }
    lines.extend(conditions.iter().filter(|condition| condition.status).map(|condition| {
        format!("{MARK} {}  {}", condition.reason, sanitize(&condition.message)).trim_end().to_owned()
    }));
    lines.join("\n")
}

/// Which table the balancer serves from.
fn balancer(table: Option<&TableName>, acknowledged: Option<&TableName>) -> String {
    match (table, acknowledged) {
        (_, None) => "not connected; it keeps serving its last table, if it has one".to_owned(),
        (Some(table), Some(acknowledged)) if table == acknowledged => {
            format!("up to date (table {})", table.revision)
        }
        // Each controller numbers its tables from the start.
        (Some(table), Some(old)) if table.epoch != old.epoch => {
            format!("serves a table of the previous controller; the latest is {}", table.revision)
        }
        (Some(table), Some(old)) => {
            format!("serves table {}; the latest is {}", old.revision, table.revision)
        }
        (None, Some(old)) => format!("serves table {}; no newer one is published yet", old.revision),
    }
}

/// `          1a2b3c4d (process 4711) is ending, table 41, 3 requests in flight`.
fn balancer_process(balancer: &BalancerObject) -> String {
    let BalancerObject { id, pid, connected, acknowledged, ending, in_flight } = balancer;
    let process = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
    let table = match acknowledged {
        _ if !connected => "not connected".to_owned(),
        Some(table) => format!("table {}", table.revision),
        None => "no table yet".to_owned(),
    };
    let ending = if *ending { " is ending," } else { "" };
    let requests = match in_flight {
        _ if !connected => String::new(),
        1 => ", 1 request in flight".to_owned(),
        many => format!(", {many} requests in flight"),
    };
    format!("          {}{process}{ending} {table}{requests}", sanitize(id))
}

/// What limits on connections have cost, if they have.
fn refused(connections: &RefusedConnections) -> Option<String> {
    // scanners of ports fail handshakes all day: that is no trouble
    let RefusedConnections { over_client_limit, without_descriptor, evicted, failed_handshakes: _ } =
        connections;
    let parts = [
        (over_client_limit, "refused over --max-connections-per-client"),
        (without_descriptor, "refused because no file descriptor was free"),
        (evicted, "closed while idle to make room"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| **count > 0);
    let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
    (!parts.is_empty()).then(|| format!("clients   {MARK} connections {}", parts.join(", ")))
}

/// `supervisor 12, controller 13, balancer 14`; with the version of those that have another one.
fn process_line(list: &DaemonProcessList, version: &str) -> String {
    let shown = list.processes.iter().map(|process| {
        let role = match process.role {
            DaemonRole::Supervisor => "supervisor",
            DaemonRole::Controller => "controller",
            DaemonRole::Balancer => "balancer",
        };
        let does = match process.state {
            ProcessState::Serving => "",
            ProcessState::Starting => " starting",
            ProcessState::Draining => " finishing requests",
        };
        let other = if process.version == version {
            String::new()
        } else {
            format!(" (version {})", sanitize(&process.version))
        };
        format!("{role} {}{does}{other}", process.pid)
    });
    let line = shown.collect::<Vec<_>>().join(", ");
    match &list.reload {
        Some(reload) if reload.outcome.is_none() => format!("{line}; a reload is under way"),
        _ => line,
    }
}

/// The exposure mode, if it is unusual.
fn exposure(node: &NodeObject) -> Option<String> {
    match (node.exposure?, node.kind.map(EngineKind::exposure)) {
        (ExposureMode::Published, _) => {
            Some("exposure  containers are reached at ports published on 127.0.0.1".to_owned())
        }
        (ExposureMode::Bridge, Some(ExposureMode::Published)) => Some(format!(
            "exposure  {MARK} --exposure bridge is set, but bridge networks of this Engine cannot be reached from outside"
        )),
        (ExposureMode::Bridge, _) => None,
    }
}
