//! What the supervisor knows about the exits of its children: for the controller, which shows a crash loop.
//!
//! Deliberately absent: when a child is restarted (`restart_backoff` decides it).

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Role;
use super::restart_backoff::RestartBackoff;
use crate::model::{Millis, Mono};

/// A child of the supervisor that ends again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CrashLoopingChild {
    pub role: Role,
    /// Exits within the last minute.
    pub exits: usize,
    /// How it ended last: `ended (signal: 9 (SIGKILL))`.
    pub last_exit: String,
}

#[derive(Debug)]
struct ChildRecord {
    backoff: RestartBackoff,
    last_exit: String,
    /// While it runs.
    pid: Option<i32>,
}

impl ChildRecord {
    fn new(role: Role) -> Self {
        Self { backoff: RestartBackoff::new(role), last_exit: String::new(), pid: None }
    }
}

/// The records of both roles. The supervisor has one thread.
#[derive(Debug, Default)]
pub(super) struct ChildRecords {
    roles: RefCell<BTreeMap<Role, ChildRecord>>,
}

impl ChildRecords {
    /// A child ended that was not asked to; returns how long to wait before the next start.
    pub(super) fn ended(&self, role: Role, how: String, had_served: bool, now: Mono) -> Millis {
        let mut roles = self.roles.borrow_mut();
        let record = roles.entry(role).or_insert_with(|| ChildRecord::new(role));
        record.pid = None;
        record.last_exit = how;
        record.backoff.record_exit(had_served, now)
    }

    /// A child runs.
    pub(super) fn started(&self, role: Role, pid: u32) {
        let mut roles = self.roles.borrow_mut();
        roles.entry(role).or_insert_with(|| ChildRecord::new(role)).pid = i32::try_from(pid).ok();
    }

    /// The process of a role, while it runs.
    pub(super) fn running(&self, role: Role) -> Option<i32> {
        self.roles.borrow().get(&role)?.pid
    }

    /// The roles whose processes end again and again.
    pub(super) fn crash_looping(&self, now: Mono) -> Vec<CrashLoopingChild> {
        let mut roles = self.roles.borrow_mut();
        let child = |(role, record): (&Role, &mut ChildRecord)| {
            let exits = record.backoff.crash_loop(now)?;
            Some(CrashLoopingChild { role: *role, exits, last_exit: record.last_exit.clone() })
        };
        roles.iter_mut().filter_map(child).collect()
    }
}
