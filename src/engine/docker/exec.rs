//! Exec: a command in a container is created, started, read to its end, and asked for its exit code.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::{ExecConfig, ExecInspectResponse};
use futures::StreamExt;
use tokio::time::timeout;

use super::{DockerEngine, QUICK};
use crate::engine::classify::CallObject;
use crate::engine::{EngineError, ExecId, ExecOutcome};
use crate::model::Millis;

/// How much of the end of each stream is kept: a message shows the last lines, where programs say why they failed.
const OUTPUT_MAX: usize = 4096;

/// The ends of what a command wrote.
#[derive(Default)]
struct OutputEnds {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl OutputEnds {
    fn take(&mut self, part: LogOutput) {
        match part {
            LogOutput::StdErr { message } => keep_end(&mut self.stderr, &message),
            LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                keep_end(&mut self.stdout, &message);
            }
        }
    }

    /// The errors, or what was written otherwise where there are none.
    fn text(&self) -> String {
        let has_errors = self.stderr.iter().any(|byte| !byte.is_ascii_whitespace());
        String::from_utf8_lossy(if has_errors { &self.stderr } else { &self.stdout }).into_owned()
    }
}

fn keep_end(kept: &mut Vec<u8>, part: &[u8]) {
    kept.extend_from_slice(part);
    kept.drain(..kept.len().saturating_sub(OUTPUT_MAX));
}

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
        let mut seen = OutputEnds::default();
        let ended = timeout(limit.std(), self.to_its_end(container, &made.id, &mut seen)).await;
        let output = seen.text();
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
    async fn to_its_end(
        &self,
        container: &str,
        exec: &str,
        seen: &mut OutputEnds,
    ) -> Result<i64, EngineError> {
        let started = self
            .ask("start exec", CallObject::Start(container), QUICK, |docker| async move {
                docker.start_exec(exec, None).await
            })
            .await?;
        if let StartExecResults::Attached { mut output, .. } = started {
            // An output that breaks off counts as ended: the exit code decides.
            while let Some(Ok(part)) = output.next().await {
                seen.take(part);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_the_end_of_the_errors_or_else_of_the_rest() {
        let out = |text: &str| LogOutput::StdOut { message: text.to_owned().into() };
        let err = |text: &str| LogOutput::StdErr { message: text.to_owned().into() };
        let text = |parts: Vec<LogOutput>| {
            let mut ends = OutputEnds::default();
            parts.into_iter().for_each(|part| ends.take(part));
            ends.text()
        };
        assert_eq!(text(vec![out("checking\n"), err("disk full\n"), out("done\n")]), "disk full\n");
        assert_eq!(text(vec![out("not ready\n"), err(" \n")]), "not ready\n");
        let long = text(vec![out(&"x".repeat(OUTPUT_MAX)), out("the end")]);
        assert_eq!((long.len(), long.ends_with("xthe end")), (OUTPUT_MAX, true));
    }
}
