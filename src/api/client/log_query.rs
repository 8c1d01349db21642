//! Which logs are asked for.

use crate::model::{ReplicaName, RevisionNumber, ServiceName};

/// Which lines of logs to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Of all replicas of these services …
    pub services: Vec<ServiceName>,
    /// … and of these replicas.
    pub replicas: Vec<ReplicaName>,
    /// Of the services' replicas only those of this revision.
    pub revision: Option<RevisionNumber>,
    /// Go on with new lines.
    pub follow: bool,
    /// Only the last so many lines of each replica.
    pub tail: Option<u32>,
    /// Only lines since then.
    pub since: Option<jiff::Timestamp>,
}

impl LogQuery {
    /// The call with its query.
    pub(super) fn path(&self) -> String {
        let mut text = format!("/v1/logs?follow={}", self.follow);
        let LogQuery { services, replicas, revision, follow: _, tail, since } = self;
        // Names are DNS labels and times are RFC 3339 in UTC: nothing of it needs escaping in a query.
        for (key, names) in [("service", listed(services)), ("replica", listed(replicas))] {
            text.extend(names.map(|names| format!("&{key}={names}")));
        }
        text.extend(revision.iter().map(|number| format!("&revision={number}")));
        text.extend(tail.iter().map(|lines| format!("&tail={lines}")));
        text.extend(since.iter().map(|time| format!("&since={time}")));
        text
    }
}

/// Names with commas between them; `None` where there is none.
fn listed(names: &[impl ToString]) -> Option<String> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| names.join(","))
}
