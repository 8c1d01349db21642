//! The processes of the daemon, and reloads.

use serde::{Deserialize, Serialize};

use crate::model::{DaemonProcess, DaemonProcesses, DaemonRole, ProcessState, ReloadOutcome, ReloadReport};

/// The processes of the daemon, and how the last reload went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonProcessList {
    pub processes: Vec<ProcessObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<ReloadObject>,
}

/// A process of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessObject {
    pub role: DaemonRole,
    pub pid: i32,
    pub version: String,
    pub state: ProcessState,
}

/// A reload, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReloadObject {
    /// Counts the reloads of a daemon since its start.
    pub number: u64,
    /// Version of the program that it began with.
    pub from: String,
    /// When it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<jiff::Timestamp>,
    /// What is done, in order, for people.
    pub steps: Vec<String>,
    /// Absent while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ReloadOutcomeName>,
    /// Why it was refused or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a reload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReloadOutcomeName {
    Done,
    /// Nothing was changed.
    Refused,
    /// Some processes still run the old version.
    Failed,
}

/// A reload has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReloadStarted {
    pub number: u64,
}

impl From<DaemonProcesses> for DaemonProcessList {
    fn from(found: DaemonProcesses) -> Self {
        let DaemonProcesses { processes, reload } = found;
        let processes = processes.into_iter().map(ProcessObject::from).collect();
        Self { processes, reload: reload.map(ReloadObject::from) }
    }
}

impl From<DaemonProcess> for ProcessObject {
    fn from(process: DaemonProcess) -> Self {
        let DaemonProcess { role, pid, version, state } = process;
        Self { role, pid, version, state }
    }
}

impl From<ReloadReport> for ReloadObject {
    fn from(report: ReloadReport) -> Self {
        let ReloadReport { number, from, since, steps, outcome } = report;
        let steps = steps.iter().map(ToString::to_string).collect();
        let (outcome, reason) = match outcome {
            None => (None, None),
            Some(ReloadOutcome::Done) => (Some(ReloadOutcomeName::Done), None),
            Some(ReloadOutcome::Refused { reason }) => (Some(ReloadOutcomeName::Refused), Some(reason)),
            Some(ReloadOutcome::Failed { reason }) => (Some(ReloadOutcomeName::Failed), Some(reason)),
        };
        Self { number, from, since, steps, outcome, reason }
    }
}
