//! What happens to a replica between the lines of its log. Pure.

use crate::model::{ReplicaPhase, ReplicaStatus};

/// What a reader of the log is told when a replica goes from one status to another; `None` where it is nothing new.
pub(super) fn told(before: Option<&ReplicaStatus>, now: &ReplicaStatus) -> Option<String> {
    let same_attempt = before.is_some_and(|before| before.attempt == now.attempt);
    let same_phase = before
        .is_some_and(|before| std::mem::discriminant(&before.phase) == std::mem::discriminant(&now.phase));
    if same_attempt && same_phase {
        return None;
    }
    Some(match &now.phase {
        ReplicaPhase::Waiting { .. } | ReplicaPhase::Pulling => return None,
        // Its first container has a number only once it is made.
        ReplicaPhase::Starting { .. } if same_phase && now.attempt <= 1 => return None,
        ReplicaPhase::Starting { .. } if now.attempt > 1 => format!("started again, attempt {}", now.attempt),
        ReplicaPhase::Starting { .. } => "started".to_owned(),
        ReplicaPhase::Ready => match now.ready_after {
            Some(after) => format!("ready after {}.{}s", after.0 / 1000, after.0 % 1000 / 100),
            None => "ready".to_owned(),
        },
        ReplicaPhase::Unready { reason } => format!("unready: {reason}"),
        ReplicaPhase::BackOff { reason, retry_at } => {
            let wait = (retry_at.as_second() - now.since.as_second()).max(0);
            format!("{reason}, starts again in {wait}s")
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
    use crate::model::{Millis, WaitReason};

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
            since: jiff::Timestamp::UNIX_EPOCH,
            diagnosis: None,
        }
    }

    #[test]
    fn each_change_is_told_once() {
        let starting = || status(1, ReplicaPhase::Starting { reason: None });
        let again = status(2, ReplicaPhase::Starting { reason: None });
        let exited = WaitReason::Exited { code: 1, oom_killed: false };
        let retry_at = jiff::Timestamp::from_second(4).unwrap();
        let back_off = status(1, ReplicaPhase::BackOff { reason: exited, retry_at });
        let ready = || status(1, ReplicaPhase::Ready);
        let rows = [
            (None, status(1, ReplicaPhase::Pulling), None),
            (None, starting(), Some("started")),
            (Some(starting()), starting(), None),
            (Some(status(0, ReplicaPhase::Starting { reason: None })), starting(), None),
            (Some(starting()), ready(), Some("ready after 2.2s")),
            (Some(ready()), ready(), None),
            (Some(ready()), status(1, ReplicaPhase::Draining), Some("draining")),
            (Some(starting()), back_off.clone(), Some("exited with code 1, starts again in 4s")),
            (Some(back_off), again, Some("started again, attempt 2")),
            (Some(ready()), status(1, ReplicaPhase::Gone), Some("gone")),
        ];
        for (before, now, expected) in rows {
            assert_eq!(told(before.as_ref(), &now).as_deref(), expected, "{:?}", now.phase);
        }
    }
}
