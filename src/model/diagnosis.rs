//! What an agent observed of a replica that is not healthy: why a rollout fails, and what users read. Pure.
//!
//! Observations only; whether they fail a rollout is the orchestrator's to decide (`orchestrator/verdict.rs`).

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{MemorySize, Millis};

/// How many containers of a replica in a row are judged together: one failure is an accident, two may be, three are a
/// fault of the release.
pub const CRASHES_TOGETHER: usize = 3;

/// A TCP socket that a process in a container listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListeningSocket {
    /// The address inside the container; unspecified for every address.
    pub address: IpAddr,
    pub port: u16,
}

impl ListeningSocket {
    /// Whether it takes connections to this port from outside of the container.
    pub fn takes(&self, port: u16) -> bool {
        self.port == port && !self.address.is_loopback()
    }
}

impl fmt::Display for ListeningSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.is_unspecified() {
            true => write!(f, "{}", self.port),
            false => write!(f, "{}", SocketAddr::new(self.address, self.port)),
        }
    }
}

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
}

/// A probe that failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedProbe {
    /// In one line: `GET /healthz → 503 "warming cache"`.
    pub message: String,
    /// What came back.
    #[serde(flatten)]
    pub answer: ProbeAnswer,
}

/// A failure of which only the message is known.
impl From<&str> for FailedProbe {
    fn from(message: &str) -> Self {
        Self { message: message.to_owned(), answer: ProbeAnswer::Nothing }
    }
}

/// The cause of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "seen")]
pub enum FailureCause {
    /// The image does not exist; a retry does not help.
    ImageNotFound {
        /// The Engine's message.
        message: String,
    },
    /// The registry refuses to give the image.
    PullDenied {
        /// The Engine's message.
        message: String,
    },
    /// The Engine refused to make or start the container.
    CannotStart {
        /// The Engine's message.
        message: String,
    },
    /// The container exited.
    Exited {
        /// With this code.
        code: i64,
        /// Whether its health check had passed before.
        #[serde(default)]
        was_healthy: bool,
    },
    /// The kernel killed it because it exceeded its memory limit.
    OutOfMemory {
        /// `None` without a limit of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<MemorySize>,
    },
    /// It runs, and its health check fails.
    Unhealthy {
        /// The last probe.
        probe: FailedProbe,
        /// What listens in the container; `None` where that is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listening: Option<Vec<ListeningSocket>>,
        /// The whole of `startWithin`, once that has passed without a success.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start_within: Option<Millis>,
    },
}

/// What an agent observed, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// What was seen last.
    #[serde(flatten)]
    pub cause: FailureCause,
    /// Containers that failed in a row, of the last [`CRASHES_TOGETHER`].
    #[serde(default)]
    pub times: u32,
    /// From the start of the first of these to the end of the last.
    #[serde(default)]
    pub within: Millis,
    /// The last lines that the container wrote, oldest first; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl Diagnosis {
    /// What listens instead, where a probe was refused and that is known: a line for people.
    pub fn wrong_port(&self) -> Option<String> {
        let FailureCause::Unhealthy { probe, listening: Some(listening), .. } = &self.cause else {
            return None;
        };
        let ProbeAnswer::Refused { port } = probe.answer else { return None };
        let shown = |listeners: &[&ListeningSocket]| {
            // One of each port, however many families it listens in.
            let texts: BTreeSet<(u16, String)> = listeners.iter().map(|l| (l.port, l.to_string())).collect();
            texts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(", ")
        };
        let (within, reachable): (Vec<_>, Vec<_>) = listening.iter().partition(|l| l.address.is_loopback());
        let same: Vec<&ListeningSocket> =
            within.iter().filter(|l: &&&ListeningSocket| l.port == port).copied().collect();
        if listening.iter().any(|listener| listener.takes(port)) {
            return None; // it has started to listen
        }
        Some(if !same.is_empty() {
            format!(
                "the container listens on {} only, which is not reachable from outside the container",
                shown(&same)
            )
        } else if !reachable.is_empty() {
            format!("nothing listens on {port}; the container listens on {}", shown(&reachable))
        } else if !within.is_empty() {
            format!("nothing listens on {port}; the container listens on {} only", shown(&within))
        } else {
            format!("nothing listens on {port}, or on any other port of the container")
        })
    }

    /// Whether both are the same failure, possibly in other words.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let known = |cause: &FailureCause| match cause {
            FailureCause::Unhealthy { probe, listening, start_within } => {
                Some((std::mem::discriminant(&probe.answer), listening.is_some(), start_within.is_some()))
            }
            _ => None,
        };
        std::mem::discriminant(&self.cause) == std::mem::discriminant(&other.cause)
            && known(&self.cause) == known(&other.cause)
            && self.times == other.times
    }
}

/// The one wording, without the replica's name: `exited with code 1 before its first healthy check, 3 times in 14s`.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            FailureCause::ImageNotFound { message } | FailureCause::PullDenied { message } => {
                return write!(f, "cannot get its image: {message}");
            }
            FailureCause::CannotStart { message } => write!(f, "cannot be started: {message}")?,
            FailureCause::Exited { code, was_healthy: false } => {
                write!(f, "exited with code {code} before its first healthy check")?;
            }
            FailureCause::Exited { code, was_healthy: true } => write!(f, "exited with code {code}")?,
            FailureCause::OutOfMemory { limit: Some(limit) } => write!(f, "was OOM-killed (limit {limit})")?,
            FailureCause::OutOfMemory { limit: None } => write!(f, "was OOM-killed")?,
            FailureCause::Unhealthy { probe, start_within: Some(within), .. } => {
                return write!(f, "did not pass its health check within {within}: {}", probe.message);
            }
            FailureCause::Unhealthy { probe, start_within: None, .. } => {
                return write!(f, "does not pass its health check: {}", probe.message);
            }
        }
        match self.times {
            0 | 1 => Ok(()),
            times => write!(f, ", {times} times in {}", in_seconds(self.within)),
        }
    }
}

/// Whole seconds, and at least one: milliseconds of a crash loop are noise.
fn in_seconds(time: Millis) -> Millis {
    Millis::secs(time.0.div_ceil(1000).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(cause: FailureCause, times: u32) -> Diagnosis {
        Diagnosis { cause, times, within: Millis(3_210), log: Vec::new() }
    }

    fn refused(listening: &[&str]) -> Diagnosis {
        let socket = |text: &&str| text.parse::<SocketAddr>().unwrap();
        let listener = |socket: SocketAddr| ListeningSocket { address: socket.ip(), port: socket.port() };
        let listening = Some(listening.iter().map(socket).map(listener).collect());
        let message = "GET / → connection refused".to_owned();
        let probe = FailedProbe { message, answer: ProbeAnswer::Refused { port: 8080 } };
        diagnosis(FailureCause::Unhealthy { probe, listening, start_within: None }, 0)
    }

    #[test]
    fn diagnosis_is_shown_with_cause_and_count() {
        let probe: FailedProbe = "GET / → 503 \"warming\"".into();
        for (cause, times, expected) in [
            (FailureCause::PullDenied { message: "no".into() }, 0, "cannot get its image: no"),
            (
                FailureCause::CannotStart { message: "no such file".into() },
                3,
                "cannot be started: no such file, 3 times in 4s",
            ),
            (
                FailureCause::Exited { code: 1, was_healthy: false },
                3,
                "exited with code 1 before its first healthy check, 3 times in 4s",
            ),
            (FailureCause::Exited { code: 137, was_healthy: true }, 1, "exited with code 137"),
            (
                FailureCause::OutOfMemory { limit: "16Mi".parse().ok() },
                2,
                "was OOM-killed (limit 16Mi), 2 times in 4s",
            ),
            (
                FailureCause::Unhealthy { probe, listening: None, start_within: Some(Millis::secs(60)) },
                1,
                "did not pass its health check within 1m: GET / → 503 \"warming\"",
            ),
        ] {
            assert_eq!(diagnosis(cause, times).to_string(), expected);
        }
    }

    #[test]
    fn wrong_port_names_the_ports_listened_on() {
        for (listening, expected) in [
            (
                &["0.0.0.0:3000", "[::]:3000"][..],
                Some("nothing listens on 8080; the container listens on 3000"),
            ),
            (&["[::]:3000", "127.0.0.1:9"], Some("nothing listens on 8080; the container listens on 3000")),
            (
                &["127.0.0.1:8080"],
                Some(
                    "the container listens on 127.0.0.1:8080 only, which is not reachable from outside the container",
                ),
            ),
            (
                &["127.0.0.1:3000"],
                Some("nothing listens on 8080; the container listens on 127.0.0.1:3000 only"),
            ),
            (&[], Some("nothing listens on 8080, or on any other port of the container")),
            (&["0.0.0.0:8080"], None),
        ] {
            assert_eq!(refused(listening).wrong_port().as_deref(), expected, "{listening:?}");
        }
    }

    #[test]
    fn diagnosis_survives_json() {
        for diagnosis in
            [refused(&["127.0.0.1:3000"]), diagnosis(FailureCause::Exited { code: 1, was_healthy: false }, 3)]
        {
            let json = serde_json::to_string(&diagnosis).unwrap();
            assert_eq!(serde_json::from_str::<Diagnosis>(&json).unwrap(), diagnosis, "{json}");
        }
    }
}
