//! Why a user's request was not done. What the user reads is made from these in `api`.

use super::writes::{DocumentProblem, Overridden, RolloutCommand, RolloutPhase};
use crate::agent::{AgentSilent, EngineError};
use crate::model::{
    AppName, Author, ExposureMode, Generation, ObjectRef, ReplicaName, RevisionNumber, ServiceName,
};
use crate::orchestrator::CapacityShortage;
use crate::store::StoreError;

/// Nothing was written, unless the variant says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControllerError {
    /// Documents are not sound.
    #[error("{} in the manifests", plural(.0.len(), "problem"))]
    Invalid(Vec<DocumentProblem>),
    /// A value of a command is not sound.
    #[error("{0}")]
    BadValue(String),
    /// No such services.
    #[error("no service named {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NotFound(Vec<ServiceName>),
    /// No such replica.
    #[error("no replica named {0}")]
    NoReplica(ReplicaName),
    /// Documents that want the balancer's address, and nobody knows where containers reach it.
    #[error("it is not known where containers reach the balancer, and {} ask for `balancer.url`", origins.join(", "))]
    BalancerUnknown {
        /// Which: `app.yaml:3`.
        origins: Vec<String>,
        /// How containers are reached.
        exposure: ExposureMode,
    },
    /// Images that nothing can be made from.
    #[error("{} cannot be resolved", .0.iter().map(|image| image.reference.as_str()).collect::<Vec<_>>().join(", "))]
    Images(Vec<UnresolvedImage>),
    /// Services that ask for more memory than there is.
    #[error("no host has the memory: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoMemory(Vec<CapacityShortage>),
    /// Host and path that another service holds.
    #[error("route {route} of {object} is held by {holder}")]
    RouteClaimed {
        /// `node/path`.
        route: String,
        /// The object that asks for it.
        object: ObjectRef,
        /// Where it is declared: `app.yaml:3`.
        origin: String,
        /// The object that holds the claim.
        holder: ObjectRef,
    },
    /// The file changed fields that a command changed as well.
    #[error("{} changed by a command and in the manifests", conflicts.iter().map(Conflict::told).collect::<Vec<_>>().join(", "))]
    Overridden {
        /// Which.
        conflicts: Vec<Conflict>,
        /// Who asks.
        by: Author,
    },
    /// The name belongs to another app.
    #[error("service {name} belongs to app {there}, not {here}")]
    OtherApp {
        /// Which service.
        name: ServiceName,
        /// Its app.
        there: AppName,
        /// The app of the document.
        here: AppName,
    },
    /// A volume that is to be deleted with its service is another's as well.
    #[error("volume {volume} of {service} is used by {by} as well")]
    VolumeShared {
        /// Its name in the manifest.
        volume: String,
        /// With whom it should go.
        service: ServiceName,
        /// Who stays.
        by: ServiceName,
    },
    /// The service is declared elsewhere: in a manifests directory, or by a command.
    #[error("service {name} is declared {}", declared(there.as_deref()))]
    OtherSource {
        /// Which service.
        name: ServiceName,
        /// The directory; `None` for `ctl apply`.
        there: Option<String>,
    },
    /// The service is being deleted.
    #[error("service {0} is being deleted")]
    BeingDeleted(ServiceName),
    /// Someone else wrote the object between our read and our write, more often than we tried. What stands before it
    /// in the run is written.
    #[error("service {name} was changed by someone else meanwhile")]
    ChangedMeanwhile {
        /// Which service.
        name: ServiceName,
        /// The generation that the change was worked out from.
        read: Generation,
        /// The one that is there.
        found: Generation,
        /// Who wrote that.
        by: Author,
        /// What of this run was written before it.
        written: Vec<ServiceName>,
    },
    /// There is nothing to go back to.
    #[error("service {name} has no earlier revision{}", wanted.map(|n| format!(" {n}")).unwrap_or_default())]
    NoRevision {
        /// Which service.
        name: ServiceName,
        /// The revision asked for.
        wanted: Option<RevisionNumber>,
        /// Those kept.
        kept: Vec<RevisionNumber>,
    },
    /// The image of the revision to go back to is gone.
    #[error("the image of revision {revision} is gone: {}", gone.why)]
    ImageGone {
        /// Of which.
        revision: RevisionNumber,
        /// Which image, with what it was pinned to, and what was found instead.
        gone: Box<UnresolvedImage>,
    },
    /// The rollout does not stand as the change needs it.
    #[error("{asked:?} of {name} does not fit: {standing:?}")]
    NotNow {
        /// Which service.
        name: ServiceName,
        /// What was asked.
        asked: RolloutCommand,
        /// Where it stands.
        standing: Box<RolloutPhase>,
        /// The revision that an abort would go back to.
        stable: Option<RevisionNumber>,
    },
    /// Docker is away.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The agent hangs.
    #[error(transparent)]
    Agent(#[from] AgentSilent),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An image that could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnresolvedImage {
    /// For which service.
    pub service: ServiceName,
    /// Where it is asked for: `app.yaml:3` or the command.
    pub origin: String,
    /// The full reference.
    pub reference: String,
    /// Why, in one line.
    pub why: String,
}

/// A field that a file and a command both changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Of which service.
    pub service: ServiceName,
    /// Where the file is: `app.yaml:3`.
    pub origin: String,
    /// The field with its values.
    pub over: Overridden,
}

impl Conflict {
    /// `spec.replicas of users (app.yaml:3)`.
    fn told(&self) -> String {
        format!("{} of {} ({})", self.over.field, self.service, self.origin)
    }
}

fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

fn declared(there: Option<&str>) -> String {
    there.map_or("by `ctl apply`".to_owned(), |directory| format!("in the manifests directory {directory}"))
}
