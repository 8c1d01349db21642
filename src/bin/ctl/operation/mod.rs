//! Waits for an operation that a write started. The daemon owns the operation; `ctl` only watches it, and reconnects if
//! the daemon restarts.

mod follow;
mod rollout_failure;
mod run;
mod verdict;
mod wait_args;
mod watched;

pub(crate) use rollout_failure::{RolloutEnd, ServingSummary, failed};
pub(crate) use run::{attach, wait};
pub(crate) use wait_args::{WaitArgs, deadline, passed};
