//! Requests and answers, as JSON.
//!
//! Invariants: an answer is built from what the controller reads, by conversions in this directory; it has no field whose
//! type is stored, so that a field that is added to a stored type appears to users only if it is added here. Exceptions: the
//! `spec` of services and revisions is the stored [`ServiceSpec`](crate::model::ServiceSpec), because that is the form of the
//! manifest: what `ctl get -o yaml` prints can be applied again. And words (enums without data), values (ids, durations) and
//! types of the controller that exist for answers, such as [`LogEntry`], are shared; tests pin every word, and check those
//! types like the ones here.
//!
//! | call | body → answer |
//! | --- | --- |
//! | `GET /v1/status` | → [`DaemonStatus`] |
//! | `POST /v1/apply` | [`ApplyRequest`] → [`ApplyResponse`] |
//! | `POST /v1/scale` | [`ScaleRequest`] → [`WriteResponse`] |
//! | `POST /v1/rollout` | [`RolloutRequest`] → [`WriteResponse`] |
//! | `POST /v1/delete` | [`DeleteRequest`] → [`WriteResponse`] |
//! | `POST /v1/confirm` | [`ConfirmRequest`] → [`ConfirmResponse`] |
//! | `POST /v1/kill` | [`KillRequest`] → [`KillResponse`] |
//! | `GET /v1/services?watch=` | → [`List`] of [`ServiceObject`]; with `watch` a stream of lists, as the next four |
//! | `GET /v1/services/{name}` | → [`ServiceObject`] |
//! | `GET /v1/replicas?service=&watch=` | → [`List`] of [`ReplicaObject`] |
//! | `GET /v1/endpoints?service=&watch=` | → [`List`] of [`EndpointObject`] |
//! | `GET /v1/revisions?service=&watch=` | → [`List`] of [`RevisionObject`] |
//! | `GET /v1/nodes?watch=` | → [`List`] of [`NodeObject`] |
//! | `GET /v1/volumes?service=&watch=` | → [`List`] of [`VolumeObject`] |
//! | `GET /v1/certificates?service=&watch=` | → [`List`] of [`CertificateObject`] |
//! | `GET /v1/certificates/authority` | → [`AuthorityObject`] |
//! | `GET /v1/events?service=&follow=` | → stream of [`EventObject`], oldest first |
//! | `GET /v1/services/{name}/progress?generation=&awaited=&counters=` | → stream of [`OperationProgress`], the last has an outcome |
//! | `POST /v1/routes/explain` | [`ExplainedRequest`] → [`RouteExplanation`] |
//! | `GET /v1/daemon` | → [`DaemonProcessList`] |
//! | `POST /v1/daemon/reload` | → [`ReloadStarted`] |
//! | `GET /v1/store` | → [`StoreStatus`] |
//! | `GET /v1/store/snapshot` | → the bytes of a snapshot |
//! | `POST /v1/store/restore` | the bytes of a snapshot → [`StoreReplaced`] |
//! | `POST /v1/store/new` | → [`StoreReplaced`] |
//! | `GET /v1/logs?service=&replica=&revision=&previous=&follow=&tail=&since=` | → stream of [`LogEntry`] |

mod certificate;
mod cut_requests;
mod daemon;
mod endpoint;
mod error;
mod event;
mod failure;
mod list;
mod metadata;
mod node;
mod process;
mod progress;
mod replica;
mod requests;
mod revision;
mod rollout;
mod service;
mod store;
mod volume;
mod writes;

pub use crate::controller::{
    ApplyDocument, ApplyOptions, Awaited, DocumentProblem, ExplainedEndpoint, ExplainedOutcome,
    ExplainedRequest, ExplainedRoute, FieldChange, LogEntry, LogOptions, LogQuery, RolloutChange,
    RolloutDeadline, RouteExplanation, RouteResult, WriteAction,
};
pub use certificate::{AuthorityObject, CertificateObject};
pub use cut_requests::CutRequestsDetail;
pub use daemon::{BalancerObject, DaemonStatus, RefusedConnections};
pub use endpoint::EndpointObject;
pub use error::{ApiError, ErrorDetail};
pub use event::EventObject;
pub use failure::{FailureReasonName, RolloutFailureDetail};
pub use list::{List, ListedObject};
pub use metadata::{ObjectAuthor, ObjectCondition, ObjectImage, ObjectMetadata};
pub use node::NodeObject;
pub use process::{DaemonProcessList, ProcessObject, ReloadObject, ReloadOutcomeName, ReloadStarted};
pub use progress::{CountersReading, OperationOutcome, OperationProgress, ReplicaCounters, ReplicaProgress};
pub use replica::{
    ContainerExit, DesiredName, NotReadyReason, ReplicaDiagnosis, ReplicaObject, ReplicaPhaseName,
    ReplicaSpec, ReplicaState,
};
pub use requests::{ApplyRequest, ConfirmRequest, DeleteRequest, KillRequest, RolloutRequest, ScaleRequest};
pub use revision::{RevisionObject, RevisionOutcomeName, RevisionStatus};
pub use rollout::{RolloutStateName, RolloutStatus};
pub use service::{FieldOverride, ServiceExit, ServiceObject, ServiceStatus};
pub use store::{SNAPSHOT_MAX_BYTES, StoreReplaced, StoreStatus};
pub use volume::VolumeObject;
pub use writes::{
    ApplyResponse, ConfirmResponse, KillResponse, OverriddenField, WriteResponse, WrittenObject,
    release_changes, settings,
};
