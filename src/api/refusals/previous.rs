//! Errors about the previous container of a replica.

use crate::api::codes;
use crate::api::types::ErrorDetail;
use crate::model::{LastExit, PREVIOUS_KEPT_FOR, ReplicaName};

/// No container of these replicas has ended by itself.
pub(super) fn none(names: &[ReplicaName]) -> ErrorDetail {
    if names.is_empty() {
        return ErrorDetail {
            next: vec!["ctl get replicas".to_owned()],
            ..codes::NOT_FOUND.detail("no previous container: there is no replica")
        };
    }
    let listed = names.iter().map(ReplicaName::as_str).collect::<Vec<_>>();
    ErrorDetail {
        why: vec!["none of their containers has ended by itself since the replicas were created".to_owned()],
        next: vec![format!("ctl logs {}", listed.join(" "))],
        ..codes::NOT_FOUND.detail(format!("no previous container of {}", listed.join(", ")))
    }
}

/// The containers that ended last no longer exist.
pub(super) fn gone(gone: &[(ReplicaName, LastExit)]) -> ErrorDetail {
    let names = gone.iter().map(|(replica, _)| replica.as_str()).collect::<Vec<_>>();
    let mut why: Vec<String> =
        gone.iter().map(|(replica, exit)| format!("{replica}: {exit} at {}", exit.at)).collect();
    why.push(format!(
        "a container that ended is kept for {PREVIOUS_KEPT_FOR}, until the next one ends; `docker container prune` and `docker          system prune` remove it as well"
    ));
    ErrorDetail {
        why,
        next: vec![format!("ctl logs {}", names.join(" "))],
        ..codes::NOT_FOUND.detail(format!("the previous container of {} no longer exists", names.join(", ")))
    }
}
