//! How far what was asked of the service has come, so that after a stop it can be said how things stand. PURE.
//!
//! Invariants: a change counts once the daemon has accepted it, not when it was meant; one without an answer is told as a
//! perhaps; what the daemon still works on is told as under way.

use coxswain::api::codes;
use coxswain::api::types::ApiError;
use coxswain::model::{ReplicaName, RevisionNumber};

use super::subject::Subject;
use crate::error::CliError;

/// A write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Another number of replicas.
    Scale,
    /// The number that there was.
    ScaleBack,
    /// Something else than the revision that it began with, in words.
    Leave(&'static str),
    /// That revision.
    Return,
    /// The end of this replica's container.
    Kill(ReplicaName),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At<T> {
    #[default]
    Found,
    Other(T),
    /// On its way from there to what was found.
    Back,
}

/// What has become of the writes so far.
#[derive(Debug, Default)]
pub(super) struct Writes {
    replicas: At<()>,
    release: At<&'static str>,
    /// Where the release was before the last write: there it is again when that is rolled back.
    release_before: At<&'static str>,
    killed: Option<ReplicaName>,
    /// Sent, and neither accepted nor refused so far.
    unanswered: Option<Ask>,
    /// Somebody else has written since.
    overtaken: bool,
}

impl Writes {
    /// A write is sent.
    pub(super) fn asks(&mut self, ask: Ask) {
        self.unanswered = Some(ask);
    }

    /// It was accepted, or not.
    pub(super) fn answered(&mut self, error: Option<&ApiError>) {
        if let Some(error) = error {
            // Without an answer nobody knows whether it was done.
            let unknown = [codes::DAEMON_SILENT.id, codes::TIMED_OUT.id].contains(&error.code.as_str());
            self.unanswered = match self.unanswered.take() {
                asked if unknown => asked,
                // Asked for without an answer to the other number: that perhaps remains.
                Some(Ask::ScaleBack) if self.replicas == At::Found => Some(Ask::Scale),
                _ => None,
            };
            return;
        }
        match self.unanswered.take() {
            Some(Ask::Scale) => self.replicas = At::Other(()),
            Some(Ask::ScaleBack) => self.replicas = At::Back,
            Some(Ask::Leave(what)) => self.rolls(At::Other(what)),
            Some(Ask::Return) => self.rolls(At::Back),
            Some(Ask::Kill(replica)) => self.killed = Some(replica),
            None => {}
        }
    }

    fn rolls(&mut self, to: At<&'static str>) {
        self.release_before = std::mem::replace(&mut self.release, to);
    }

    /// The wait for what was accepted last has ended, well or not.
    pub(super) fn waited(&mut self, error: Option<&CliError>) {
        match error {
            None => {
                if self.replicas == At::Back {
                    self.replicas = At::Found;
                }
                if self.release == At::Back {
                    self.release = At::Found;
                }
                self.killed = None;
            }
            Some(CliError::Failed(errors)) => {
                let is = |code: &codes::Code| errors.iter().any(|error| error.code == code.id);
                if is(&codes::ROLLED_BACK) || is(&codes::ABORTED) {
                    self.release = self.release_before;
                }
                self.overtaken |= is(&codes::SUPERSEDED);
            }
            Some(_) => {}
        }
    }

    /// Whether it has something else than the revision that it began with, and stays there.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self.release, At::Other(_))
    }

    /// Whether the number of replicas has to be put back. Not after somebody else has written: theirs is the last word.
    pub(super) fn is_scaled(&self) -> bool {
        let perhaps = self.unanswered == Some(Ask::Scale);
        !self.overtaken && (self.replicas == At::Other(()) || perhaps)
    }

    /// How things stand, a line each; the error is of the write that was to put the number of replicas back.
    pub(super) fn told(&self, subject: &Subject, error: Option<&ApiError>) -> Vec<String> {
        let Subject { name, replicas, revision, .. } = subject;
        if self.overtaken {
            return vec![format!(
                "{name} was changed by somebody else meanwhile and is left so; \
                 it began with revision {revision} and {replicas} replicas"
            )];
        }
        let mut lines: Vec<String> = [
            self.told_replicas(name.as_str(), *replicas, error),
            self.told_release(name.as_str(), *revision),
            self.told_killed(name.as_str()),
        ]
        .into_iter()
        .flatten()
        .collect();
        if lines.is_empty() {
            lines.push(format!("{name} is as it was"));
        }
        lines
    }

    fn told_replicas(&self, name: &str, replicas: u32, error: Option<&ApiError>) -> Option<String> {
        let perhaps = matches!(self.unanswered, Some(Ask::Scale | Ask::ScaleBack));
        let is = match self.replicas {
            _ if perhaps => "may be left",
            At::Other(()) => "is left",
            At::Back => return Some(format!("{name} goes back to {replicas} replicas")),
            At::Found => return None,
        };
        let why = error.map(|error| format!(" ({error})")).unwrap_or_default();
        Some(format!("{name} {is} scaled{why}; `ctl scale {name}={replicas}` mends it"))
    }

    fn told_release(&self, name: &str, revision: RevisionNumber) -> Option<String> {
        let (is, what) = match (&self.unanswered, self.release) {
            (Some(Ask::Leave(what)), _) => ("may be", *what),
            (Some(Ask::Return), At::Other(what)) => ("may still be", what),
            (_, At::Other(what)) => ("is", what),
            (_, At::Back) => {
                let follow = format!("`ctl rollout {name}` follows it");
                return Some(format!("{name} is on its way back to revision {revision}; {follow}"));
            }
            (_, At::Found) => return None,
        };
        let back = format!("`ctl undo {name} --to {revision}` goes back");
        Some(format!("{name} began with revision {revision} and {is} left at {what}; {back}"))
    }

    fn told_killed(&self, name: &str) -> Option<String> {
        let show = format!("`ctl get replicas {name}` shows it");
        match (&self.unanswered, &self.killed) {
            (Some(Ask::Kill(replica)), _) => Some(format!("{replica} may have been killed; {show}")),
            (_, Some(replica)) => Some(format!("{replica} was killed and is on its way back; {show}")),
            (_, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::Target;

    fn told(writes: &Writes) -> String {
        let target = Target {
            address: ([127, 0, 0, 1], 80).into(),
            host: String::new(),
            path: String::new(),
            method: hyper::Method::GET,
            deadline: Duration::ZERO,
            late_after: Duration::ZERO,
        };
        let (name, revision) = ("users".into(), RevisionNumber(9));
        writes.told(&Subject { name, replicas: 2, revision, target }, None).join("; ")
    }

    /// After these writes, of which each was accepted and came about.
    fn after(asks: &[Ask]) -> Writes {
        let mut writes = Writes::default();
        for ask in asks {
            accepted(&mut writes, ask.clone());
            writes.waited(None);
        }
        writes
    }

    fn accepted(writes: &mut Writes, ask: Ask) {
        writes.asks(ask);
        writes.answered(None);
    }

    const RESTART: Ask = Ask::Leave("a restart of it");
    const AS_IT_WAS: &str = "users is as it was";

    #[test]
    fn what_came_back_is_as_it_was() {
        let killed = Ask::Kill(ReplicaName::new("users-9-a"));
        let all = [Ask::Scale, Ask::ScaleBack, RESTART, killed, Ask::Return];
        assert_eq!(told(&after(&[])), AS_IT_WAS);
        assert_eq!(told(&after(&all)), AS_IT_WAS);
        assert!(
            told(&after(&all[..4])).contains("is left at a restart of it; `ctl undo users --to 9` goes back")
        );
        assert!(after(&all[..1]).is_scaled() && !after(&all[..2]).is_scaled());
    }

    #[test]
    fn what_was_accepted_is_under_way_until_it_came_about() {
        let mut writes = after(&[RESTART]);
        accepted(&mut writes, Ask::Return);
        // Ctrl-C, and `--timeout`: the daemon goes on.
        writes.waited(Some(&CliError::Detached(String::new())));
        writes.waited(Some(&codes::TIMED_OUT.error("late").into()));
        assert!(!writes.is_elsewhere());
        assert_eq!(told(&writes), "users is on its way back to revision 9; `ctl rollout users` follows it");
        let mut writes = after(&[Ask::Scale]);
        accepted(&mut writes, Ask::ScaleBack);
        assert_eq!(told(&writes), "users goes back to 2 replicas");
        let mut writes = after(&[]);
        accepted(&mut writes, Ask::Kill(ReplicaName::new("users-9-a")));
        assert!(told(&writes).starts_with("users-9-a was killed and is on its way back"));
    }

    #[test]
    fn what_was_refused_was_not_done_and_what_was_not_answered_perhaps() {
        for ask in [Ask::Scale, RESTART, Ask::Kill(ReplicaName::new("users-9-a"))] {
            let mut writes = after(&[]);
            writes.asks(ask.clone());
            assert!(told(&writes).contains(" may "), "an interrupt in between: {ask:?}");
            writes.answered(Some(&codes::DAEMON_SILENT.error("lost")));
            assert!(told(&writes).contains(" may "), "{ask:?}");
            writes.answered(Some(&codes::NOT_NOW.error("no")));
            assert_eq!(told(&writes), AS_IT_WAS, "{ask:?}");
        }
        let mut writes = after(&[]);
        writes.asks(Ask::Scale);
        writes.asks(Ask::ScaleBack);
        writes.answered(Some(&codes::NOT_NOW.error("no")));
        assert!(told(&writes).contains("may be left scaled"), "the other number was never answered");
        let mut writes = after(&[RESTART]);
        writes.asks(Ask::Return);
        assert!(told(&writes).contains("may still be left at a restart of it"));
        writes.answered(Some(&codes::NOT_NOW.error("no")));
        assert!(told(&writes).contains("is left at a restart of it"));
    }

    #[test]
    fn a_release_that_failed_is_where_it_was_before() {
        let rolled_back = CliError::of(&codes::ROLLED_BACK, "no");
        let mut writes = after(&[]);
        accepted(&mut writes, RESTART);
        writes.waited(Some(&rolled_back));
        assert_eq!(told(&writes), AS_IT_WAS);
        let mut writes = after(&[RESTART]);
        accepted(&mut writes, Ask::Return);
        writes.waited(Some(&rolled_back));
        assert!(told(&writes).contains("is left at a restart of it"));
    }

    #[test]
    fn what_somebody_else_wrote_is_left_alone() {
        let mut writes = after(&[]);
        accepted(&mut writes, Ask::Scale);
        writes.waited(Some(&CliError::of(&codes::SUPERSEDED, "theirs")));
        assert!(!writes.is_scaled());
        assert!(told(&writes).starts_with("users was changed by somebody else meanwhile and is left so"));
    }
}
