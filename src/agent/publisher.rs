//! When the registry publishes what the agent has stored.

use std::sync::Arc;

use crate::model::EndpointId;
use crate::registry::{Barrier, Registry};
use crate::store::StoreError;

/// How far the agent's start has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Startup {
    /// The Engine's objects were never listed: nothing is planned.
    FirstContact,
    /// The stored endpoints are being checked against the Engine: no table is published.
    CheckingEndpoints,
    /// Tables are published.
    Open,
}

/// Publishes through the registry.
pub(super) struct Publisher {
    registry: Arc<Registry>,
    startup: Startup,
    /// Endpoints were written that the registry has not read yet: until then no acknowledgement counts.
    is_behind: bool,
}

impl Publisher {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, startup: Startup::FirstContact, is_behind: true }
    }

    pub(super) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    /// The Engine's objects were listed.
    pub(super) fn engine_listed(&mut self) {
        if self.startup == Startup::FirstContact {
            self.startup = Startup::CheckingEndpoints;
        }
    }

    /// Whether enough is known to plan.
    pub(super) fn may_plan(&self) -> bool {
        self.startup != Startup::FirstContact
    }

    /// Whether tables are published.
    pub(super) fn is_open(&self) -> bool {
        self.startup == Startup::Open
    }

    pub(super) fn barrier(&self) -> Barrier {
        if self.is_open() { self.registry.barrier() } else { Barrier::default() }
    }

    /// Withdraws endpoints before anything is stored.
    pub(super) fn withdraw(&self, endpoints: &[EndpointId]) {
        if !endpoints.is_empty() {
            self.registry.withdraw_now(endpoints);
        }
    }

    /// Endpoints are about to be written.
    pub(super) fn endpoints_written(&mut self) {
        self.is_behind = true;
    }

    /// Publishes what is stored, if tables are published and the registry is behind.
    pub(super) async fn catch_up(&mut self) -> Result<(), StoreError> {
        if self.is_behind && self.is_open() {
            self.registry.rebuild().await?;
            self.is_behind = false;
        }
        Ok(())
    }

    /// The first plan with an Engine that answers has checked the stored endpoints: publishes from now on.
    pub(super) async fn open(&mut self) -> Result<(), StoreError> {
        if self.startup == Startup::CheckingEndpoints {
            self.registry.open().await?;
            self.startup = Startup::Open;
            self.is_behind = false;
        }
        Ok(())
    }
}
