//! Collects evidence from a container that fails: the last lines of its log, and which ports it listens on.

use std::time::Duration;

use futures::StreamExt;

use crate::engine::{Engine, EngineError, LogOptions};
use crate::model::{ContainerId, Evidence, sanitize};

/// Lines kept of its log: enough for the end of a stack trace. They go into the store and onto a terminal.
const LOG_LINES: u32 = 10;
/// Characters kept of each.
const LINE_CHARS: usize = 200;
/// The examination takes no longer; what was found until then counts.
const DEADLINE: Duration = Duration::from_secs(5);

/// Examines a container. What fails is left out: missing evidence must not block anything.
pub(super) async fn examine(engine: &dyn Engine, container: &ContainerId) -> Evidence {
    let mut found = Evidence::default();
    let examination = async {
        found.listening = engine.listening(container).await.unwrap_or_else(|error| {
            tracing::debug!(%container, %error, "cannot list the listening sockets");
            None
        });
        if let Err(error) = read_log(engine, container, &mut found.log).await {
            tracing::debug!(%container, %error, "cannot read the log");
        }
    };
    if tokio::time::timeout(DEADLINE, examination).await.is_err() {
        tracing::debug!(%container, "examining the container timed out");
    }
    found
}

async fn read_log(
    engine: &dyn Engine,
    container: &ContainerId,
    log: &mut Vec<String>,
) -> Result<(), EngineError> {
    let options = LogOptions { tail: Some(LOG_LINES), ..LogOptions::default() };
    let mut lines = engine.logs(container, &options).await?;
    while let Some(line) = lines.next().await {
        log.extend(bounded_line(&line?.text));
        // Even if the Engine sends more than requested.
        let surplus = log.len().saturating_sub(LOG_LINES as usize);
        log.drain(..surplus);
    }
    Ok(())
}

/// A line without control characters and not too long; `None` if nothing is left of it.
fn bounded_line(text: &str) -> Option<String> {
    let line: String = sanitize(text).chars().take(LINE_CHARS).collect();
    let line = line.trim_end();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_line_sanitizes_and_cuts() {
        assert_eq!(bounded_line("\x1b[31mpanic\x07\r"), Some("panic".to_owned()));
        assert_eq!(bounded_line(" \r"), None);
        assert_eq!(bounded_line(&"ü".repeat(500)).map(|line| line.chars().count()), Some(LINE_CHARS));
    }
}
