//! Lines of logs.

use serde::{Deserialize, Serialize};

use crate::controller::LogRecord;
use crate::model::ReplicaName;

/// A line of a replica's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    pub replica: ReplicaName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<jiff::Timestamp>,
    pub stderr: bool,
    pub text: String,
    /// Whether it says what happened to the replica, instead of what the container wrote.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub life: bool,
}

impl From<LogRecord> for LogEntry {
    fn from(record: LogRecord) -> Self {
        let LogRecord { replica, at, stderr, text, life } = record;
        Self { replica, at, stderr, text, life }
    }
}
