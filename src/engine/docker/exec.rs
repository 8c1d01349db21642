//! Exec: a command in a container is created, started, read to its end, and asked for its exit code.

use std::time::Duration;

use bollard::exec::StartExecResults;
use bollard::models::{ExecConfig, ExecInspectResponse};
use futures::StreamExt;
use tokio::time::timeout;

use super::{DockerEngine, QUICK};
use crate::engine::classify::CallObject;
use crate::engine::{EngineError, ExecId, ExecOutcome};
use crate::model::Millis;

/// How much of the output is kept; its first line is shown.
const OUTPUT_MAX: usize = 4096;

/// How often a command is asked for its exit code after the end of its output: Docker knows it a moment later, and a
/// command may close its output and keep running.
const ASK_AGAIN: Duration = Duration::from_millis(20);

impl DockerEngine {
    pub(super) async fn run_in(
        &self,
        container: &str,
        command: &[String],
        limit: Millis,
    ) -> Result<ExecOutcome, EngineError> {
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            ..ExecConfig::default()
        };
        let made = self
            .ask("exec", CallObject::Container(container), QUICK, |docker| async move {
                docker.create_exec(container, config).await
            })
            .await?;
        let mut seen = Vec::new();
        let ended = timeout(limit.std(), self.to_its_end(container, &made.id, &mut seen)).await;
        let output = String::from_utf8_lossy(&seen).into_owned();
        let state = match ended {
            Ok(ended) => Some(ended?),
            Err(_) => self.exit_code(&made.id).await?,
        };
        Ok(match state {
            Some(code) => ExecOutcome::Ended { code, output },
            None => ExecOutcome::Running { exec: ExecId(made.id), output },
        })
    }

    /// Starts the command and reads its output into `seen`; its exit code.
    async fn to_its_end(&self, container: &str, exec: &str, seen: &mut Vec<u8>) -> Result<i64, EngineError> {
        let started = self
            .ask("start exec", CallObject::Start(container), QUICK, |docker| async move {
                docker.start_exec(exec, None).await
            })
            .await?;
        if let StartExecResults::Attached { mut output, .. } = started {
            // An output that breaks off counts as ended: the exit code decides.
            while let Some(Ok(part)) = output.next().await {
                let part = part.into_bytes();
                seen.extend_from_slice(&part[..part.len().min(OUTPUT_MAX - seen.len())]);
            }
        }
        loop {
            if let Some(code) = self.exit_code(exec).await? {
                return Ok(code);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// The exit code of a command; `None` while it runs, and before it was started.
    async fn exit_code(&self, exec: &str) -> Result<Option<i64>, EngineError> {
        let state = self.inspect_exec(exec).await?;
        Ok(state.exit_code.filter(|_| state.running != Some(true)))
    }

    /// Whether a command runs. One that was created but never started, because Docker was too busy, does not and never will.
    pub(super) async fn is_running(&self, exec: &str) -> Result<bool, EngineError> {
        Ok(self.inspect_exec(exec).await?.running == Some(true))
    }

    async fn inspect_exec(&self, exec: &str) -> Result<ExecInspectResponse, EngineError> {
        self.ask("inspect exec", CallObject::Container(exec), QUICK, |docker| async move {
            docker.inspect_exec(exec).await
        })
        .await
    }
}
