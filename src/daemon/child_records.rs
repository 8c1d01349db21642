//! What the supervisor knows about the exits of its children: for the controller, which shows a crash loop.
//!
//! Deliberately absent: when a child is restarted (`restart_backoff` decides it).

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Role;
use super::restart_backoff::RestartBackoff;
use crate::model::{DaemonProcess, DaemonRole, Millis, Mono, ProcessState};

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
}

impl ChildRecord {
    fn new(role: Role) -> Self {
        Self { backoff: RestartBackoff::new(role), last_exit: String::new() }
    }
}

/// The records of both roles, and of all children that run. The supervisor has one thread.
#[derive(Debug, Default)]
pub(super) struct ChildRecords {
    roles: RefCell<BTreeMap<Role, ChildRecord>>,
    /// In the order of their starts.
    running: RefCell<Vec<DaemonProcess>>,
}

impl ChildRecords {
    /// A child ended that was not asked to; returns how long to wait before the next start.
    pub(super) fn ended(&self, role: Role, how: String, had_served: bool, now: Mono) -> Millis {
        let mut roles = self.roles.borrow_mut();
        let record = roles.entry(role).or_insert_with(|| ChildRecord::new(role));
        record.last_exit = how;
        record.backoff.record_exit(had_served, now)
    }

    /// A child runs.
    pub(super) fn started(&self, role: Role, pid: i32, version: &str) {
        self.add(role, pid, version, ProcessState::Starting);
    }

    /// A child of an earlier program of this process runs.
    pub(super) fn add(&self, role: Role, pid: i32, version: &str, state: ProcessState) {
        let process = DaemonProcess { role: role.into(), pid, version: version.to_owned(), state };
        self.running.borrow_mut().push(process);
    }

    /// A child has sent a heartbeat.
    pub(super) fn serves(&self, pid: i32) {
        let mut running = self.running.borrow_mut();
        let starting = |process: &&mut DaemonProcess| process.state == ProcessState::Starting;
        if let Some(process) = running.iter_mut().filter(starting).find(|process| process.pid == pid) {
            process.state = ProcessState::Serving;
        }
    }

    /// A balancer finishes its requests.
    pub(super) fn drains(&self, pid: i32) {
        if let Some(process) = self.running.borrow_mut().iter_mut().find(|process| process.pid == pid) {
            process.state = ProcessState::Draining;
        }
    }

    /// A child has ended.
    pub(super) fn gone(&self, pid: i32) {
        self.running.borrow_mut().retain(|process| process.pid != pid);
    }

    /// All children that run.
    pub(super) fn processes(&self) -> Vec<DaemonProcess> {
        self.running.borrow().clone()
    }

    /// The process of a role, while it runs; of the balancers the last one that was started.
    pub(super) fn running(&self, role: Role) -> Option<i32> {
        let running = self.running.borrow();
        running.iter().rev().find(|process| process.role == DaemonRole::from(role)).map(|process| process.pid)
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
