//! Whether what the agents observe fails a rollout before its deadline does, and by which class.
//!
//! An image that is not to be had fails it at once, three containers that ended within `startWithin` fail it, and so does
//! one that had all of `startWithin` without passing its health check. Everything else has until the deadline. What a
//! replica suffered before the rollout reached it does not count (`Rollout::failure_baseline`).

use super::census::ClassifiedReplica;
use super::pass::Pass;
use crate::model::{CRASHES_TOGETHER, Diagnosis, FailedReplica, FailureCause, Millis};

/// The first replica of the target whose trouble no waiting mends.
pub(super) fn hopeless(pass: &Pass<'_>) -> Option<FailedReplica> {
    let start_within = pass.target.spec.health.start_within;
    let mut troubled = troubled(pass);
    let found =
        troubled.find(|(cause, diagnosis)| is_hopeless(diagnosis, start_within, counted(pass, cause)))?;
    Some(case(&found.0, found.1, None))
}

/// What is told of a rollout whose deadline passed: the first trouble of the target that an agent saw.
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
    match &diagnosis.cause {
        FailureCause::ImageNotFound { .. } | FailureCause::PullDenied { .. } => true,
        FailureCause::CannotStart { .. } | FailureCause::Exited { .. } | FailureCause::OutOfMemory { .. } => {
            diagnosis.times.min(counted) >= together && diagnosis.within <= start_within
        }
        FailureCause::Unhealthy { start_within, .. } => start_within.is_some() && counted >= 1,
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
    fn each_class_has_its_patience() {
        let exited = || FailureCause::Exited { code: 1, was_healthy: false };
        let probe = FailedProbe { message: "m".into(), answer: ProbeAnswer::Status { status: 503 } };
        let late =
            |within| FailureCause::Unhealthy { probe: probe.clone(), listening: None, start_within: within };
        for (what, cause, times, seconds, counted, expected) in [
            ("no image", FailureCause::ImageNotFound { message: String::new() }, 0, 0, 0, true),
            ("denied", FailureCause::PullDenied { message: String::new() }, 0, 0, 0, true),
            ("once", exited(), 1, 1, 1, false),
            ("twice", exited(), 2, 1, 2, false),
            ("three times", exited(), 3, 10, 3, true),
            ("three times, too far apart", exited(), 3, 11, 9, false),
            ("three times, two of them forgiven", exited(), 3, 5, 1, false),
            ("memory", FailureCause::OutOfMemory { limit: None }, 3, 5, 3, true),
            ("cannot start", FailureCause::CannotStart { message: String::new() }, 3, 5, 3, true),
            ("cannot start once", FailureCause::CannotStart { message: String::new() }, 1, 5, 1, false),
            ("starting", late(None), 0, 0, 0, false),
            ("all of startWithin", late(Some(Millis::secs(10))), 1, 10, 1, true),
            ("all of it, forgiven", late(Some(Millis::secs(10))), 1, 10, 0, false),
        ] {
            let diagnosis = Diagnosis { cause, times, within: Millis::secs(seconds), log: Vec::new() };
            assert_eq!(is_hopeless(&diagnosis, Millis::secs(10), counted), expected, "{what}");
        }
    }
}
