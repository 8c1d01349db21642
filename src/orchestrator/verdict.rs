//! Whether an observation of the agents fails a rollout before its deadline does, and for which reason.
//!
//! An image that cannot be pulled fails it at once. A failure of containers that cannot pass, an exit after the health check had
//! passed, or any with `failFast`, fails it when a replica has failed three times within `startWithin`. Any other exit is retried
//! until `startWithin` has passed: a program may wait for its database, but it serves once it has passed its check. So long a replica has to pass its health check as well. Everything else has until the deadline. A failure
//! before the rollout reached the replica does not count (`Rollout::failure_baseline`).

use super::census::ClassifiedReplica;
use super::pass::Pass;
use crate::model::{
    CRASHES_TOGETHER, Diagnosis, Evidence, FailedReplica, HealthCheck, Millis, NotReadyCause, ReplicaPhase,
};

/// What is known of a replica that does not serve, as far as it decides whether the rollout fails.
#[derive(Debug, Clone, Copy)]
struct ReplicaTrouble<'a> {
    diagnosis: &'a Diagnosis,
    /// Failures since this rollout reached it.
    counted: u32,
    /// Whether `startWithin` has passed, and no container is being tried.
    is_late: bool,
    fail_fast: bool,
    start_within: Millis,
    /// Whether a health check says when a replica serves.
    is_checked: bool,
}

/// The first replica of the target that no waiting will mend.
pub(super) fn hopeless(pass: &Pass<'_>) -> Option<FailedReplica> {
    let mut troubled = troubled(pass);
    let found = troubled.find(|(replica, diagnosis)| is_hopeless(trouble(pass, replica, diagnosis)))?;
    Some(case(&found.0, found.1, None))
}

fn trouble<'a>(
    pass: &Pass<'_>,
    replica: &ClassifiedReplica<'a>,
    diagnosis: &'a Diagnosis,
) -> ReplicaTrouble<'a> {
    let start_within = pass.target.spec.health.start_within;
    let is_late = replica
        .view
        .status
        .as_ref()
        .is_some_and(|status| status.trial.total >= start_within && !is_tried_or_waits(&status.phase));
    let fail_fast = pass.view.service.spec.rollout.fail_fast;
    let is_checked = !matches!(pass.target.spec.health.check, HealthCheck::None(_));
    let counted = counted(pass, replica);
    ReplicaTrouble { diagnosis, counted, is_late, fail_fast, start_within, is_checked }
}

/// Whether a container is being tried, or the replica waits for something that no container of it can be blamed for.
fn is_tried_or_waits(phase: &ReplicaPhase) -> bool {
    let waits = matches!(
        phase.cause(),
        Some(
            NotReadyCause::ImageUnavailable { .. }
                | NotReadyCause::VolumeMissing { .. }
                | NotReadyCause::NoFreeAddress
                | NotReadyCause::OffNetwork { .. }
                | NotReadyCause::ContainerPaused
        )
    );
    waits || matches!(phase, ReplicaPhase::Starting { .. } | ReplicaPhase::Pulling)
}

/// The reason of a rollout whose deadline passed: the first diagnosis of the target.
pub(super) fn at_deadline(pass: &Pass<'_>, deadline: Millis) -> Option<FailedReplica> {
    troubled(pass).next().map(|(cause, diagnosis)| case(&cause, diagnosis, Some(deadline)))
}

fn troubled<'p, 'a>(
    pass: &'p Pass<'a>,
) -> impl Iterator<Item = (ClassifiedReplica<'a>, &'a Diagnosis)> + use<'p, 'a> {
    let of =
        |replica: &ClassifiedReplica<'a>| Some((*replica, replica.view.status.as_ref()?.diagnosis.as_ref()?));
    pass.census.current.iter().filter(|replica| !replica.available).filter_map(of)
}

/// Failures of a replica since this rollout reached it.
fn counted(pass: &Pass<'_>, replica: &ClassifiedReplica<'_>) -> u32 {
    let before = pass.rollout.failure_baseline.get(&replica.view.replica.name).copied().unwrap_or(0);
    replica.view.status.as_ref().map_or(0, |status| status.failures.saturating_sub(before))
}

fn is_hopeless(trouble: ReplicaTrouble<'_>) -> bool {
    let ReplicaTrouble { diagnosis, counted, is_late, fail_fast, start_within, is_checked } = trouble;
    let together = u32::try_from(CRASHES_TOGETHER).unwrap_or(u32::MAX);
    match &diagnosis.cause {
        NotReadyCause::ImageNotFound { .. } | NotReadyCause::PullDenied { .. } => true,
        NotReadyCause::CannotStart { .. }
        | NotReadyCause::Exited { .. }
        | NotReadyCause::Completed { .. }
        | NotReadyCause::OutOfMemory { .. } => {
            let had_served =
                is_checked && matches!(diagnosis.cause, NotReadyCause::Exited { was_healthy: true, .. });
            let is_fault = fail_fast || had_served || diagnosis.cannot_pass();
            let Evidence { times, within, .. } = diagnosis.evidence;
            let repeats = times.min(counted) >= together && within <= start_within;
            (is_fault && repeats) || (is_late && counted >= 1)
        }
        NotReadyCause::Unhealthy { start_within, .. } => start_within.is_some() && counted >= 1,
        NotReadyCause::ImageUnavailable { .. }
        | NotReadyCause::VolumeMissing { .. }
        | NotReadyCause::NoFreeAddress
        | NotReadyCause::OffNetwork { .. }
        | NotReadyCause::ContainerPaused => false,
    }
}

fn case(replica: &ClassifiedReplica<'_>, diagnosis: &Diagnosis, deadline: Option<Millis>) -> FailedReplica {
    FailedReplica { replica: replica.view.replica.name.clone(), diagnosis: diagnosis.clone(), deadline }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FailedProbe, ProbeAnswer};

    #[test]
    fn is_hopeless_by_cause_count_and_time() {
        let exited = |code| NotReadyCause::Exited { code, was_healthy: false };
        let refused = || NotReadyCause::CannotStart { message: String::new() };
        let probe = FailedProbe { message: "m".into(), answer: ProbeAnswer::Status { status: 503 } };
        let late = |within| NotReadyCause::Unhealthy { probe: probe.clone(), start_within: within };
        // The failures in a row, those of this rollout, whether startWithin has passed, failFast.
        for (what, cause, times, counted, is_late, fail_fast, expected) in [
            ("no image", NotReadyCause::ImageNotFound { message: String::new() }, 0, 0, false, false, true),
            ("denied", NotReadyCause::PullDenied { message: String::new() }, 0, 0, false, false, true),
            ("once", exited(1), 1, 1, false, false, false),
            ("often, and startWithin has not passed", exited(1), 9, 9, false, false, false),
            ("once in all of startWithin", exited(1), 1, 1, true, false, true),
            ("before the baseline", exited(1), 9, 0, true, false, false),
            ("twice, failFast", exited(1), 2, 2, false, true, false),
            ("three times, failFast", exited(1), 3, 3, false, true, true),
            ("failFast, two of them before the baseline", exited(1), 3, 1, false, true, false),
            ("no such command, twice", exited(127), 2, 2, false, false, false),
            ("no such command, three times", exited(127), 3, 3, false, false, true),
            ("completed", NotReadyCause::Completed { was_healthy: false }, 3, 3, false, false, true),
            ("memory", NotReadyCause::OutOfMemory { limit: None, code: None }, 3, 3, false, false, true),
            ("cannot start", refused(), 3, 3, false, false, true),
            ("cannot start once", refused(), 1, 1, false, false, false),
            ("no address", NotReadyCause::NoFreeAddress, 0, 9, true, true, false),
            ("starting", late(None), 0, 0, true, false, false),
            ("all of startWithin", late(Some(Millis::secs(10))), 1, 1, true, false, true),
            ("all of it, before the baseline", late(Some(Millis::secs(10))), 1, 0, true, false, false),
        ] {
            let diagnosis = &Diagnosis { cause, evidence: Evidence { times, ..Evidence::default() } };
            let start_within = Millis::secs(60);
            let trouble =
                ReplicaTrouble { diagnosis, counted, is_late, fail_fast, start_within, is_checked: true };
            assert_eq!(is_hopeless(trouble), expected, "{what}");
        }
    }

    #[test]
    fn is_hopeless_after_three_exits_of_what_had_served() {
        for (what, was_healthy, is_checked, within, expected) in [
            ("it served, and crashes", true, true, 40, true),
            ("a crash now and then", true, true, 61, false),
            ("it never served", false, true, 40, false),
            ("nothing says when it serves", true, false, 40, false),
        ] {
            let evidence = Evidence { times: 3, within: Millis::secs(within), ..Evidence::default() };
            let diagnosis = &Diagnosis { cause: NotReadyCause::Exited { code: 1, was_healthy }, evidence };
            let (is_late, fail_fast, start_within) = (false, false, Millis::secs(60));
            let trouble =
                ReplicaTrouble { diagnosis, counted: 3, is_late, fail_fast, start_within, is_checked };
            assert_eq!(is_hopeless(trouble), expected, "{what}");
        }
    }
}
