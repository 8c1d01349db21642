//! The type of a log as a stream.

use futures::stream::BoxStream;

use crate::agent::EngineError;
use crate::controller::queries::LogRecord;

/// The lines of one log or of several, in the order of their times.
pub(super) type LogLines = BoxStream<'static, Result<LogRecord, EngineError>>;
