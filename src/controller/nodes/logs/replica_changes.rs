//! Changes of replicas, as notices between the lines of their logs. Pure.

use std::collections::BTreeMap;

use super::records::notice;
use crate::controller::queries::{LogEntry, ReplicaSnapshot};
use crate::model::{ReplicaName, ReplicaPhase, ReplicaStatus};

/// The replicas' statuses as one client has seen them.
#[derive(Debug, Default)]
pub(super) struct ReplicaChanges {
    statuses: BTreeMap<ReplicaName, ReplicaStatus>,
}

impl ReplicaChanges {
    /// Notices of what changed since the last call, and of replicas that are gone.
    pub(super) fn update(&mut self, replicas: &[ReplicaSnapshot]) -> Vec<LogEntry> {
        let mut notices = Vec::new();
        for status in replicas.iter().filter_map(|replica| replica.status.as_ref()) {
            let before = self.statuses.insert(status.replica.clone(), status.clone());
            let text = describe(before.as_ref(), status);
            notices.extend(text.map(|text| notice(&status.replica, Some(status.since), text)));
        }
        self.statuses.retain(|name, last| {
            let exists = replicas.iter().any(|replica| replica.replica.name == *name);
            // Its agent may have reported it as gone before.
            if !exists && last.phase != ReplicaPhase::Gone {
                notices.push(notice(name, None, "gone".to_owned()));
            }
            exists
        });
        notices
    }
}

/// The change from one status to another; `None` where there is nothing to report.
fn describe(before: Option<&ReplicaStatus>, now: &ReplicaStatus) -> Option<String> {
    let same_attempt = before.is_some_and(|before| before.attempt == now.attempt);
    let same_phase = before
        .is_some_and(|before| std::mem::discriminant(&before.phase) == std::mem::discriminant(&now.phase));
    if same_attempt && same_phase {
        return None;
    }
    Some(match &now.phase {
        ReplicaPhase::Waiting { .. } | ReplicaPhase::Pulling => return None,
        // The first container is numbered only once it is created.
        ReplicaPhase::Starting { .. } if same_phase && now.attempt <= 1 => return None,
        ReplicaPhase::Starting { .. } if now.attempt > 1 => format!("started again, attempt {}", now.attempt),
        ReplicaPhase::Starting { .. } => "started".to_owned(),
        ReplicaPhase::Ready => match now.ready_after {
            Some(after) => format!("ready after {}.{}s", after.0 / 1000, after.0 % 1000 / 100),
            None => "ready".to_owned(),
        },
        ReplicaPhase::Unready { cause } => format!("unready: {cause}"),
        ReplicaPhase::BackOff { cause, retry_at } => {
            let wait = (retry_at.as_second() - now.since.as_second()).max(0);
            format!("{cause}, starts again in {wait}s")
        }
        ReplicaPhase::Draining => "draining".to_owned(),
        ReplicaPhase::Stopping => "stopping".to_owned(),
        ReplicaPhase::Retained => "stopped, retained for inspection".to_owned(),
        ReplicaPhase::Gone => "gone".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Trial;
    use crate::model::{Millis, NotReadyCause};

    fn status(attempt: u32, phase: ReplicaPhase) -> ReplicaStatus {
        ReplicaStatus {
            replica: "users-9-a".into(),
            phase,
            attempt,
            failures: 0,
            container: None,
            published: Default::default(),
            address: None,
            ready_after: Some(Millis(2_250)),
            trial: Trial::default(),
            since: jiff::Timestamp::UNIX_EPOCH,
            diagnosis: None,
            cut: None,
            history: Default::default(),
        }
    }

    #[test]
    fn describe_reports_each_change_once() {
        let starting = || status(1, ReplicaPhase::Starting { cause: None });
        let again = status(2, ReplicaPhase::Starting { cause: None });
        let exited = NotReadyCause::Exited { code: 1, was_healthy: false };
        let retry_at = jiff::Timestamp::from_second(4).unwrap();
        let back_off = status(1, ReplicaPhase::BackOff { cause: exited, retry_at });
        let ready = || status(1, ReplicaPhase::Ready);
        let rows = [
            (None, status(1, ReplicaPhase::Pulling), None),
            (None, starting(), Some("started")),
            (Some(starting()), starting(), None),
            (Some(status(0, ReplicaPhase::Starting { cause: None })), starting(), None),
            (Some(starting()), ready(), Some("ready after 2.2s")),
            (Some(ready()), ready(), None),
            (Some(ready()), status(1, ReplicaPhase::Draining), Some("draining")),
            (Some(starting()), back_off.clone(), Some("exited with code 1, starts again in 4s")),
            (Some(back_off), again, Some("started again, attempt 2")),
            (Some(ready()), status(1, ReplicaPhase::Gone), Some("gone")),
        ];
        for (before, now, expected) in rows {
            assert_eq!(describe(before.as_ref(), &now).as_deref(), expected, "{:?}", now.phase);
        }
    }
}
