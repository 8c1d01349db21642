//! A look into a container that does not get healthy: its last lines, and what listens in it.

use std::time::Duration;

use futures::StreamExt;

use crate::engine::{Engine, EngineError, LogOptions};
use crate::model::{ContainerId, ListeningSocket, sanitize};

/// Lines of its log that are kept: enough for the end of a stack trace. They go into the store and onto a terminal.
const LOG_LINES: u32 = 10;
/// Characters kept of each.
const LINE_CHARS: usize = 200;
/// The whole look takes no longer; what was found until then counts.
const DEADLINE: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The last lines of its log, oldest first.
    pub log: Vec<String>,
    /// What listens in it; `None` where that is not known.
    pub listening: Option<Vec<ListeningSocket>>,
}

/// Looks. What cannot be found out is left out: evidence is no reason to hold anything up.
pub(super) async fn examine(engine: &dyn Engine, container: &ContainerId) -> Findings {
    let mut found = Findings::default();
    let look = async {
        found.listening = engine.listening(container).await.unwrap_or_else(|error| {
            tracing::debug!(%container, %error, "cannot see what listens");
            None
        });
        if let Err(error) = read_log(engine, container, &mut found.log).await {
            tracing::debug!(%container, %error, "cannot read the log");
        }
    };
    if tokio::time::timeout(DEADLINE, look).await.is_err() {
        tracing::debug!(%container, "the look into a container took too long");
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
        log.extend(legible(&line?.text));
        // An Engine that sends more than was asked for is no reason to keep more.
        let surplus = log.len().saturating_sub(LOG_LINES as usize);
        log.drain(..surplus);
    }
    Ok(())
}

/// A line without control characters and not too long; `None` if nothing is left of it.
fn legible(text: &str) -> Option<String> {
    let line: String = sanitize(text).chars().take(LINE_CHARS).collect();
    let line = line.trim_end();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_legible() {
        assert_eq!(legible("\x1b[31mpanic\x07\r"), Some("panic".to_owned()));
        assert_eq!(legible(" \r"), None);
        assert_eq!(legible(&"ü".repeat(500)).map(|line| line.chars().count()), Some(LINE_CHARS));
    }
}
