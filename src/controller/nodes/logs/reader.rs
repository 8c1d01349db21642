//! The logs that one client reads.
//!
//! Invariants: the log of a container is opened once, with the options of the first attempt; a log that the Engine refused
//! is tried again after a pause, and while the Engine is away only one log is tried per pause; containers that are no
//! longer listed are forgotten.

use std::collections::BTreeMap;

use super::merge::LogMerge;
use super::records::{self, notice};
use crate::agent::{EngineError, LogOptions, NodeRequests};
use crate::controller::nodes::NodeLinks;
use crate::controller::{LogEntry, ReplicaSnapshot};
use crate::model::{ContainerId, Millis, Mono, ReplicaName};

/// Logs that one client reads at a time: each is a connection to the Engine.
pub(super) const READ_MAX: usize = 256;
/// Pause before a log is opened again that the Engine refused: an Engine in trouble is not hammered, and a client does not
/// notice the wait.
const RETRY_AFTER: Millis = Millis::secs(1);

type ReplicaContainer = (ReplicaName, ContainerId);

#[derive(Debug)]
struct ContainerLog {
    state: LogState,
    /// Kept for a later attempt: it must not start at another line than the first would have.
    options: LogOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogState {
    /// It is being read, or was read to its end.
    Opened,
    /// The Engine refused it.
    RetryAt(Mono),
    /// There was no room for it, or its node is not connected, and the client knows.
    LeftOut,
}

/// The result of opening logs.
#[derive(Debug, Default)]
pub(super) struct OpenOutcome {
    /// About logs that are left out.
    pub(super) notices: Vec<LogEntry>,
    /// Why the first log that could not be opened was refused.
    pub(super) error: Option<EngineError>,
}

/// What one client reads.
#[derive(Default)]
pub(super) struct ClientLogs {
    pub(super) merge: LogMerge,
    containers: BTreeMap<ReplicaContainer, ContainerLog>,
}

impl ClientLogs {
    /// Opens the logs of containers that are not read yet, as long as there is room.
    pub(super) async fn open_new(
        &mut self,
        nodes: &NodeLinks,
        replicas: &[ReplicaSnapshot],
        options: &LogOptions,
        now: Mono,
    ) -> OpenOutcome {
        let mut outcome = OpenOutcome::default();
        self.forget_gone(replicas);
        for replica in replicas {
            let Some(container) = container(replica) else { continue };
            let before = self.containers.get(&container);
            let state = before.map(|log| log.state);
            match state {
                Some(LogState::Opened) => continue,
                Some(LogState::RetryAt(at)) if at > now => continue,
                Some(LogState::RetryAt(_) | LogState::LeftOut) | None => {}
            }
            let options = before.map_or(options, |log| &log.options).clone();
            let opening = match nodes.get(&replica.replica.node) {
                None => Err(format!("not read: node {} is not connected", replica.replica.node)),
                Some(_) if self.merge.len() >= READ_MAX => {
                    Err(format!("not read: {READ_MAX} logs are read already"))
                }
                Some(node) => Ok(self.open(node, &container, &options, now, &mut outcome).await),
            };
            let state = opening.unwrap_or_else(|why| {
                if state != Some(LogState::LeftOut) {
                    outcome.notices.push(notice(&container.0, None, why));
                }
                LogState::LeftOut
            });
            self.containers.insert(container, ContainerLog { state, options });
            if outcome.error.as_ref().is_some_and(EngineError::is_away) {
                // Each further attempt would wait for its deadline.
                self.delay_retries(now.after(RETRY_AFTER));
                break;
            }
        }
        outcome
    }

    async fn open(
        &mut self,
        node: &dyn NodeRequests,
        (replica, container): &ReplicaContainer,
        options: &LogOptions,
        now: Mono,
        outcome: &mut OpenOutcome,
    ) -> LogState {
        match records::open(node, replica, container, options).await {
            Ok(records) => {
                self.merge.push(records);
                LogState::Opened
            }
            // The container was removed meanwhile, and its log with it.
            Err(error) if error.is_not_found() => LogState::Opened,
            Err(error) => {
                outcome.error.get_or_insert(error);
                LogState::RetryAt(now.after(RETRY_AFTER))
            }
        }
    }

    /// No log that was refused is tried before then.
    fn delay_retries(&mut self, until: Mono) {
        for log in self.containers.values_mut() {
            if let LogState::RetryAt(at) = &mut log.state {
                *at = until.max(*at);
            }
        }
    }

    /// When the next log that was refused is due.
    pub(super) fn retry_at(&self) -> Option<Mono> {
        let retry_at = |log: &ContainerLog| match log.state {
            LogState::RetryAt(at) => Some(at),
            LogState::Opened | LogState::LeftOut => None,
        };
        self.containers.values().filter_map(retry_at).min()
    }

    /// Forgets containers whose replica is gone or has another one. A replica without a container keeps its last one, whose
    /// log would be read again from the first line otherwise.
    fn forget_gone(&mut self, replicas: &[ReplicaSnapshot]) {
        let current: BTreeMap<&ReplicaName, Option<&ContainerId>> = replicas
            .iter()
            .map(|r| (&r.replica.name, r.status.as_ref().and_then(|status| status.container.as_ref())))
            .collect();
        self.containers.retain(|(replica, container), _| match current.get(replica) {
            None => false,
            Some(None) => true,
            Some(Some(named)) => *named == container,
        });
    }
}

fn container(replica: &ReplicaSnapshot) -> Option<ReplicaContainer> {
    Some((replica.replica.name.clone(), replica.status.as_ref()?.container.clone()?))
}

#[cfg(test)]
mod tests;
