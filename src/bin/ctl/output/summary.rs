//! `ctl status` as text. PURE.

use coxswain::api::types::{DaemonStatus, HostObject};
use coxswain::model::{EngineKind, Reach};

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
        host,
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
    let engine = plain(&host.engine);
    let reach = reach(host);
    let limits = match host.unenforced.as_slice() {
        [] => None,
        some => Some(format!("limits    of {} are not enforced by this Docker Engine", some.join(" and "))),
    };
    let host = match (host.available, host.name.as_str()) {
        (true, name) => format!("{name}, {engine}, {} containers", host.containers),
        // Before its first answer not even its name is known.
        (false, "") => engine.to_string(),
        (false, name) => format!("{name}, {engine}; {} containers when it last answered", host.containers),
    };
    let mut lines = vec![
        format!("daemon    version {version}, pid {pid}, up {up}"),
        format!("host      {host}"),
        format!("entry     {}", http.iter().map(|a| format!("http://{a}")).collect::<Vec<_>>().join(", ")),
        format!("balancer  {balancer}"),
        format!("store     {store}, revision {store_revision}"),
        format!("services  {services}"),
    ];
    lines.splice(2..2, reach.into_iter().chain(limits));
    lines.extend(conditions.iter().filter(|condition| condition.status).map(|condition| {
        format!("{MARK} {}  {}", condition.reason, plain(&condition.message)).trim_end().to_owned()
    }));
    lines.join("\n")
}

/// How containers are reached, where that is not as usual.
fn reach(host: &HostObject) -> Option<String> {
    match (host.reach?, host.kind.map(EngineKind::reach)) {
        (Reach::Published, _) => {
            Some("reach     containers are reached at ports published on 127.0.0.1".to_owned())
        }
        (Reach::Bridge, Some(Reach::Published)) => Some(format!(
            "reach   {MARK} by --reach bridge, and this Engine keeps its bridge networks to itself"
        )),
        (Reach::Bridge, _) => None,
    }
}
