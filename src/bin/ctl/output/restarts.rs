//! Restarts of containers and how the last ones ended, in words. Pure.

use coxswain::api::types::{ContainerExit, ReplicaObject};
use coxswain::model::sanitize;
use jiff::{SignedDuration, Timestamp};

use super::age::ago;

/// `ctl why` explains the present: an exit that is older than this is left to `ctl describe`.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

/// `5 (12s ago)`, as kubectl prints it: the number of restarts, and when the last container ended.
pub(super) fn restarts(count: u32, last: Option<&ContainerExit>, now: Timestamp) -> String {
    match last.filter(|_| count > 0) {
        Some(exit) => format!("{count} ({})", ago(exit.at, now)),
        None => count.to_string(),
    }
}

/// How the last container of each replica ended, where one did.
pub(super) fn last_exits(replicas: &[ReplicaObject], now: Timestamp) -> Vec<String> {
    replicas.iter().filter_map(|replica| last_exit(replica, now)).collect()
}

/// The same for replicas that are meant to run, of a while ago at most.
pub(super) fn recent_exits(replicas: &[ReplicaObject], now: Timestamp) -> Vec<String> {
    let is_recent = |exit: &ContainerExit| now.duration_since(exit.at) < RECENT;
    let recent =
        replicas.iter().filter(|replica| replica.spec.runs() && exit_of(replica).is_some_and(is_recent));
    recent.filter_map(|replica| last_exit(replica, now)).collect()
}

fn exit_of(replica: &ReplicaObject) -> Option<&ContainerExit> {
    replica.status.as_ref()?.last_exit.as_ref()
}

/// `users-9-a: exited with code 139 (SIGSEGV) 12s ago, restarted 5 times`.
fn last_exit(replica: &ReplicaObject, now: Timestamp) -> Option<String> {
    let exit = exit_of(replica)?;
    let restarted = match replica.status.as_ref()?.restart_count {
        0 => String::new(),
        1 => ", restarted once".to_owned(),
        count => format!(", restarted {count} times"),
    };
    Some(format!("{}: {} {}{restarted}", replica.spec.name, sanitize(&exit.message), ago(exit.at, now)))
}
