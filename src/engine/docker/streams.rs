//! Calls whose response is a stream: pull, events, logs.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::{CreateImageOptionsBuilder, EventsOptionsBuilder, LogsOptionsBuilder};
use futures::stream::{BoxStream, StreamExt};
use tokio::time::timeout;

use super::credentials::{self, Login};
use super::{DockerEngine, QUICK, of_client, search_path};
use crate::engine::classify::{CallFailure, CallObject, classify};
use crate::engine::{EngineError, EngineEvent, LogLine, LogOptions, translate};
use crate::model::ContainerId;
use crate::model::image_reference::with_default_tag;

/// A pull without progress for this long is stuck; with progress it may take any time.
const PULL_SILENCE: Duration = Duration::from_secs(300);

/// A log that is not followed and yields nothing for this long is stuck.
const LOG_SILENCE: Duration = Duration::from_secs(30);

/// A line longer than this is passed on in pieces; Docker itself cuts at 16 KiB and we join its pieces.
const LINE_MAX: usize = 256 * 1024;

impl DockerEngine {
    pub(super) async fn pull_to_end(&self, reference: &str) -> Result<(), EngineError> {
        let login = match &self.credentials {
            Some(file) => credentials::login(file, &search_path(), reference).await,
            None => Login::Nothing,
        };
        let (known, unusable) = match login {
            Login::Known(known) => (Some(known), None),
            Login::Nothing => (None, None),
            Login::Unusable(why) => {
                tracing::warn!(image = reference, "pulling without a login: {why}");
                (None, Some(why))
            }
        };
        let client = self.client().await?;
        let options = CreateImageOptionsBuilder::new().from_image(&with_default_tag(reference)).build();
        let mut progress = Box::pin(client.create_image(Some(options), None, known));
        let failure = loop {
            match timeout(PULL_SILENCE, progress.next()).await {
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => break of_client(&error),
                Ok(None) => return Ok(()),
                Err(_) => break CallFailure::Timeout,
            }
        };
        let error = classify(&self.socket, "pull", CallObject::Pull(reference), failure);
        Err(match (error, unusable) {
            (EngineError::PullDenied { image, message }, Some(why)) => {
                EngineError::PullDenied { image, message: format!("{message} ({why})") }
            }
            (error, _) => error,
        })
    }

    /// Without `since`, from the Engine's own time before the request: what happens while the stream is being opened is
    /// then delivered too.
    pub(super) async fn event_stream(
        &self,
        since: Option<jiff::Timestamp>,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        let since = match since {
            Some(since) => since,
            None => self.engine_time().await?,
        };
        let client = self.client().await?;
        let since = format!("{}.{:09}", since.as_second(), since.subsec_nanosecond());
        let filters = HashMap::from([("type", vec!["container", "network"])]);
        let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
        let socket = self.socket.clone();
        let ended = EngineError::Unanswered { call: "events", message: "the stream ended".to_owned() };
        let events = client.events(Some(options)).filter_map(move |item| {
            let item = match item {
                Ok(event) => translate::event(event).map(Ok),
                Err(error) => Some(Err(classify(&socket, "events", CallObject::Engine, of_client(&error)))),
            };
            std::future::ready(item)
        });
        Ok(events.chain(futures::stream::once(std::future::ready(Err(ended)))).boxed())
    }

    async fn engine_time(&self) -> Result<jiff::Timestamp, EngineError> {
        let info =
            self.ask("info", CallObject::Engine, QUICK, |docker| async move { docker.info().await }).await?;
        info.system_time.as_deref().and_then(|text| text.parse().ok()).ok_or_else(|| EngineError::Failed {
            call: "info",
            status: 200,
            message: "the answer has no time".to_owned(),
        })
    }

    pub(super) async fn log_stream(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError> {
        let mut query =
            LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).follow(options.follow);
        if let Some(tail) = options.tail {
            query = query.tail(&tail.to_string());
        }
        if let Some(since) = options.since {
            // Docker takes whole seconds; earlier lines are dropped below.
            query = query.since(i32::try_from(since.as_second()).unwrap_or(i32::MAX));
        }
        let client = self.client().await?;
        let reader = LogReader {
            parts: client.logs(id.as_str(), Some(query.build())).boxed(),
            socket: self.socket.clone(),
            container: id.clone(),
            silence: (!options.follow).then_some(LOG_SILENCE),
            lines: LineAssembler::default(),
            ready: VecDeque::new(),
            ended: false,
        };
        let since = options.since;
        let recent = move |item: &Result<LogLine, EngineError>| match (item, since) {
            (Ok(LogLine { at: Some(at), .. }), Some(since)) => *at >= since,
            _ => true,
        };
        let lines = futures::stream::unfold(reader, LogReader::next);
        Ok(lines.filter(move |item| std::future::ready(recent(item))).boxed())
    }
}

/// Reads a log and joins its parts to lines.
struct LogReader {
    parts: BoxStream<'static, Result<LogOutput, bollard::errors::Error>>,
    socket: String,
    container: ContainerId,
    silence: Option<Duration>,
    lines: LineAssembler,
    ready: VecDeque<LogLine>,
    ended: bool,
}

impl LogReader {
    async fn next(mut self) -> Option<(Result<LogLine, EngineError>, Self)> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some((Ok(line), self));
            }
            if self.ended {
                return None;
            }
            let part = match self.silence {
                Some(silence) => timeout(silence, self.parts.next()).await,
                None => Ok(self.parts.next().await),
            };
            let failure = match part {
                Ok(Some(Ok(part))) => {
                    self.ready.extend(self.lines.take(part));
                    continue;
                }
                Ok(Some(Err(error))) => of_client(&error),
                Ok(None) => {
                    self.ended = true;
                    self.ready.extend(self.lines.rest());
                    continue;
                }
                Err(_) => CallFailure::Timeout,
            };
            self.ended = true;
            let about = CallObject::Log(self.container.as_str());
            let error = classify(&self.socket, "logs", about, failure);
            return Some((Err(error), self));
        }
    }
}

/// Joins parts of the two outputs to lines.
#[derive(Default)]
struct LineAssembler {
    stdout: Option<Pending>,
    stderr: Option<Pending>,
}

struct Pending {
    at: Option<jiff::Timestamp>,
    bytes: Vec<u8>,
}

impl Pending {
    fn line(self, stderr: bool) -> LogLine {
        let text = String::from_utf8_lossy(&self.bytes);
        LogLine { at: self.at, stderr, text: text.trim_end_matches(['\n', '\r']).to_owned() }
    }
}

impl LineAssembler {
    /// Adds a part, which starts with its time; returns the line if it is complete or too long.
    fn take(&mut self, part: LogOutput) -> Option<LogLine> {
        let stderr = matches!(part, LogOutput::StdErr { .. });
        let waiting = if stderr { &mut self.stderr } else { &mut self.stdout };
        let (at, bytes) = split_time(part.as_ref());
        let pending = waiting.get_or_insert_with(|| Pending { at, bytes: Vec::new() });
        pending.bytes.extend_from_slice(bytes);
        let complete = pending.bytes.ends_with(b"\n") || pending.bytes.len() >= LINE_MAX;
        if complete { waiting.take().map(|pending| pending.line(stderr)) } else { None }
    }

    /// Lines without a line end.
    fn rest(&mut self) -> impl Iterator<Item = LogLine> + use<> {
        let rest = [(self.stdout.take(), false), (self.stderr.take(), true)];
        rest.into_iter().filter_map(|(pending, stderr)| pending.map(|p| p.line(stderr)))
    }
}

/// `2026-11-22T22:15:00.123456789Z text` → both.
fn split_time(part: &[u8]) -> (Option<jiff::Timestamp>, &[u8]) {
    let end = part.iter().position(|b| *b == b' ').unwrap_or(0);
    let (time, text) = part.split_at(end);
    match std::str::from_utf8(time).ok().and_then(|time| time.parse().ok()) {
        Some(at) => (Some(at), text.strip_prefix(b" ").unwrap_or(text)),
        None => (None, part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str) -> LogOutput {
        LogOutput::StdOut { message: text.to_owned().into() }
    }

    fn err(text: &str) -> LogOutput {
        LogOutput::StdErr { message: text.to_owned().into() }
    }

    #[test]
    fn line_assembler_joins_parts_per_output() {
        let mut lines = LineAssembler::default();
        assert_eq!(lines.take(out("2026-11-22T22:15:00.000000001Z one ")), None);
        let other = lines.take(err("2026-11-22T22:15:01Z oops\n")).unwrap();
        assert_eq!((other.stderr, other.text.as_str()), (true, "oops"));
        let line = lines.take(out("2026-11-22T22:15:02Z two\r\n")).unwrap();
        assert_eq!(line.text, "one two");
        assert_eq!(line.at.unwrap().to_string(), "2026-11-22T22:15:00.000000001Z");
        assert_eq!(lines.take(out("no time and no end")), None);
        let rest: Vec<LogLine> = lines.rest().collect();
        assert_eq!(rest.len(), 1);
        assert_eq!((rest[0].at, rest[0].text.as_str()), (None, "no time and no end"));
    }

    #[test]
    fn line_assembler_cuts_a_line_without_end() {
        let mut lines = LineAssembler::default();
        let long = lines.take(out(&"x".repeat(LINE_MAX))).unwrap();
        assert_eq!(long.text.len(), LINE_MAX);
    }
}
