//! One probe inside the container: a command, run without a shell; exit code 0 passes.
//!
//! Docker cannot end a command that takes too long, so the next probe starts none while it runs: a check that hangs
//! leaves one process behind, and another only where Docker did not answer in between or the check's timings changed.

use super::observation;
use crate::engine::{Engine, EngineError, ExecId, ExecOutcome};
use crate::model::{ContainerId, FailedProbe, Millis};

/// Runs the command once, at most for `timeout`; `None` if the Engine is away. `left` is a
/// command that an earlier probe left running.
pub(super) async fn probe(
    engine: &dyn Engine,
    container: &ContainerId,
    command: &[String],
    timeout: Millis,
    left: &mut Option<ExecId>,
) -> Option<Result<(), FailedProbe>> {
    let seen = |why: &str, output: &str| observation::exec(command, why, output.as_bytes());
    let failed = |why: &str, output: &str| Some(Err(seen(why, output)));
    if let Some(running) = left {
        match engine.exec_runs(running).await {
            Ok(true) => return failed("still running from an earlier check", ""),
            Err(error) if error.is_away() => return None,
            // Gone with its container, or ended.
            Ok(false) | Err(_) => *left = None,
        }
    }
    match engine.exec(container, command, timeout).await {
        Ok(ExecOutcome::Ended { code: 0, .. }) => Some(Ok(())),
        Ok(ExecOutcome::Ended { code, output }) => {
            Some(Err(observation::unwell(seen(&format!("exit code {code}"), &output))))
        }
        Ok(ExecOutcome::Running { exec, output }) => {
            *left = Some(exec);
            failed(&format!("no exit within {timeout}"), &output)
        }
        Err(error) if error.is_away() => None,
        Err(EngineError::Invalid { message }) => failed(&format!("cannot run: {message}"), ""),
        Err(error) => failed(&error.to_string(), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::{Behaviour, Call, FakeEngine};
    use crate::engine::{ContainerSpec, NetworkSpec};
    use std::collections::BTreeMap;

    /// An engine with one running container.
    fn running(behaviour: Behaviour) -> (FakeEngine, ContainerId) {
        let engine = FakeEngine::new(|| jiff::Timestamp::UNIX_EPOCH);
        engine.add_image("a:1", behaviour);
        let network = NetworkSpec {
            name: "n".into(),
            bridge: None,
            subnet: "10.0.0.0/24".into(),
            ip_range: "10.0.0.248/29".into(),
            gateway: [10, 0, 0, 1].into(),
            labels: BTreeMap::new(),
        };
        engine.create_network_by_hand(&network).unwrap();
        let spec = ContainerSpec::bare("a", "a:1", "n", [10, 0, 0, 9].into());
        let id = engine.create_by_hand(&spec).unwrap();
        engine.start_by_hand(&id).unwrap();
        (engine, id)
    }

    async fn ask(
        engine: &FakeEngine,
        id: &ContainerId,
        left: &mut Option<ExecId>,
    ) -> Option<Result<(), String>> {
        let command = ["/app".to_owned(), "check it".to_owned()];
        let outcome = probe(engine, id, &command, Millis::secs(2), left).await?;
        Some(outcome.map_err(|failed| failed.message))
    }

    fn failed_with(text: &str) -> Option<Result<(), String>> {
        Some(Err(format!("exec /app 'check it' → {text}")))
    }

    #[tokio::test]
    async fn exec_probe_passes_only_on_exit_code_0() {
        let (engine, id) = running(Behaviour::default());
        assert_eq!(ask(&engine, &id, &mut None).await, Some(Ok(())));
        let (engine, id) = running(Behaviour::never_healthy());
        assert_eq!(ask(&engine, &id, &mut None).await, failed_with("exit code 1 \"not healthy\""));
        engine.exit(&id, 0);
        assert_eq!(ask(&engine, &id, &mut None).await, failed_with("container a is not running"));
    }

    #[tokio::test]
    async fn probe_has_no_outcome_while_the_engine_is_away() {
        let (engine, id) = running(Behaviour::default());
        engine.go_away();
        assert_eq!(ask(&engine, &id, &mut None).await, None);
    }

    #[tokio::test]
    async fn exec_probe_does_not_restart_hanging_command() {
        let (engine, id) = running(Behaviour::hangs_in_exec());
        let mut left = None;
        assert_eq!(ask(&engine, &id, &mut left).await, failed_with("no exit within 2s"));
        assert!(left.is_some());
        let again = failed_with("still running from an earlier check");
        assert_eq!(ask(&engine, &id, &mut left).await, again);
        engine.set_behaviour(&id, Behaviour::default());
        engine.fail_next(Call::ExecRuns, EngineError::Stopped { socket: "s".into() });
        assert_eq!(ask(&engine, &id, &mut left).await, None);
        assert_eq!(ask(&engine, &id, &mut left).await, Some(Ok(())));
        assert!(left.is_none());
    }
}
