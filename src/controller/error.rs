//! Why a user's request failed. `api` builds what the user reads from these.

use std::net::SocketAddr;

use super::writes::{DocumentProblem, FieldsError, Overridden, RolloutRejection};
use crate::agent::{AgentSilent, EngineError};
use crate::model::{
    AppName, Author, ExposureMode, Generation, LastExit, NodeId, ObjectRef, ReplicaName, RevisionNumber,
    ServiceName, claim_phrase,
};
use crate::orchestrator::CapacityShortage;
use crate::store::StoreError;

/// The object whose claim another one is refused for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimHolder {
    pub object: ObjectRef,
    /// The same claim, or a route that a request can match as well.
    pub claim: String,
}

/// Nothing was written, unless the variant says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControllerError {
    /// Documents are invalid.
    #[error("{} in the manifests", plural(.0.len(), "problem"))]
    Invalid(Vec<DocumentProblem>),
    /// A value of a command is invalid.
    #[error("{0}")]
    BadValue(String),
    /// No such objects.
    #[error("no {}", .0.iter().map(ObjectRef::phrase).collect::<Vec<_>>().join(", "))]
    NotFound(Vec<ObjectRef>),
    /// No such replica.
    #[error("no replica named {0}")]
    NoReplica(ReplicaName),
    /// No container of these replicas has ended by itself.
    #[error("no previous container of {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NoPrevious(Vec<ReplicaName>),
    /// The containers of these replicas that ended last no longer exist.
    #[error("the previous container of {} no longer exists", .0.iter().map(|(replica, _)| replica.to_string()).collect::<Vec<_>>().join(", "))]
    PreviousGone(Vec<(ReplicaName, LastExit)>),
    /// Documents that use the balancer's address, and it is unknown where containers reach it.
    #[error("where containers reach the balancer is unknown, and {} use `balancer.url`", origins.join(", "))]
    BalancerUnknown {
        /// Where the documents are: `app.yaml:3`.
        origins: Vec<String>,
        /// How containers are reached.
        exposure: ExposureMode,
    },
    /// Images that cannot be resolved.
    #[error("{} cannot be resolved", .0.iter().map(|image| image.reference.as_str()).collect::<Vec<_>>().join(", "))]
    Images(Vec<UnresolvedImage>),
    /// Images that name no program, of services that name none either.
    #[error("nothing to run in {}", .0.iter().map(|image| image.reference.as_str()).collect::<Vec<_>>().join(", "))]
    NothingToRun(Vec<UnresolvedImage>),
    /// Services that reserve more memory or cpu than a node has.
    #[error("insufficient memory or cpu: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoCapacity(Vec<CapacityShortage>),
    /// Host and path, or TCP port, that another service holds.
    #[error("{} of {object} is held by {}", claim_phrase(.claim), holder.object)]
    Claimed {
        /// `host/path` or `tcp:5432`.
        claim: String,
        /// The object that asks for it.
        object: ObjectRef,
        /// Where it is declared: `app.yaml:3`.
        origin: String,
        holder: Box<ClaimHolder>,
    },
    /// A TCP port on which the daemon itself serves HTTP.
    #[error("TCP port {port} of {object} is used by the daemon for HTTP on {by}")]
    OwnPort {
        port: u16,
        /// The object that asks for it.
        object: ObjectRef,
        /// Where it is declared: `app.yaml:3`.
        origin: String,
        by: SocketAddr,
    },
    /// The file changed fields that a command changed as well.
    #[error("{} changed by a command and in the manifests", conflicts.iter().map(Conflict::summary).collect::<Vec<_>>().join(", "))]
    Overridden {
        conflicts: Vec<Conflict>,
        /// The author of this request.
        by: Author,
    },
    /// The name belongs to another app.
    #[error("{} belongs to app {there}, not {here}", object.phrase())]
    OtherApp {
        object: ObjectRef,
        there: AppName,
        /// The app of the document.
        here: AppName,
    },
    /// A volume that is to be deleted with its service is used by another one.
    #[error("volume {volume} of {service} is used by {by} as well")]
    VolumeShared {
        /// Its name in the manifest.
        volume: String,
        /// The service that is deleted.
        service: ServiceName,
        /// A service that stays.
        by: ServiceName,
    },
    /// The object is declared elsewhere: in a manifests directory, or by a command.
    #[error("{} is declared {}", object.phrase(), declared(there.as_deref()))]
    OtherSource {
        object: ObjectRef,
        /// The directory; `None` for `ctl apply`.
        there: Option<String>,
    },
    /// The object is being deleted.
    #[error("{} is being deleted", .0.phrase())]
    BeingDeleted(ObjectRef),
    /// Another writer changed the object between our read and our write, in every attempt. The objects before it in the
    /// request are written.
    #[error("{} was changed by another request in the meantime", object.phrase())]
    ChangedMeanwhile {
        object: ObjectRef,
        /// The generation that the change is based on.
        read: Generation,
        /// The generation that is stored.
        found: Generation,
        /// The author of the stored generation.
        by: Author,
        /// Objects that this request has already written.
        written: Vec<ObjectRef>,
    },
    /// There is no revision to roll back to.
    #[error("service {name} has no earlier revision{}", wanted.map(|n| format!(" {n}")).unwrap_or_default())]
    NoRevision {
        name: ServiceName,
        /// The revision asked for.
        wanted: Option<RevisionNumber>,
        /// Revisions that still exist.
        kept: Vec<RevisionNumber>,
    },
    /// The image of the revision to roll back to no longer exists.
    #[error("the image of revision {revision} is gone: {}", gone.why)]
    ImageGone {
        revision: RevisionNumber,
        /// With what the image was pinned to, and what was found instead.
        gone: Box<UnresolvedImage>,
    },
    /// The phase of the rollout does not allow the command.
    #[error("{:?} of {name} is not possible in the current phase: {:?}", rejection.command, rejection.phase)]
    NotNow { name: ServiceName, rejection: Box<RolloutRejection> },
    /// The local CA has issued no certificate yet.
    #[error("there is no local CA yet")]
    NoAuthority,
    /// A spec without a JSON form.
    #[error(transparent)]
    Fields(#[from] FieldsError),
    /// The Engine is unavailable.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The node's agent is not connected, so its Engine cannot be asked.
    #[error("node {0} is not connected")]
    NodeNotConnected(NodeId),
    /// The agent did not answer.
    #[error(transparent)]
    Agent(#[from] AgentSilent),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An image that could not be resolved, or of which nothing can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnresolvedImage {
    pub object: ObjectRef,
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
    pub object: ObjectRef,
    /// File and line: `app.yaml:3`.
    pub origin: String,
    /// The field with its values.
    pub over: Overridden,
}

impl Conflict {
    /// `spec.replicas of users (app.yaml:3)`.
    fn summary(&self) -> String {
        format!("{} of {} ({})", self.over.field, self.object.name, self.origin)
    }
}

fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

fn declared(there: Option<&str>) -> String {
    there.map_or("by `ctl apply`".to_owned(), |directory| format!("in the manifests directory {directory}"))
}
