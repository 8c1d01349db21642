//! Lines of events and logs, one at a time as they come. PURE.

use coxswain::api::types::LogRecord;
use coxswain::model::{Event, EventKind};

use super::plain::plain;
use super::table::MARK;

/// Wide enough for most objects, so that the lines of a stream line up.
const OBJECT_WIDTH: usize = 20;
/// As wide as the longest reasons that are common.
const REASON_WIDTH: usize = 16;

/// `2026-01-01T00:00:00Z ! replica/web-4-b  HealthCheckFailing  GET /healthz → 503`.
pub(crate) fn event(event: &Event) -> String {
    let Event { at, object, kind, reason, message } = event;
    let mark = if *kind == EventKind::Warning { MARK } else { " " };
    format!("{at:.0} {mark} {object:<OBJECT_WIDTH$}  {reason:<REASON_WIDTH$}  {}", plain(message))
}

/// A line of a log; the replica is named where several are shown.
pub(crate) fn log(record: &LogRecord, named: bool) -> String {
    let text = plain(&record.text);
    if named { format!("{} | {text}", record.replica) } else { text }
}
