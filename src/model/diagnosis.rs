//! What an agent observed of a replica that does not get healthy: what a rollout is failed for, and what people read.
//!
//! Observations only; whether they fail a rollout is the orchestrator's to decide (`orchestrator/verdict.rs`).

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{MemorySize, Millis};

/// So many containers of a replica in a row are looked at together: once is an accident, twice may be one, three times
/// is a fault of what was released.
pub const CRASHES_TOGETHER: usize = 3;

/// A TCP socket that a process in a container listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListeningSocket {
    /// Where it listens, as seen from within the container; unspecified for every address.
    pub address: IpAddr,
    /// On which port.
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
    Status {
        /// Which.
        status: u16,
    },
    /// An answer that does not pass, of a check that has no HTTP status: a command's exit code, a state that gRPC's
    /// health service reports.
    Unwell,
    /// Nobody listens there; behind Docker's proxy, where that cannot be told apart, somebody may who hangs up.
    Refused {
        /// On which port.
        port: u16,
    },
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

/// A failure of which only the words are known.
impl From<&str> for FailedProbe {
    fn from(message: &str) -> Self {
        Self { message: message.to_owned(), answer: ProbeAnswer::Nothing }
    }
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "seen")]
pub enum FailureCause {
    /// Nobody has the image, and asking again does not help.
    ImageNotFound {
        /// In the Engine's words.
        message: String,
    },
    /// The registry refuses to give the image.
    PullDenied {
        /// In the Engine's words.
        message: String,
    },
    /// The Engine refused to make or start the container.
    CannotStart {
        /// In the Engine's words.
        message: String,
    },
    /// The container ended by itself.
    Exited {
        /// With this code.
        code: i64,
        /// Whether its health check had passed before.
        #[serde(default)]
        was_healthy: bool,
    },
    /// The kernel ended it for want of memory.
    OutOfMemory {
        /// What it may use; `None` for all of the machine's.
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
            return None; // it listens by now
        }
        Some(if !same.is_empty() {
            format!("the container listens on {} only, which nobody outside of it can reach", shown(&same))
        } else if !reachable.is_empty() {
            format!("nothing listens on {port}; the container listens on {}", shown(&reachable))
        } else if !within.is_empty() {
            format!("nothing listens on {port}; the container listens on {} only", shown(&within))
        } else {
            format!("nothing listens on {port}, nor on any other port of the container")
        })
    }

    /// Whether both are the same trouble, told in other words.
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
            FailureCause::OutOfMemory { limit: Some(limit) } => {
                write!(f, "was killed for want of memory, it may use {limit}")?
            }
            FailureCause::OutOfMemory { limit: None } => write!(f, "was killed for want of memory")?,
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

/// Whole seconds, and at least one: nobody counts a crash loop's milliseconds.
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
    fn each_observation_has_its_words() {
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
                "was killed for want of memory, it may use 16Mi, 2 times in 4s",
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
    fn what_listens_instead_is_named() {
        for (listening, expected) in [
            (
                &["0.0.0.0:3000", "[::]:3000"][..],
                Some("nothing listens on 8080; the container listens on 3000"),
            ),
            (&["[::]:3000", "127.0.0.1:9"], Some("nothing listens on 8080; the container listens on 3000")),
            (
                &["127.0.0.1:8080"],
                Some("the container listens on 127.0.0.1:8080 only, which nobody outside of it can reach"),
            ),
            (
                &["127.0.0.1:3000"],
                Some("nothing listens on 8080; the container listens on 127.0.0.1:3000 only"),
            ),
            (&[], Some("nothing listens on 8080, nor on any other port of the container")),
            (&["0.0.0.0:8080"], None),
        ] {
            assert_eq!(refused(listening).wrong_port().as_deref(), expected, "{listening:?}");
        }
    }

    #[test]
    fn what_is_stored_reads_again() {
        for diagnosis in
            [refused(&["127.0.0.1:3000"]), diagnosis(FailureCause::Exited { code: 1, was_healthy: false }, 3)]
        {
            let json = serde_json::to_string(&diagnosis).unwrap();
            assert_eq!(serde_json::from_str::<Diagnosis>(&json).unwrap(), diagnosis, "{json}");
        }
    }
}
