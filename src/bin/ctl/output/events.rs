//! Lines of events and logs, as they stream in. Pure.

use coxswain::api::types::{EventObject, LogEntry};
use coxswain::model::{EventKind, ReplicaName};

use super::table::MARK;
use coxswain::model::sanitize;

/// Wide enough for most objects, so that the columns of a stream line up.
const OBJECT_WIDTH: usize = 20;
/// As wide as the longest common reasons.
const REASON_WIDTH: usize = 16;

/// `2026-01-01T00:00:00Z ! replica/web-4-b  HealthCheckFailing  GET /healthz → 503`.
pub(crate) fn event(event: &EventObject) -> String {
    let EventObject { at, object, kind, reason, message, cut_requests: _ } = event;
    let mark = if *kind == EventKind::Warning { MARK } else { " " };
    format!("{at:.0} {mark} {object:<OBJECT_WIDTH$}  {reason:<REASON_WIDTH$}  {}", sanitize(message))
}

/// A log line. With several replicas the name comes first, in a colour per replica if colours are on.
pub(crate) fn log(record: &LogEntry, named: bool, colours: bool) -> String {
    let text = sanitize(&record.text);
    let replica = &record.replica;
    match (named, colours) {
        (false, _) => text,
        (true, false) => format!("{replica} | {text}"),
        (true, true) => format!("\x1b[{}m{replica}\x1b[0m | {text}", colour_of(replica)),
    }
}

/// `--- users-9-a ready after 2.2s`, distinct from container output.
pub(crate) fn life(record: &LogEntry) -> String {
    format!("--- {} {}", record.replica, sanitize(&record.text))
}

/// One of six colours that are readable on dark and light, stable per name.
fn colour_of(replica: &ReplicaName) -> u8 {
    let sum = replica.as_str().bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    31 + sum % 6
}
