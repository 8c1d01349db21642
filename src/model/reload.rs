//! A reload: the processes of a daemon are replaced by those of the program that is installed now. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A reload, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReloadReport {
    /// Counts the reloads of a daemon since its start.
    pub number: u64,
    /// Version of the program that it began with.
    pub from: String,
    /// When it was asked for; `None` if a version asked that did not record it.
    #[serde(default)]
    pub since: Option<jiff::Timestamp>,
    /// What is done, in order.
    pub steps: Vec<ReloadStep>,
    /// `None` while it is under way.
    pub outcome: Option<ReloadOutcome>,
}

impl ReloadReport {
    /// One that begins.
    pub fn new(number: u64, from: String, since: jiff::Timestamp) -> Self {
        Self { number, from, since: Some(since), steps: Vec::new(), outcome: None }
    }

    /// Whether it has not ended yet.
    pub fn is_under_way(&self) -> bool {
        self.outcome.is_none()
    }
}

/// A step that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "step")]
pub enum ReloadStep {
    /// The installed program runs, and can continue from here.
    Checked { program: String, version: String },
    /// The supervisor executes the installed program.
    SupervisorReplaced { pid: i32 },
    /// A balancer of the new version serves; the old one finishes its requests.
    BalancerReplaced { pid: i32, draining: Option<i32> },
    /// A controller of the new version serves.
    ControllerReplaced { pid: i32 },
}

impl fmt::Display for ReloadStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checked { program, version } => write!(f, "{program} is version {version}"),
            Self::SupervisorReplaced { pid } => write!(f, "the supervisor (process {pid}) runs it"),
            Self::BalancerReplaced { pid, draining: Some(old) } => {
                write!(
                    f,
                    "a new balancer (process {pid}) serves; the old one (process {old}) finishes its requests"
                )
            }
            Self::BalancerReplaced { pid, draining: None } => {
                write!(f, "a new balancer (process {pid}) serves")
            }
            Self::ControllerReplaced { pid } => write!(f, "a new controller (process {pid}) serves"),
        }
    }
}

/// How a reload ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum ReloadOutcome {
    /// All processes run the new version, but for balancers that finish their requests.
    Done,
    /// Nothing was changed.
    Refused { reason: String },
    /// Some processes still run the old version. All of them serve, as far as they did before.
    Failed { reason: String },
}

/// Why a reload does not begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum ReloadRefusal {
    #[error("a reload is under way")]
    UnderWay,
    #[error("the daemon is stopping")]
    Stopping,
    #[error("{limit} balancers still finish the requests of earlier versions")]
    TooManyDraining { limit: usize },
}

/// A process of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonProcess {
    pub role: DaemonRole,
    pub pid: i32,
    pub version: String,
    pub state: ProcessState,
}

impl DaemonProcess {
    /// The supervisor itself.
    pub fn supervisor(pid: u32, version: &str) -> Self {
        let pid = i32::try_from(pid).unwrap_or_default();
        Self { role: DaemonRole::Supervisor, pid, version: version.to_owned(), state: ProcessState::Serving }
    }
}

/// What a process of the daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DaemonRole {
    Supervisor,
    Controller,
    Balancer,
}

/// What a process of the daemon does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessState {
    Starting,
    Serving,
    /// A balancer that was replaced and finishes its requests.
    Draining,
}

/// What the supervisor knows about the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonProcesses {
    pub processes: Vec<DaemonProcess>,
    /// The last reload.
    pub reload: Option<ReloadReport>,
}
