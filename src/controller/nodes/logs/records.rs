//! Records of a log: a container's lines, and notices about its replica.

use futures::StreamExt;
use futures::stream::BoxStream;

use crate::agent::{EngineError, LogLine, LogLines, LogOptions, NodeRequests};
use crate::controller::queries::LogEntry;
use crate::model::{ContainerId, ReplicaName};

/// The records of one log or of several, in the order of their times.
pub(super) type RecordStream = BoxStream<'static, Result<LogEntry, EngineError>>;

/// A record that the daemon wrote, not the replica.
pub(super) fn notice(replica: &ReplicaName, at: Option<jiff::Timestamp>, text: String) -> LogEntry {
    LogEntry { replica: replica.clone(), at, stderr: false, text, life: true }
}

/// Opens the log of a replica's container.
pub(super) async fn open(
    node: &dyn NodeRequests,
    replica: &ReplicaName,
    container: &ContainerId,
    options: &LogOptions,
) -> Result<RecordStream, EngineError> {
    Ok(of_lines(replica, node.logs(container, options).await?))
}

/// The records of a replica's container.
pub(super) fn of_lines(replica: &ReplicaName, lines: LogLines) -> RecordStream {
    let replica = replica.clone();
    let record = move |line: LogLine| LogEntry {
        replica: replica.clone(),
        at: line.at,
        stderr: line.stderr,
        text: line.text,
        life: false,
    };
    // The container may be removed while its log is opened: the stream ends, and the other logs are not affected.
    let still_exists = |line: &Result<_, EngineError>| {
        std::future::ready(!line.as_ref().is_err_and(EngineError::is_not_found))
    };
    lines.take_while(still_exists).map(move |line| line.map(&record)).boxed()
}
