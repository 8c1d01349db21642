//! `ctl status` as text. PURE.

use coxswain::api::types::{DaemonStatus, NodeObject};
use coxswain::model::{EngineKind, ExposureMode};

use super::age::seconds;
use super::plain::plain;
use super::table::MARK;

/// A line per part of the daemon, then a line per condition.
pub(crate) fn daemon(status: &DaemonStatus) -> String {
    let DaemonStatus {
        version,
        pid,
        uptime,
        store,
        store_revision,
        node,
        table,
        acknowledged,
        http,
        services,
        conditions,
    } = status;
    let up = seconds(i64::try_from(uptime.0 / 1000).unwrap_or(i64::MAX));
    let balancer = match (table, acknowledged) {
        (_, None) => "not connected; it serves its last table".to_owned(),
        (Some(table), Some(acknowledged)) if table == acknowledged => {
            format!("serves table {}, the newest", table.revision)
        }
        // Tables are counted anew by each controller.
        (Some(table), Some(old)) if table.epoch != old.epoch => {
            format!("serves a table of the controller before this one; the newest is {}", table.revision)
        }
        (Some(table), Some(old)) => {
            format!("serves table {}, the newest is {}", old.revision, table.revision)
        }
        (None, Some(old)) => format!("serves table {}; none is published yet", old.revision),
    };
    let engine = plain(&node.engine);
    let exposure = exposure(node);
    let limits = match node.unenforced.as_slice() {
        [] => None,
        some => Some(format!("limits    of {} are not enforced by this Docker Engine", some.join(" and "))),
    };
    let node = match (node.available, node.name.as_str()) {
        (true, name) => format!("{name}, {engine}, {} containers", node.containers),
        // Before its first answer not even its name is known.
        (false, "") => engine.to_string(),
        (false, name) => format!("{name}, {engine}; {} containers when it last answered", node.containers),
    };
    let mut lines = vec![
        format!("daemon    version {version}, pid {pid}, up {up}"),
        format!("node      {node}"),
        format!("entry     {}", http.iter().map(|a| format!("http://{a}")).collect::<Vec<_>>().join(", ")),
        format!("balancer  {balancer}"),
        format!("store     {store}, revision {store_revision}"),
        format!("services  {services}"),
    ];
    lines.splice(2..2, exposure.into_iter().chain(limits));
    lines.extend(conditions.iter().filter(|condition| condition.status).map(|condition| {
        format!("{MARK} {}  {}", condition.reason, plain(&condition.message)).trim_end().to_owned()
    }));
    lines.join("\n")
}

/// How containers are reached, where that is not as usual.
fn exposure(node: &NodeObject) -> Option<String> {
    match (node.exposure?, node.kind.map(EngineKind::exposure)) {
        (ExposureMode::Published, _) => {
            Some("exposed    containers are reached at ports published on 127.0.0.1".to_owned())
        }
        (ExposureMode::Bridge, Some(ExposureMode::Published)) => Some(format!(
            "exposed  {MARK} by --exposure bridge, and this Engine keeps its bridge networks to itself"
        )),
        (ExposureMode::Bridge, _) => None,
    }
}
