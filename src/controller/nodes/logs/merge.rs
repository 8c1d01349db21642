//! LogLines of several logs as one stream, in the order of their times.
//!
//! Invariants: one line of each log is held at most, so a slow reader holds back the containers' logs and not our memory;
//! a line waits no longer than [`PATIENCE`] for logs that are silent, and not at all for those that have long been.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::time::{Instant, Sleep};

use super::lines::LogLines;
use crate::agent::EngineError;
use crate::controller::LogRecord;

/// How long an earlier line of another log is waited for: what Docker has is read within a few milliseconds, and nobody
/// notices this delay.
const PATIENCE: Duration = Duration::from_millis(50);

type Line = Result<LogRecord, EngineError>;

/// One log.
struct Source {
    lines: LogLines,
    head: Option<Line>,
    /// When it last brought a line, or was taken in.
    heard: Instant,
}

/// What comes next of several logs.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// The line of this one.
    Line(usize),
    /// An earlier line may come until then.
    Wait(Instant),
    /// There is no line.
    Nothing,
}

/// The earliest line, once every log that spoke lately has one. A line without a time is the earliest.
fn next<'a>(
    sources: impl Iterator<Item = (Option<&'a Option<jiff::Timestamp>>, Instant)>,
    now: Instant,
) -> Next {
    let mut first: Option<(usize, &Option<jiff::Timestamp>)> = None;
    let mut wait: Option<Instant> = None;
    for (index, (head, heard)) in sources.enumerate() {
        match head {
            Some(at) if first.is_none_or(|(_, earliest)| at < earliest) => first = Some((index, at)),
            Some(_) => {}
            None if heard + PATIENCE > now => wait = wait.max(Some(heard + PATIENCE)),
            None => {}
        }
    }
    match (first, wait) {
        (Some(_), Some(until)) => Next::Wait(until),
        (Some((index, _)), None) => Next::Line(index),
        (None, _) => Next::Nothing,
    }
}

/// Several logs as one; others can join. Ends when all have ended.
#[derive(Default)]
pub(super) struct Merge {
    sources: Vec<Source>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Merge {
    pub(super) fn push(&mut self, lines: LogLines) {
        self.sources.push(Source { lines, head: None, heard: Instant::now() });
    }

    /// How many have not ended.
    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }

    fn fill(&mut self, cx: &mut Context<'_>) {
        self.sources.retain_mut(|source| {
            if source.head.is_none()
                && let Poll::Ready(line) = source.lines.poll_next_unpin(cx)
            {
                source.head = line;
                source.heard = Instant::now();
                return source.head.is_some();
            }
            true
        });
    }
}

fn time(line: &Line) -> &Option<jiff::Timestamp> {
    line.as_ref().map_or(&None, |record| &record.at)
}

impl Stream for Merge {
    type Item = Line;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Line>> {
        loop {
            self.fill(cx);
            let sources = self.sources.iter().map(|source| (source.head.as_ref().map(time), source.heard));
            match next(sources, Instant::now()) {
                Next::Line(index) => return Poll::Ready(self.sources[index].head.take()),
                Next::Nothing if self.sources.is_empty() => return Poll::Ready(None),
                Next::Nothing => return Poll::Pending,
                Next::Wait(until) => {
                    let mut sleep = Box::pin(tokio::time::sleep_until(until));
                    let over = sleep.as_mut().poll(cx).is_ready();
                    self.sleep = Some(sleep);
                    if !over {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(replica: &str, second: i64) -> Line {
        Ok(LogRecord {
            replica: replica.into(),
            at: jiff::Timestamp::from_second(second).ok(),
            stderr: false,
            text: second.to_string(),
            life: false,
        })
    }

    fn log(replica: &str, seconds: &[i64]) -> LogLines {
        let lines: Vec<Line> = seconds.iter().map(|second| record(replica, *second)).collect();
        futures::stream::iter(lines).boxed()
    }

    async fn texts(merge: Merge) -> Vec<String> {
        merge.map(|line| line.map(|line| line.text).unwrap_or_default()).collect().await
    }

    #[test]
    fn a_line_waits_for_those_that_spoke_lately() {
        let now = Instant::now() + PATIENCE * 4;
        let at = |second| Some(jiff::Timestamp::from_second(second).unwrap());
        let (long_ago, lately) = (now - PATIENCE, now - PATIENCE / 2);
        let rows = [
            (vec![], Next::Nothing),
            (vec![(None, lately)], Next::Nothing),
            (vec![(Some(at(2)), lately), (Some(at(1)), long_ago)], Next::Line(1)),
            (vec![(Some(at(1)), lately), (Some(at(1)), lately)], Next::Line(0)),
            (vec![(Some(at(1)), lately), (Some(None), lately)], Next::Line(1)),
            (vec![(Some(at(1)), lately), (None, lately)], Next::Wait(lately + PATIENCE)),
            (vec![(Some(at(1)), lately), (None, long_ago)], Next::Line(0)),
        ];
        for (sources, expected) in rows {
            let heads = sources.iter().map(|(head, heard)| (head.as_ref(), *heard));
            assert_eq!(next(heads, now), expected, "{sources:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn logs_merge_by_time() {
        let mut merge = Merge::default();
        [log("a", &[1, 4, 5]), log("b", &[2, 3, 9]), log("c", &[])]
            .into_iter()
            .for_each(|log| merge.push(log));
        assert_eq!(texts(merge).await, ["1", "2", "3", "4", "5", "9"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_log_holds_nothing_back_for_long() {
        let mut merge = Merge::default();
        merge.push(log("a", &[1, 2, 3]));
        merge.push(futures::stream::pending().boxed());
        let start = Instant::now();
        for expected in ["1", "2", "3"] {
            assert_eq!(merge.next().await.unwrap().unwrap().text, expected);
        }
        assert!(start.elapsed() <= PATIENCE * 2, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_line_that_comes_soon_comes_first() {
        let late = futures::stream::once(async {
            tokio::time::sleep(PATIENCE / 2).await;
            record("b", 1)
        });
        let mut merge = Merge::default();
        merge.push(log("a", &[2, 3]));
        merge.push(late.boxed());
        assert_eq!(texts(merge).await, ["1", "2", "3"]);
    }
}
