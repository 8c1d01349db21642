//! How the containers of an image behave, as a test programs it.

use crate::model::{ImageConfig, ListeningSocket, Millis};

/// How the containers of an image behave. By default they run until their stop signal, exit at once, and are healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// From its start.
    pub runs: Runs,
    /// On its stop signal; SIGKILL always works at once.
    pub stops: Stops,
    /// When it is probed.
    pub health: Healthy,
    /// Its listening sockets; `None` if they cannot be seen.
    pub listens: Option<Vec<ListeningSocket>>,
    /// What the image says about them.
    pub config: ImageConfig,
}

/// How long the process runs unless it is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// Until it is stopped.
    Forever,
    /// It exits this long after its start; with zero the start succeeds and the container has already exited.
    Exits { after: Millis, code: i64 },
    /// It is OOM-killed this long after its start.
    OutOfMemory { after: Millis },
    /// The Engine cannot start it; its message (`exec: "x": executable file not found in $PATH`).
    CannotStart(String),
}

/// How the process reacts to its stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stops {
    /// It exits with code 0 after this delay.
    After(Millis),
    /// It ignores the signal.
    Never,
}

/// Whether it passes probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Healthy {
    /// Once it has run for this long.
    After(Millis),
    Never,
    /// It fails network probes, and a command run in it does not end.
    Hangs,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            runs: Runs::Forever,
            stops: Stops::After(Millis(0)),
            health: Healthy::After(Millis(0)),
            listens: None,
            config: ImageConfig { entrypoint: vec!["/app".to_owned()], ..ImageConfig::default() },
        }
    }
}

impl Behaviour {
    /// It exits at once with this code.
    pub fn exits_at_once(code: i64) -> Self {
        Self { runs: Runs::Exits { after: Millis(0), code }, ..Self::default() }
    }

    /// Its image declares these VOLUMEs.
    pub fn with_volumes(paths: &[&str]) -> Self {
        let mut behaviour = Self::default();
        behaviour.config.volumes = paths.iter().map(|path| (*path).to_owned()).collect();
        behaviour
    }

    /// It runs and never passes a probe.
    pub fn never_healthy() -> Self {
        Self { health: Healthy::Never, ..Self::default() }
    }

    /// It listens on these sockets and never passes a probe.
    pub fn listens_on(listeners: Vec<ListeningSocket>) -> Self {
        Self { listens: Some(listeners), ..Self::never_healthy() }
    }

    /// It is OOM-killed this long after its start.
    pub fn runs_out_of_memory(after: Millis) -> Self {
        Self { runs: Runs::OutOfMemory { after }, ..Self::default() }
    }

    /// Commands that are run in it do not end.
    pub fn hangs_in_exec() -> Self {
        Self { health: Healthy::Hangs, ..Self::default() }
    }

    /// It passes probes once it has run for this long.
    pub fn healthy_after(wait: Millis) -> Self {
        Self { health: Healthy::After(wait), ..Self::default() }
    }

    /// It exits this long after its stop signal.
    pub fn stops_after(wait: Millis) -> Self {
        Self { stops: Stops::After(wait), ..Self::default() }
    }

    /// Only SIGKILL ends it.
    pub fn ignores_stop() -> Self {
        Self { stops: Stops::Never, ..Self::default() }
    }

    /// The Engine cannot start it.
    pub fn cannot_start(message: impl Into<String>) -> Self {
        Self { runs: Runs::CannotStart(message.into()), ..Self::default() }
    }
}
