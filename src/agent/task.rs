//! What the agent's tasks report back to its loop.

use super::action::AgentAction;
use super::execute::ActionOutcome;
use super::observe::EngineListing;
use crate::engine::{EngineError, ObservedContainer};
use crate::model::ContainerId;

/// The result of a task, with the tick at which it began.
#[derive(Debug)]
pub(super) enum TaskReport {
    Listed { tick: u64, listing: Result<Box<EngineListing>, EngineError> },
    Inspected { tick: u64, id: ContainerId, found: Result<Box<ObservedContainer>, EngineError> },
    Acted { tick: u64, action: AgentAction, outcome: ActionOutcome },
}
