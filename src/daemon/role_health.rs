//! What the process of a role does, whichever process that is.

use std::cell::Cell;

use tokio::sync::Notify;

use super::service_manager::RoleState;

/// The state of one role. The supervisor has one thread.
#[derive(Debug, Default)]
pub(super) struct RoleHealth {
    state: Cell<RoleState>,
    /// Woken when the state changes.
    pub(super) changed: Notify,
    /// Whether a child of this role has started successfully.
    has_started: Cell<bool>,
}

impl RoleHealth {
    /// Of a role that was kept running by an earlier program of this process.
    pub(super) fn continued(has_started: bool, is_serving: bool) -> Self {
        let state = match (has_started, is_serving) {
            (_, true) => RoleState::Serving,
            (true, false) => RoleState::Restarting,
            (false, false) => RoleState::Starting,
        };
        Self { state: Cell::new(state), changed: Notify::new(), has_started: Cell::new(has_started) }
    }

    pub(super) fn has_started(&self) -> bool {
        self.has_started.get()
    }

    pub(super) fn state(&self) -> RoleState {
        self.state.get()
    }

    /// The current child has ended.
    pub(super) fn end(&self) {
        self.enter(RoleState::Restarting);
    }

    /// A heartbeat of a child that serves; returns whether it is the first of its role.
    pub(super) fn beat(&self) -> bool {
        self.enter(RoleState::Serving);
        !self.has_started.replace(true)
    }

    fn enter(&self, state: RoleState) {
        if self.state.replace(state) != state {
            self.changed.notify_one();
        }
    }
}

/// The health of both roles.
#[derive(Debug, Default)]
pub(super) struct RolesHealth {
    pub(super) controller: RoleHealth,
    pub(super) balancer: RoleHealth,
}
