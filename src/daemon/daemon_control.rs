//! The controller's way to the supervisor, as far as the API needs it.

use async_trait::async_trait;

use super::{CommandRefusal, SupervisorCallError, SupervisorClient};
use crate::controller::{DaemonControl, DaemonControlError};
use crate::model::DaemonProcesses;

impl From<SupervisorCallError> for DaemonControlError {
    fn from(error: SupervisorCallError) -> Self {
        match error {
            SupervisorCallError::Refused(CommandRefusal::Reload(reason)) => Self::NoReload(reason),
            other => Self::Silent(other.to_string()),
        }
    }
}

#[async_trait]
impl DaemonControl for SupervisorClient {
    async fn processes(&self) -> Result<DaemonProcesses, DaemonControlError> {
        Ok(self.list_processes().await?)
    }

    async fn reload(&self) -> Result<u64, DaemonControlError> {
        Ok(SupervisorClient::reload(self).await?)
    }
}
