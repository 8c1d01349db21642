//! The end of the agent: what it leaves behind of what is under way.

use std::time::Duration;

use super::action::ActionSubject;
use super::run::Agent;
use super::spec;
use crate::engine::{EngineError, is_check_of};

/// How long the end of the agent waits for the removal of a container; the next agent removes what is left.
const REMOVE_MAX: Duration = Duration::from_secs(2);

impl Agent {
    /// Removes the container of a check that is under way: the agent ends, and it is to leave none.
    pub(super) async fn abandon_checks(&mut self) {
        let apps = self.busy.iter().filter_map(|subject| match subject {
            ActionSubject::GatewayCheck(app) => Some(app.clone()),
            _ => None,
        });
        let names: Vec<String> = apps.map(|app| spec::check_name(&app, &self.facts.store)).collect();
        if names.is_empty() {
            return;
        }
        self.tasks.abort_all();
        let image = spec::check_image(&self.facts.store);
        for name in names {
            match tokio::time::timeout(REMOVE_MAX, self.remove_check(&name)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) if error.is_not_found() => {}
                Ok(Err(error)) => tracing::debug!(name, %error, "the container of a check is left"),
                Err(_) => tracing::debug!(name, "the container of a check is left: Docker does not answer"),
            }
        }
        if !matches!(tokio::time::timeout(REMOVE_MAX, self.engine.untag(&image)).await, Ok(Ok(()))) {
            tracing::debug!(image, "the empty image of a check is left");
        }
    }

    async fn remove_check(&self, name: &str) -> Result<(), EngineError> {
        let found = self.engine.inspect_name(name).await?;
        if is_check_of(&found.labels, &self.facts.store) {
            self.engine.remove(&found.id).await
        } else {
            Ok(())
        }
    }
}
