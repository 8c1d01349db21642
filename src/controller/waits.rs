//! What the last pass over a service waited for, for people. Pure.

use crate::model::Millis;
use crate::orchestrator::Hold;

/// The reasons so long after that pass, a line each. A replica that is not available is left out: its own status says
/// more.
pub(crate) fn waits(holds: &[Hold], passed: Millis) -> Vec<String> {
    holds.iter().filter_map(|hold| later(hold, passed)).map(|hold| hold.to_string()).collect()
}

/// The reason as it is later, in whole seconds; `None` where it has passed.
fn later(hold: &Hold, passed: Millis) -> Option<Hold> {
    let rest = |left: &Millis| {
        let left = left.0.saturating_sub(passed.0);
        (left > 0).then(|| Millis::secs(left.div_ceil(1000)))
    };
    match hold {
        Hold::NotAvailable { .. } => None,
        Hold::NotSettled { replica, left } => {
            rest(left).map(|left| Hold::NotSettled { replica: replica.clone(), left })
        }
        Hold::OnProbation { left } => rest(left).map(|left| Hold::OnProbation { left }),
        Hold::Paused { .. }
        | Hold::PausedByUser { .. }
        | Hold::NoHost
        | Hold::TransactionFull
        | Hold::RevisionMissing { .. } => Some(hold.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_passes_is_taken_off_and_replicas_tell_themselves() {
        let holds = [
            Hold::NotAvailable { replica: "users-9-b".into(), observed: "starting".to_owned() },
            Hold::NotSettled { replica: "users-9-a".into(), left: Millis(9_200) },
            Hold::OnProbation { left: Millis(2_000) },
            Hold::NoHost,
        ];
        for (passed, expected) in [
            (
                0,
                &[
                    "users-9-a has to serve for another 10s",
                    "the changed health check is watched for another 2s",
                    "there is no host to place a replica on",
                ][..],
            ),
            (2_000, &["users-9-a has to serve for another 8s", "there is no host to place a replica on"]),
            (60_000, &["there is no host to place a replica on"]),
        ] {
            assert_eq!(waits(&holds, Millis(passed)), expected, "{passed}");
        }
    }
}
