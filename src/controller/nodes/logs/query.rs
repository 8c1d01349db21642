//! Which logs are read.

use crate::agent::LogOptions;
use crate::controller::error::ControllerError;
use crate::controller::nodes::handle::Nodes;
use crate::controller::queries::ReplicaSnapshot;
use crate::model::{Desired, ReplicaName, RevisionNumber, ServiceName};

/// Which replicas' logs, and which lines of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Services whose replicas are read …
    pub services: Vec<ServiceName>,
    /// … and single replicas.
    pub replicas: Vec<ReplicaName>,
    /// Only replicas of this revision. Without it, containers that are retained after a failure are left out.
    pub revision: Option<RevisionNumber>,
    /// The last container of each replica that ended by itself, in place of the current one.
    pub previous: bool,
    pub options: LogOptions,
}

impl Nodes {
    /// The replicas that a query names; those that do not exist are refused.
    pub(super) async fn replicas_of(
        &self,
        query: &LogQuery,
    ) -> Result<Vec<ReplicaSnapshot>, ControllerError> {
        // A replica's name does not determine its service: all replicas are searched.
        let all =
            self.queries.replicas(if query.replicas.is_empty() { &query.services } else { &[] }).await?;
        let is_wanted = |replica: &ReplicaSnapshot| {
            let of_service = query.services.is_empty() && query.replicas.is_empty()
                || query.services.contains(&replica.replica.service);
            let of_revision = match query.revision {
                Some(revision) => replica.replica.revision == revision,
                None => !matches!(replica.replica.desired, Desired::Retain { .. }),
            };
            query.replicas.contains(&replica.replica.name) || of_service && of_revision
        };
        let is_missing = |name: &&ReplicaName| !all.iter().any(|replica| replica.replica.name == **name);
        if let Some(missing) = query.replicas.iter().find(is_missing) {
            return Err(ControllerError::NoReplica(missing.clone()));
        }
        Ok(all.into_iter().filter(is_wanted).collect())
    }
}
