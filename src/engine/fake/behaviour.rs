//! What the containers of an image do, as a test programs it.

use crate::model::{ListeningSocket, Millis};

/// What the containers of an image do. The default runs until it is told to stop, obeys at once, and is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// From its start on.
    pub runs: Runs,
    /// When its stop signal comes; SIGKILL always works at once.
    pub stops: Stops,
    /// To a probe.
    pub health: Healthy,
    /// What listens in it, where that can be seen.
    pub listens: Option<Vec<ListeningSocket>>,
}

/// How long the process runs if nobody stops it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// Until it is stopped.
    Forever,
    /// Ends by itself.
    Exits {
        /// This long after its start; at zero the start succeeds and the container has ended.
        after: Millis,
        /// With this code.
        code: i64,
    },
    /// The kernel ends it for want of memory.
    OutOfMemory {
        /// This long after its start.
        after: Millis,
    },
    /// The Engine cannot start it, and says so in these words (`exec: "x": executable file not found in $PATH`).
    CannotStart(String),
}

/// How the process takes its stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stops {
    /// Ends with code 0 this much later.
    After(Millis),
    /// Ignores it.
    Never,
}

/// Whether it answers probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Healthy {
    /// From this long after its start on.
    After(Millis),
    /// Not at all.
    Never,
    /// Not over the network, and a command run in it does not end.
    Hangs,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            runs: Runs::Forever,
            stops: Stops::After(Millis(0)),
            health: Healthy::After(Millis(0)),
            listens: None,
        }
    }
}

impl Behaviour {
    /// Ends at once with this code.
    pub fn exits_at_once(code: i64) -> Self {
        Self { runs: Runs::Exits { after: Millis(0), code }, ..Self::default() }
    }

    /// Runs and never passes a probe.
    pub fn never_healthy() -> Self {
        Self { health: Healthy::Never, ..Self::default() }
    }

    /// Runs, and listens elsewhere than it is probed.
    pub fn listens_on(listeners: Vec<ListeningSocket>) -> Self {
        Self { listens: Some(listeners), ..Self::never_healthy() }
    }

    /// Uses more memory than it may, this long after its start.
    pub fn runs_out_of_memory(after: Millis) -> Self {
        Self { runs: Runs::OutOfMemory { after }, ..Self::default() }
    }

    /// Commands run in it do not end.
    pub fn hangs_in_exec() -> Self {
        Self { health: Healthy::Hangs, ..Self::default() }
    }

    /// Passes probes from this long after its start on.
    pub fn healthy_after(wait: Millis) -> Self {
        Self { health: Healthy::After(wait), ..Self::default() }
    }

    /// Ends this long after its stop signal.
    pub fn stops_after(wait: Millis) -> Self {
        Self { stops: Stops::After(wait), ..Self::default() }
    }

    /// Ends only by SIGKILL.
    pub fn ignores_stop() -> Self {
        Self { stops: Stops::Never, ..Self::default() }
    }

    /// The Engine cannot start it.
    pub fn cannot_start(message: impl Into<String>) -> Self {
        Self { runs: Runs::CannotStart(message.into()), ..Self::default() }
    }
}
