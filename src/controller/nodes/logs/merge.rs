//! The records of several logs as one stream, in the order of their times.
//!
//! Invariants: at most one record of each log is buffered, so a slow client holds back the containers' logs and not our
//! memory; a record waits at most [`PATIENCE`] for a log that has nothing to read, and not at all for one that has been
//! silent longer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::time::{Sleep, sleep};

use super::records::RecordStream;
use crate::agent::EngineError;
use crate::controller::LogEntry;

/// How long a record waits for an earlier one of another log: Docker delivers what it has within a few milliseconds, and
/// no reader notices this delay.
const PATIENCE: Duration = Duration::from_millis(50);

type Record = Result<LogEntry, EngineError>;

/// The next record of one log.
enum Head {
    /// It was taken, or never read.
    Unread,
    Buffered(Record),
    /// The log has nothing to read; it is silent once this sleep ends.
    Awaited(Pin<Box<Sleep>>),
    /// The log has had nothing to read for [`PATIENCE`].
    Silent,
}

/// One of the merged logs.
struct MergedLog {
    records: RecordStream,
    head: Head,
}

impl MergedLog {
    /// Reads the next record; `false` at the end of the log.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> bool {
        if let Head::Buffered(_) = self.head {
            return true;
        }
        match self.records.poll_next_unpin(cx) {
            Poll::Ready(Some(record)) => self.head = Head::Buffered(record),
            Poll::Ready(None) => return false,
            Poll::Pending => self.poll_patience(cx),
        }
        true
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) {
        if let Head::Unread = self.head {
            self.head = Head::Awaited(Box::pin(sleep(PATIENCE)));
        }
        if let Head::Awaited(patience) = &mut self.head
            && patience.as_mut().poll(cx).is_ready()
        {
            self.head = Head::Silent;
        }
    }
}

/// The index of the earliest record; `None` where there is none, or an earlier one may come within [`PATIENCE`]. A record
/// without a time is the earliest.
fn earliest<'a>(heads: impl Iterator<Item = &'a Head>) -> Option<usize> {
    let mut earliest: Option<(usize, &Option<jiff::Timestamp>)> = None;
    for (index, head) in heads.enumerate() {
        match head {
            Head::Buffered(record) => {
                let at = time(record);
                if earliest.is_none_or(|(_, before)| at < before) {
                    earliest = Some((index, at));
                }
            }
            Head::Unread | Head::Awaited(_) => return None,
            Head::Silent => {}
        }
    }
    earliest.map(|(index, _)| index)
}

fn time(record: &Record) -> &Option<jiff::Timestamp> {
    record.as_ref().map_or(&None, |record| &record.at)
}

/// Several logs as one; further logs can be added. Ends when all have ended.
#[derive(Default)]
pub(super) struct LogMerge {
    logs: Vec<MergedLog>,
}

impl LogMerge {
    pub(super) fn push(&mut self, records: RecordStream) {
        self.logs.push(MergedLog { records, head: Head::Unread });
    }

    /// How many logs have not ended.
    pub(super) fn len(&self) -> usize {
        self.logs.len()
    }
}

impl Stream for LogMerge {
    type Item = Record;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Record>> {
        self.logs.retain_mut(|log| log.poll_head(cx));
        let Some(index) = earliest(self.logs.iter().map(|log| &log.head)) else {
            return if self.logs.is_empty() { Poll::Ready(None) } else { Poll::Pending };
        };
        match std::mem::replace(&mut self.logs[index].head, Head::Unread) {
            Head::Buffered(record) => Poll::Ready(Some(record)),
            Head::Unread | Head::Awaited(_) | Head::Silent => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_at(replica: &str, at: Option<i64>) -> Record {
        Ok(LogEntry {
            replica: replica.into(),
            at: at.and_then(|second| jiff::Timestamp::from_second(second).ok()),
            stderr: false,
            text: at.map(|second| second.to_string()).unwrap_or_default(),
            life: false,
        })
    }

    fn log(replica: &str, seconds: &[i64]) -> RecordStream {
        let records: Vec<Record> = seconds.iter().map(|second| record_at(replica, Some(*second))).collect();
        futures::stream::iter(records).boxed()
    }

    async fn texts(merge: LogMerge) -> Vec<String> {
        merge.map(|record| record.map(|record| record.text).unwrap_or_default()).collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn earliest_waits_for_logs_that_were_read_lately() {
        let buffered = |at| Head::Buffered(record_at("a", at));
        let awaited = || Head::Awaited(Box::pin(sleep(PATIENCE)));
        let rows = [
            (vec![], None),
            (vec![awaited()], None),
            (vec![Head::Silent], None),
            (vec![buffered(Some(2)), buffered(Some(1))], Some(1)),
            (vec![buffered(Some(1)), buffered(Some(1))], Some(0)),
            (vec![buffered(Some(1)), buffered(None)], Some(1)),
            (vec![buffered(Some(1)), awaited()], None),
            (vec![buffered(Some(1)), Head::Silent], Some(0)),
        ];
        for (row, (heads, expected)) in rows.iter().enumerate() {
            assert_eq!(earliest(heads.iter()), *expected, "row {row}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn merge_orders_records_by_time() {
        let mut merge = LogMerge::default();
        [log("a", &[1, 4, 5]), log("b", &[2, 3, 9]), log("c", &[])]
            .into_iter()
            .for_each(|log| merge.push(log));
        assert_eq!(texts(merge).await, ["1", "2", "3", "4", "5", "9"]);
    }

    #[tokio::test(start_paused = true)]
    async fn silent_log_delays_the_others_once() {
        let mut merge = LogMerge::default();
        merge.push(log("a", &[1, 2, 3]));
        merge.push(futures::stream::pending().boxed());
        let read = async {
            for expected in ["1", "2", "3"] {
                assert_eq!(merge.next().await.unwrap().unwrap().text, expected);
            }
        };
        tokio::time::timeout(PATIENCE * 2, read).await.expect("one delay for three records");
    }

    #[tokio::test(start_paused = true)]
    async fn earlier_record_that_comes_within_patience_is_first() {
        let late = futures::stream::once(async {
            sleep(PATIENCE / 2).await;
            record_at("b", Some(1))
        });
        let mut merge = LogMerge::default();
        merge.push(log("a", &[2, 3]));
        merge.push(late.boxed());
        assert_eq!(texts(merge).await, ["1", "2", "3"]);
    }
}
