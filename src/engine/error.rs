//! Errors of the Engine, by what they mean for the caller. Pure.

use std::fmt;

/// An error of the Engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// There is no socket at this path and no `dockerd` on the node.
    #[error("Docker is not installed: there is no socket {socket} and no dockerd")]
    Missing { socket: String },
    /// Docker is installed and does not run: there is no socket, or nothing accepts on it.
    #[error("Docker is not running: nothing answers on {socket}")]
    Stopped { socket: String },
    /// The socket exists, and the daemon may not open it.
    #[error("no permission to use Docker's socket {socket}")]
    Denied { socket: String },
    /// No response within the call's deadline, or the connection broke: the call may or may not have taken effect.
    #[error("Docker did not answer {call} in time: {message}")]
    Unanswered { call: &'static str, message: String },
    /// The object does not exist.
    #[error("no such {what}: {name}")]
    NotFound { what: EngineObject, name: String },
    /// The container is not running.
    #[error("container {name} is not running")]
    NotRunning { name: String },
    /// A name, address or subnet is taken, or the object is in use or being removed.
    #[error("{message}")]
    Conflict { message: String },
    /// The registry requires credentials, or rejects ours.
    #[error("the registry denied the pull of {image}: {message}")]
    PullDenied { image: String, message: String },
    /// The registry does not know the image.
    #[error("the registry does not have {image}: {message}")]
    ImageUnknown { image: String, message: String },
    /// The registry cannot be reached or fails: a retry may help.
    #[error("the registry of {image} cannot be reached: {message}")]
    RegistryUnreachable { image: String, message: String },
    /// The request can never work: a bad command, user, capability or limit.
    #[error("{message}")]
    Invalid { message: String },
    /// The Engine failed; a retry may help.
    #[error("Docker failed at {call} ({status}): {message}")]
    Failed { call: &'static str, status: u16, message: String },
}

impl EngineError {
    /// Whether the Engine itself is away, so that the state of every container is unknown.
    pub fn is_away(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. } | Self::Stopped { .. } | Self::Denied { .. } | Self::Unanswered { .. }
        )
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// A kind of object that the Engine does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineObject {
    Container,
    Image,
    Network,
    Volume,
}

impl fmt::Display for EngineObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
        })
    }
}
