//! Why a replica is not ready: the one list of causes, the evidence, and their wording. Pure.
//!
//! Observations only; the orchestrator decides whether they fail a rollout (`orchestrator/verdict.rs`).

use std::collections::BTreeSet;
use std::fmt;
use std::mem::discriminant;

use serde::{Deserialize, Serialize};

use super::{ListeningSocket, MemorySize, Millis, signal_of};

/// How many failures of a replica in a row that cannot pass are a fault of the release: one is an accident, two may be. Of so
/// many the evidence is kept.
pub const CRASHES_TOGETHER: usize = 3;

/// What came back to a probe that failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "answer")]
pub enum ProbeAnswer {
    /// An HTTP status that does not pass.
    Status { status: u16 },
    /// An answer that does not pass, of a check that has no HTTP status: a command's exit code, a state that gRPC's
    /// health service reports.
    Unwell,
    /// Nothing listens there. Behind Docker's proxy it may also be a server that closes the connection.
    Refused { port: u16 },
    /// Nothing in time, or nothing that could be understood.
    Nothing,
    /// The probe could not be made, because this machine is short of something: it says nothing about the replica. The prober keeps
    /// none of these.
    NotMade,
}

/// A probe that failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedProbe {
    /// In one line: `GET /healthz → 503 "warming cache"`.
    pub message: String,
    #[serde(flatten)]
    pub answer: ProbeAnswer,
}

/// A failure of which only the message is known.
impl From<&str> for FailedProbe {
    fn from(message: &str) -> Self {
        Self { message: message.to_owned(), answer: ProbeAnswer::Nothing }
    }
}

/// Why a replica is not ready. A closed list: phases, events, conditions and failed rollouts use it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "cause")]
pub enum NotReadyCause {
    /// The image does not exist; a retry does not help.
    ImageNotFound {
        /// The Engine's message.
        message: String,
    },
    /// The registry wants credentials, or rejects ours.
    PullDenied {
        /// The Engine's message.
        message: String,
    },
    /// The image cannot be pulled right now, for instance because the registry is unreachable.
    ImageUnavailable {
        /// The Engine's message.
        message: String,
    },
    /// The container cannot be created or started: the Engine refused, or a dependency is missing.
    CannotStart {
        /// The Engine's message.
        message: String,
    },
    /// The container exited.
    Exited {
        code: i64,
        /// Whether its health check had passed before.
        #[serde(default)]
        was_healthy: bool,
    },
    /// The container's process ended with exit code 0: it did what it had to do, and a Service has no end.
    Completed {
        /// Whether its health check had passed before.
        #[serde(default)]
        was_healthy: bool,
    },
    /// The kernel killed it because it exceeded its memory limit.
    OutOfMemory {
        /// `None` without a limit of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<MemorySize>,
        /// The exit code; not that of SIGKILL where the kernel killed a child of the first process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i64>,
    },
    /// It runs, and its health check fails.
    Unhealthy {
        probe: FailedProbe,
        /// The whole of `startWithin`, once that has passed without a success.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start_within: Option<Millis>,
    },
    /// Volumes that held data no longer exist. The container would get empty ones.
    VolumeMissing {
        /// Their names in Docker.
        volumes: BTreeSet<String>,
    },
    /// Every address of the network is in use or in quarantine.
    NoFreeAddress,
    /// A user took the container off its app's network, where nothing reaches it.
    OffNetwork {
        /// The network's name in Docker.
        network: String,
    },
    /// A user paused the container.
    ContainerPaused,
}

impl NotReadyCause {
    /// The Engine refused, or something that the container needs is missing.
    pub fn cannot_start(message: impl Into<String>) -> Self {
        Self::CannotStart { message: message.into() }
    }

    /// The container's process ended by itself.
    pub fn of_exit(code: i64, was_healthy: bool) -> Self {
        if code == 0 { Self::Completed { was_healthy } } else { Self::Exited { code, was_healthy } }
    }

    /// A probe failed, and `startWithin` has not passed.
    pub fn unhealthy(probe: impl Into<FailedProbe>) -> Self {
        Self::Unhealthy { probe: probe.into(), start_within: None }
    }

    /// The exit code, if the container's process ended by itself.
    pub fn exit_code(&self) -> Option<i64> {
        match self {
            Self::Exited { code, .. } => Some(*code),
            Self::Completed { .. } => Some(0),
            Self::OutOfMemory { code, .. } => *code,
            _ => None,
        }
    }
}

/// The state of a replica in a word or two: `exited with code 1`.
impl fmt::Display for NotReadyCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageNotFound { message }
            | Self::PullDenied { message }
            | Self::ImageUnavailable { message } => write!(f, "image unavailable: {message}"),
            Self::CannotStart { message } => write!(f, "cannot start: {message}"),
            Self::Exited { code, .. } => match signal_of(*code) {
                Some(signal) => write!(f, "exited with code {code} ({signal})"),
                None => write!(f, "exited with code {code}"),
            },
            Self::Completed { .. } => f.write_str("completed (exit code 0)"),
            Self::OutOfMemory { .. } => f.write_str("OOM-killed"),
            Self::Unhealthy { probe, .. } => f.write_str(&probe.message),
            Self::VolumeMissing { volumes } => write!(f, "volume no longer exists: {}", listed(volumes)),
            Self::NoFreeAddress => f.write_str("no free address on the network yet"),
            Self::OffNetwork { network } => {
                write!(f, "the container was taken off its network {network}")
            }
            Self::ContainerPaused => f.write_str("the container is paused"),
        }
    }
}

/// What was collected from the containers of a replica that is not ready.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Containers that failed in a row.
    #[serde(default)]
    pub times: u32,
    /// From the start of the first of these to the end of the last.
    #[serde(default)]
    pub within: Millis,
    /// What listens in a container whose health check fails; `None` where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listening: Option<Vec<ListeningSocket>>,
    /// The last lines that the container wrote, oldest first; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl Evidence {
    /// Whether something is known to listen on the port at an address that is reachable from outside the container.
    pub fn listens_on(&self, port: u16) -> bool {
        self.listening.iter().flatten().any(|listener| listener.takes(port))
    }
}

/// Why a replica is not ready, with the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    #[serde(flatten)]
    pub cause: NotReadyCause,
    #[serde(flatten)]
    pub evidence: Evidence,
}

impl Diagnosis {
    /// Whether both are the same failure, possibly in other words.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let kind = |diagnosis: &Self| {
            let probe = match &diagnosis.cause {
                NotReadyCause::Unhealthy { probe, start_within } => {
                    Some((discriminant(&probe.answer), start_within.is_some()))
                }
                _ => None,
            };
            let Evidence { times, listening, .. } = &diagnosis.evidence;
            (discriminant(&diagnosis.cause), probe, listening.is_some(), *times)
        };
        kind(self) == kind(other)
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A sentence without its subject, the replica: `exited with code 1 before its first healthy check, 3 times in 14s`.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = &self.cause;
        match cause {
            NotReadyCause::ImageNotFound { message }
            | NotReadyCause::PullDenied { message }
            | NotReadyCause::ImageUnavailable { message } => {
                return write!(f, "cannot get its image: {message}");
            }
            NotReadyCause::CannotStart { message } => write!(f, "cannot be started: {message}")?,
            NotReadyCause::Exited { was_healthy: false, .. }
            | NotReadyCause::Completed { was_healthy: false } => {
                write!(f, "{cause} before its first healthy check")?;
            }
            NotReadyCause::Exited { was_healthy: true, .. }
            | NotReadyCause::Completed { was_healthy: true } => write!(f, "{cause}")?,
            NotReadyCause::OutOfMemory { limit: Some(limit), .. } => {
                write!(f, "was {cause} (limit {limit})")?
            }
            NotReadyCause::OutOfMemory { limit: None, .. } => write!(f, "was {cause}")?,
            NotReadyCause::Unhealthy { start_within: Some(within), .. } => {
                return write!(f, "did not pass its health check within {within}: {cause}");
            }
            NotReadyCause::Unhealthy { start_within: None, .. } => {
                return write!(f, "does not pass its health check: {cause}");
            }
            NotReadyCause::VolumeMissing { volumes } => {
                return write!(f, "waits for volumes that no longer exist: {}", listed(volumes));
            }
            NotReadyCause::NoFreeAddress => return f.write_str("has no free address on its network yet"),
            NotReadyCause::OffNetwork { network } => {
                return write!(f, "was taken off its network {network}");
            }
            NotReadyCause::ContainerPaused => return f.write_str("is paused"),
        }
        match self.evidence.times {
            0 | 1 => Ok(()),
            times => write!(f, ", {times} times in {}", shown_time(self.evidence.within)),
        }
    }
}

/// At least a second: milliseconds of a crash loop are noise.
fn shown_time(time: Millis) -> Millis {
    time.whole_seconds_up().max(Millis::secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(cause: NotReadyCause, times: u32) -> Diagnosis {
        Diagnosis { cause, evidence: Evidence { times, within: Millis(3_210), ..Evidence::default() } }
    }

    #[test]
    fn diagnosis_is_shown_with_cause_and_count() {
        let probe: FailedProbe = "GET / → 503 \"warming\"".into();
        for (cause, times, expected) in [
            (NotReadyCause::PullDenied { message: "no".into() }, 0, "cannot get its image: no"),
            (
                NotReadyCause::CannotStart { message: "no such file".into() },
                3,
                "cannot be started: no such file, 3 times in 4s",
            ),
            (
                NotReadyCause::Exited { code: 1, was_healthy: false },
                3,
                "exited with code 1 before its first healthy check, 3 times in 4s",
            ),
            (NotReadyCause::Exited { code: 137, was_healthy: true }, 1, "exited with code 137 (SIGKILL)"),
            (
                NotReadyCause::Completed { was_healthy: false },
                3,
                "completed (exit code 0) before its first healthy check, 3 times in 4s",
            ),
            (
                NotReadyCause::OutOfMemory { limit: "16Mi".parse().ok(), code: Some(137) },
                2,
                "was OOM-killed (limit 16Mi), 2 times in 4s",
            ),
            (
                NotReadyCause::Unhealthy { probe, start_within: Some(Millis::secs(60)) },
                1,
                "did not pass its health check within 1m: GET / → 503 \"warming\"",
            ),
        ] {
            assert_eq!(diagnosis(cause, times).to_string(), expected);
        }
    }

    #[test]
    fn diagnosis_survives_json() {
        let probe = FailedProbe {
            message: "GET / → connection refused".to_owned(),
            answer: ProbeAnswer::Refused { port: 8080 },
        };
        for cause in [
            NotReadyCause::unhealthy(probe),
            NotReadyCause::Completed { was_healthy: true },
            NotReadyCause::Exited { code: 1, was_healthy: false },
        ] {
            let mut diagnosis = diagnosis(cause, 3);
            let address = [127, 0, 0, 1].into();
            diagnosis.evidence.listening = Some(vec![ListeningSocket { address, port: 3000 }]);
            let json = serde_json::to_string(&diagnosis).unwrap();
            assert_eq!(serde_json::from_str::<Diagnosis>(&json).unwrap(), diagnosis, "{json}");
        }
    }
}
