//! What the last pass over a service waited for, for people. Pure.

use crate::model::Millis;
use crate::orchestrator::Blocker;

/// The reasons so long after that pass, a line each. A replica that is not available is left out: its own status says
/// more.
pub(crate) fn waits(blockers: &[Blocker], passed: Millis) -> Vec<String> {
    blockers.iter().filter_map(|hold| later(hold, passed)).map(|hold| hold.to_string()).collect()
}

/// The reason as it is later, in whole seconds; `None` where it has passed.
fn later(hold: &Blocker, passed: Millis) -> Option<Blocker> {
    let rest = |left: &Millis| {
        let left = Millis(left.0.saturating_sub(passed.0));
        (left.0 > 0).then(|| left.whole_seconds_up())
    };
    match hold {
        Blocker::NotAvailable { .. } => None,
        Blocker::NotSettled { replica, left } => {
            rest(left).map(|left| Blocker::NotSettled { replica: replica.clone(), left })
        }
        Blocker::OnProbation { left } => rest(left).map(|left| Blocker::OnProbation { left }),
        Blocker::Paused { .. }
        | Blocker::PausedByUser { .. }
        | Blocker::NoNode
        | Blocker::TransactionFull
        | Blocker::PlanRefused { .. }
        | Blocker::RevisionMissing { .. } => Some(hold.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_subtract_elapsed_time_and_omit_replica_blockers() {
        let blockers = [
            Blocker::NotAvailable { replica: "users-9-b".into(), observed: "starting".to_owned() },
            Blocker::NotSettled { replica: "users-9-a".into(), left: Millis(9_200) },
            Blocker::OnProbation { left: Millis(2_000) },
            Blocker::NoNode,
        ];
        for (passed, expected) in [
            (
                0,
                &[
                    "users-9-a must stay healthy for another 10s",
                    "the changed health check is observed for another 2s",
                    "no node is available for a new replica",
                ][..],
            ),
            (
                2_000,
                &["users-9-a must stay healthy for another 8s", "no node is available for a new replica"],
            ),
            (60_000, &["no node is available for a new replica"]),
        ] {
            assert_eq!(waits(&blockers, Millis(passed)), expected, "{passed}");
        }
    }
}
