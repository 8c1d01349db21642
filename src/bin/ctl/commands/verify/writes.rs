//! Tracks the writes of a verification, to report after a stop what state the service is in. Pure.
//!
//! Invariants: a change counts once the daemon has accepted it; a write without an answer is reported as possible; a
//! change that the daemon still works on is reported as in progress.

use coxswain::api::codes;
use coxswain::api::types::ApiError;
use coxswain::model::{ReplicaName, RevisionNumber};

use super::subject::VerifiedService;
use crate::error::CliError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VerifyWrite {
    Scale,
    /// Back to the original replica count.
    ScaleBack,
    /// To another release, described in words.
    Leave(&'static str),
    /// Back to the original release.
    Return,
    Kill(ReplicaName),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Deviation<T> {
    /// The original value.
    #[default]
    None,
    Other(T),
    /// Returning to the original value.
    Returning,
}

#[derive(Debug, Default)]
pub(super) struct WriteTracker {
    replicas: Deviation<()>,
    release: Deviation<&'static str>,
    /// The release before the last write, which a rollback of that write restores.
    release_before: Deviation<&'static str>,
    killed: Option<ReplicaName>,
    /// Sent, but neither accepted nor rejected yet.
    unanswered: Option<VerifyWrite>,
    /// Someone else changed the service since.
    superseded: bool,
}

impl WriteTracker {
    pub(super) fn sent(&mut self, ask: VerifyWrite) {
        self.unanswered = Some(ask);
    }

    /// The write was accepted, or failed with an error.
    pub(super) fn answered(&mut self, error: Option<&ApiError>) {
        if let Some(error) = error {
            // Without an answer the write may have happened.
            let unknown = [codes::DAEMON_SILENT.id, codes::TIMED_OUT.id].contains(&error.code.as_str());
            self.unanswered = match self.unanswered.take() {
                asked if unknown => asked,
                // The first scale was never answered, so it may still have happened.
                Some(VerifyWrite::ScaleBack) if self.replicas == Deviation::None => Some(VerifyWrite::Scale),
                _ => None,
            };
            return;
        }
        match self.unanswered.take() {
            Some(VerifyWrite::Scale) => self.replicas = Deviation::Other(()),
            Some(VerifyWrite::ScaleBack) => self.replicas = Deviation::Returning,
            Some(VerifyWrite::Leave(what)) => self.rolls(Deviation::Other(what)),
            Some(VerifyWrite::Return) => self.rolls(Deviation::Returning),
            Some(VerifyWrite::Kill(replica)) => self.killed = Some(replica),
            None => {}
        }
    }

    fn rolls(&mut self, to: Deviation<&'static str>) {
        self.release_before = std::mem::replace(&mut self.release, to);
    }

    /// The wait for the last accepted write has ended.
    pub(super) fn waited(&mut self, error: Option<&CliError>) {
        match error {
            None => {
                if self.replicas == Deviation::Returning {
                    self.replicas = Deviation::None;
                }
                if self.release == Deviation::Returning {
                    self.release = Deviation::None;
                }
                self.killed = None;
            }
            Some(CliError::Failed(errors)) => {
                let has_code = |code: &codes::Code| errors.iter().any(|error| error.code == code.id);
                if has_code(&codes::ROLLED_BACK) || has_code(&codes::ABORTED) {
                    self.release = self.release_before;
                }
                self.superseded |= has_code(&codes::SUPERSEDED);
            }
            Some(_) => {}
        }
    }

    /// Whether the service stays on another release than the original one.
    pub(super) fn is_on_other_release(&self) -> bool {
        matches!(self.release, Deviation::Other(_))
    }

    /// Whether the replica count must be restored. Not if someone else changed the service since.
    pub(super) fn is_scaled(&self) -> bool {
        let may_be_scaled = self.unanswered == Some(VerifyWrite::Scale);
        !self.superseded && (self.replicas == Deviation::Other(()) || may_be_scaled)
    }

    /// The state of the service, a line per deviation. `error` is from the write that restores the replica count.
    pub(super) fn report(&self, subject: &VerifiedService, error: Option<&ApiError>) -> Vec<String> {
        let VerifiedService { name, replicas, revision, .. } = subject;
        if self.superseded {
            return vec![format!(
                "{name} was changed by someone else and is left unchanged; \
                 it had revision {revision} and {replicas} replicas before"
            )];
        }
        let mut lines: Vec<String> = [
            self.replicas_line(name.as_str(), *replicas, error),
            self.release_line(name.as_str(), *revision),
            self.killed_line(name.as_str()),
        ]
        .into_iter()
        .flatten()
        .collect();
        if lines.is_empty() {
            lines.push(format!("{name} is in its original state"));
        }
        lines
    }

    fn replicas_line(&self, name: &str, replicas: u32, error: Option<&ApiError>) -> Option<String> {
        let uncertain = matches!(self.unanswered, Some(VerifyWrite::Scale | VerifyWrite::ScaleBack));
        let state = match self.replicas {
            _ if uncertain => "may still be",
            Deviation::Other(()) => "is still",
            Deviation::Returning => return Some(format!("{name} is scaling back to {replicas} replicas")),
            Deviation::None => return None,
        };
        let why = error.map(|error| format!(" ({error})")).unwrap_or_default();
        Some(format!("{name} {state} scaled{why}; run `ctl scale {name}={replicas}` to restore it"))
    }

    fn release_line(&self, name: &str, revision: RevisionNumber) -> Option<String> {
        let (state, what) = match (&self.unanswered, self.release) {
            (Some(VerifyWrite::Leave(what)), _) => ("may be", *what),
            (Some(VerifyWrite::Return), Deviation::Other(what)) => ("may still be", what),
            (_, Deviation::Other(what)) => ("is", what),
            (_, Deviation::Returning) => {
                let follow = format!("run `ctl rollout {name}` to follow it");
                return Some(format!("{name} is rolling back to revision {revision}; {follow}"));
            }
            (_, Deviation::None) => return None,
        };
        let back = format!("run `ctl undo {name} --to {revision}` to return");
        Some(format!("{name} had revision {revision} and {state} on {what}; {back}"))
    }

    fn killed_line(&self, name: &str) -> Option<String> {
        let show = format!("run `ctl get replicas {name}` to see it");
        match (&self.unanswered, &self.killed) {
            (Some(VerifyWrite::Kill(replica)), _) => Some(format!("{replica} may have been killed; {show}")),
            (_, Some(replica)) => Some(format!("{replica} was killed and is restarting; {show}")),
            (_, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::LoadTarget;

    fn report(writes: &WriteTracker) -> String {
        let target = LoadTarget {
            address: ([127, 0, 0, 1], 80).into(),
            tls: None,
            host: String::new(),
            path: String::new(),
            method: hyper::Method::GET,
            deadline: Duration::ZERO,
            late_after: Duration::ZERO,
        };
        let (name, revision) = ("users".into(), RevisionNumber(9));
        writes.report(&VerifiedService { name, replicas: 2, revision, target }, None).join("; ")
    }

    /// After these writes, each accepted and completed.
    fn after(asks: &[VerifyWrite]) -> WriteTracker {
        let mut writes = WriteTracker::default();
        for ask in asks {
            accepted(&mut writes, ask.clone());
            writes.waited(None);
        }
        writes
    }

    fn accepted(writes: &mut WriteTracker, ask: VerifyWrite) {
        writes.sent(ask);
        writes.answered(None);
    }

    const RESTART: VerifyWrite = VerifyWrite::Leave("its restart");
    const ORIGINAL: &str = "users is in its original state";

    #[test]
    fn report_after_return_is_original() {
        let killed = VerifyWrite::Kill(ReplicaName::new("users-9-a"));
        let all = [VerifyWrite::Scale, VerifyWrite::ScaleBack, RESTART, killed, VerifyWrite::Return];
        assert_eq!(report(&after(&[])), ORIGINAL);
        assert_eq!(report(&after(&all)), ORIGINAL);
        assert!(
            report(&after(&all[..4])).contains("is on its restart; run `ctl undo users --to 9` to return")
        );
        assert!(after(&all[..1]).is_scaled() && !after(&all[..2]).is_scaled());
    }

    #[test]
    fn report_of_accepted_writes_is_in_progress_until_done() {
        let mut writes = after(&[RESTART]);
        accepted(&mut writes, VerifyWrite::Return);
        // After Ctrl-C or `--timeout` the daemon continues.
        writes.waited(Some(&CliError::Detached(String::new())));
        writes.waited(Some(&codes::TIMED_OUT.error("late").into()));
        assert!(!writes.is_on_other_release());
        assert_eq!(
            report(&writes),
            "users is rolling back to revision 9; run `ctl rollout users` to follow it"
        );
        let mut writes = after(&[VerifyWrite::Scale]);
        accepted(&mut writes, VerifyWrite::ScaleBack);
        assert_eq!(report(&writes), "users is scaling back to 2 replicas");
        let mut writes = after(&[]);
        accepted(&mut writes, VerifyWrite::Kill(ReplicaName::new("users-9-a")));
        assert!(report(&writes).starts_with("users-9-a was killed and is restarting"));
    }

    #[test]
    fn report_of_unanswered_writes_is_possible_and_of_rejected_ones_original() {
        for ask in [VerifyWrite::Scale, RESTART, VerifyWrite::Kill(ReplicaName::new("users-9-a"))] {
            let mut writes = after(&[]);
            writes.sent(ask.clone());
            assert!(report(&writes).contains(" may "), "an interrupt in between: {ask:?}");
            writes.answered(Some(&codes::DAEMON_SILENT.error("lost")));
            assert!(report(&writes).contains(" may "), "{ask:?}");
            writes.answered(Some(&codes::NOT_NOW.error("no")));
            assert_eq!(report(&writes), ORIGINAL, "{ask:?}");
        }
        let mut writes = after(&[]);
        writes.sent(VerifyWrite::Scale);
        writes.sent(VerifyWrite::ScaleBack);
        writes.answered(Some(&codes::NOT_NOW.error("no")));
        assert!(report(&writes).contains("may still be scaled"), "the other number was never answered");
        let mut writes = after(&[RESTART]);
        writes.sent(VerifyWrite::Return);
        assert!(report(&writes).contains("may still be on its restart"));
        writes.answered(Some(&codes::NOT_NOW.error("no")));
        assert!(report(&writes).contains("is on its restart"));
    }

    #[test]
    fn report_after_rollback_is_the_release_before() {
        let rolled_back = CliError::of(&codes::ROLLED_BACK, "no");
        let mut writes = after(&[]);
        accepted(&mut writes, RESTART);
        writes.waited(Some(&rolled_back));
        assert_eq!(report(&writes), ORIGINAL);
        let mut writes = after(&[RESTART]);
        accepted(&mut writes, VerifyWrite::Return);
        writes.waited(Some(&rolled_back));
        assert!(report(&writes).contains("is on its restart"));
    }

    #[test]
    fn report_after_foreign_change_restores_nothing() {
        let mut writes = after(&[]);
        accepted(&mut writes, VerifyWrite::Scale);
        writes.waited(Some(&CliError::of(&codes::SUPERSEDED, "theirs")));
        assert!(!writes.is_scaled());
        assert!(report(&writes).starts_with("users was changed by someone else and is left unchanged"));
    }
}
