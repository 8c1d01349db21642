//! Whether an observation of the agents fails a rollout before its deadline does, and for which reason.
//!
//! An image that cannot be pulled fails it at once; three containers that exit within `startWithin` fail it, and so does
//! one that does not pass its health check within `startWithin`. Everything else has until the deadline. A failure before
//! the rollout reached the replica does not count (`Rollout::failure_baseline`).

use super::census::ClassifiedReplica;
use super::pass::Pass;
use crate::model::{CRASHES_TOGETHER, Diagnosis, FailedReplica, Millis, NotReadyCause};

/// The first replica of the target that no waiting will mend.
pub(super) fn hopeless(pass: &Pass<'_>) -> Option<FailedReplica> {
    let start_within = pass.target.spec.health.start_within;
    let mut troubled = troubled(pass);
    let found =
        troubled.find(|(cause, diagnosis)| is_hopeless(diagnosis, start_within, counted(pass, cause)))?;
    Some(case(&found.0, found.1, None))
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

fn is_hopeless(diagnosis: &Diagnosis, start_within: Millis, counted: u32) -> bool {
    let together = u32::try_from(CRASHES_TOGETHER).unwrap_or(u32::MAX);
    let evidence = &diagnosis.evidence;
    match &diagnosis.cause {
        NotReadyCause::ImageNotFound { .. } | NotReadyCause::PullDenied { .. } => true,
        NotReadyCause::CannotStart { .. }
        | NotReadyCause::Exited { .. }
        | NotReadyCause::Completed { .. }
        | NotReadyCause::OutOfMemory { .. } => {
            evidence.times.min(counted) >= together && evidence.within <= start_within
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
    use crate::model::{Evidence, FailedProbe, ProbeAnswer};

    #[test]
    fn is_hopeless_by_cause_and_count() {
        let exited = || NotReadyCause::Exited { code: 1, was_healthy: false };
        let probe = FailedProbe { message: "m".into(), answer: ProbeAnswer::Status { status: 503 } };
        let late = |within| NotReadyCause::Unhealthy { probe: probe.clone(), start_within: within };
        for (what, cause, times, seconds, counted, expected) in [
            ("no image", NotReadyCause::ImageNotFound { message: String::new() }, 0, 0, 0, true),
            ("denied", NotReadyCause::PullDenied { message: String::new() }, 0, 0, 0, true),
            ("once", exited(), 1, 1, 1, false),
            ("completed", NotReadyCause::Completed { was_healthy: false }, 3, 5, 3, true),
            ("twice", exited(), 2, 1, 2, false),
            ("three times", exited(), 3, 10, 3, true),
            ("three times, too far apart", exited(), 3, 11, 9, false),
            ("three times, two of them before the baseline", exited(), 3, 5, 1, false),
            ("no address", NotReadyCause::NoFreeAddress, 0, 0, 9, false),
            ("memory", NotReadyCause::OutOfMemory { limit: None }, 3, 5, 3, true),
            ("cannot start", NotReadyCause::CannotStart { message: String::new() }, 3, 5, 3, true),
            ("cannot start once", NotReadyCause::CannotStart { message: String::new() }, 1, 5, 1, false),
            ("starting", late(None), 0, 0, 0, false),
            ("all of startWithin", late(Some(Millis::secs(10))), 1, 10, 1, true),
            ("all of it, before the baseline", late(Some(Millis::secs(10))), 1, 10, 0, false),
        ] {
            let evidence = Evidence { times, within: Millis::secs(seconds), ..Evidence::default() };
            let diagnosis = Diagnosis { cause, evidence };
            assert_eq!(is_hopeless(&diagnosis, Millis::secs(10), counted), expected, "{what}");
        }
    }
}
