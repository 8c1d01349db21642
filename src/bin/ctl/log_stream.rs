//! Followed logs as a stream that survives a restart of the daemon: each line once.

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain::api::client::{ApiClient, ObjectStream};
use coxswain::api::types::{ApiError, LogEntry, LogQuery};
use coxswain::clock::wall_time;
use coxswain::model::ReplicaName;

use crate::reconnect::StreamSource;

/// A line comes this much later than a line of another replica with the same time, at most: so far back a stream begins that
/// is opened again.
const LATEST_LINE: Duration = Duration::from_secs(10);

pub(crate) struct LogSource {
    client: ApiClient,
    query: LogQuery,
    /// When the stream was first opened.
    opened_at: Option<jiff::Timestamp>,
    /// The latest time of each replica's lines.
    last: BTreeMap<ReplicaName, jiff::Timestamp>,
    /// The same when the stream was opened again: up to then all lines came.
    before_outage: BTreeMap<ReplicaName, jiff::Timestamp>,
}

impl LogSource {
    pub(crate) fn new(client: ApiClient, query: LogQuery) -> Self {
        Self { client, query, opened_at: None, last: BTreeMap::new(), before_outage: BTreeMap::new() }
    }
}

impl StreamSource for LogSource {
    type Item = LogEntry;

    async fn open(&mut self) -> Result<ObjectStream<LogEntry>, ApiError> {
        self.before_outage.clone_from(&self.last);
        match self.opened_at {
            None => self.opened_at = Some(wall_time()),
            Some(opened_at) => {
                let last = self.last.values().max().and_then(|last| last.checked_sub(LATEST_LINE).ok());
                self.query.options.tail = None;
                self.query.options.since = Some(last.unwrap_or(opened_at)).max(self.query.options.since);
            }
        }
        self.client.logs(&self.query).await
    }

    fn is_new(&mut self, entry: &LogEntry) -> bool {
        let Some(at) = entry.at.filter(|_| !entry.life) else { return true };
        if self.before_outage.get(&entry.replica).is_some_and(|last| at <= *last) {
            return false;
        }
        // Lines of both outputs may come in another order than that of their times.
        let last = self.last.entry(entry.replica.clone()).or_insert(at);
        *last = at.max(*last);
        true
    }

    /// Logs end when nothing is left to follow. A daemon that stops says so with an error.
    fn end(&self) -> Option<ApiError> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(replica: &str, second: i64) -> LogEntry {
        let at = jiff::Timestamp::from_second(second).ok();
        LogEntry { replica: replica.into(), at, stderr: false, text: String::new(), life: false }
    }

    #[test]
    fn is_new_is_false_for_lines_from_before_the_outage_alone() {
        let mut source = LogSource::new(ApiClient::new("/nowhere"), LogQuery::default());
        for (replica, second) in [("users-1-a", 5), ("users-1-a", 4), ("users-1-b", 2)] {
            assert!(source.is_new(&line(replica, second)), "one that comes late is no repetition");
        }
        source.before_outage.clone_from(&source.last);
        let rows =
            [("users-1-a", 5, false), ("users-1-a", 6, true), ("users-1-b", 3, true), ("users-1-c", 1, true)];
        for (replica, second, is_new) in rows {
            assert_eq!(source.is_new(&line(replica, second)), is_new, "{replica} {second}");
        }
        let notice = LogEntry { life: true, ..line("users-1-a", 1) };
        assert!(source.is_new(&notice), "notices are never repeated");
    }
}
