//! Which logs are asked for, as a query of the call.

use crate::api::types::{LogOptions, LogQuery};

/// The call with its query.
pub(super) fn path(query: &LogQuery) -> String {
    let LogQuery { services, replicas, revision, previous, options } = query;
    let LogOptions { follow, tail, since } = options;
    let mut text = format!("/v1/logs?follow={follow}");
    // Names are DNS labels and times are RFC 3339 in UTC: nothing of it needs escaping in a query.
    for (key, names) in [("service", listed(services)), ("replica", listed(replicas))] {
        text.extend(names.map(|names| format!("&{key}={names}")));
    }
    text.extend(revision.iter().map(|number| format!("&revision={number}")));
    text.extend(previous.then_some("&previous=true"));
    text.extend(tail.iter().map(|lines| format!("&tail={lines}")));
    text.extend(since.iter().map(|time| format!("&since={time}")));
    text
}

/// Names with commas between them; `None` where there is none.
fn listed(names: &[impl ToString]) -> Option<String> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| names.join(","))
}
