//! What happens to a replica between the lines of its log. Pure.

use crate::model::{Phase, ReplicaStatus};

/// What a reader of the log is told when a replica goes from one status to another; `None` where it is nothing new.
pub(super) fn told(before: Option<&ReplicaStatus>, now: &ReplicaStatus) -> Option<String> {
    let same_attempt = before.is_some_and(|before| before.attempt == now.attempt);
    let same_phase = before
        .is_some_and(|before| std::mem::discriminant(&before.phase) == std::mem::discriminant(&now.phase));
    if same_attempt && same_phase {
        return None;
    }
    Some(match &now.phase {
        Phase::Waiting { .. } | Phase::Pulling => return None,
        // Its first container has a number only once it is made.
        Phase::Starting { .. } if same_phase && now.attempt <= 1 => return None,
        Phase::Starting { .. } if now.attempt > 1 => format!("started again, attempt {}", now.attempt),
        Phase::Starting { .. } => "started".to_owned(),
        Phase::Ready => match now.ready_after {
            Some(after) => format!("ready after {}.{}s", after.0 / 1000, after.0 % 1000 / 100),
            None => "ready".to_owned(),
        },
        Phase::Unready { reason } => format!("unready: {reason}"),
        Phase::BackOff { reason, retry_at } => {
            let wait = (retry_at.as_second() - now.since.as_second()).max(0);
            format!("{reason}, starts again in {wait}s")
        }
        Phase::Draining => "draining".to_owned(),
        Phase::Stopping => "stopping".to_owned(),
        Phase::Kept => "stopped, kept to be looked at".to_owned(),
        Phase::Gone => "gone".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Millis, WaitReason};

    fn status(attempt: u32, phase: Phase) -> ReplicaStatus {
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
            trouble: None,
        }
    }

    #[test]
    fn each_change_is_told_once() {
        let starting = || status(1, Phase::Starting { reason: None });
        let again = status(2, Phase::Starting { reason: None });
        let exited = WaitReason::Exited { code: 1, oom_killed: false };
        let retry_at = jiff::Timestamp::from_second(4).unwrap();
        let back_off = status(1, Phase::BackOff { reason: exited, retry_at });
        let ready = || status(1, Phase::Ready);
        let rows = [
            (None, status(1, Phase::Pulling), None),
            (None, starting(), Some("started")),
            (Some(starting()), starting(), None),
            (Some(status(0, Phase::Starting { reason: None })), starting(), None),
            (Some(starting()), ready(), Some("ready after 2.2s")),
            (Some(ready()), ready(), None),
            (Some(ready()), status(1, Phase::Draining), Some("draining")),
            (Some(starting()), back_off.clone(), Some("exited with code 1, starts again in 4s")),
            (Some(back_off), again, Some("started again, attempt 2")),
            (Some(ready()), status(1, Phase::Gone), Some("gone")),
        ];
        for (before, now, expected) in rows {
            assert_eq!(told(before.as_ref(), &now).as_deref(), expected, "{:?}", now.phase);
        }
    }
}
