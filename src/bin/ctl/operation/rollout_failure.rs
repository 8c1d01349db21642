//! The error for a failed or aborted rollout. Pure.

use coxswain::api::codes;
use coxswain::api::failure_code;
use coxswain::api::types::{ErrorDetail, FailureReasonName, RolloutFailureDetail};
use coxswain::model::ServiceName;

/// How a failed rollout ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RolloutEnd {
    RolledBack,
    /// `can_abort`: there is a revision that `ctl abort` rolls back to.
    NotRolledBack {
        can_abort: bool,
    },
}

/// What serves after a failed rollout.
#[derive(Debug)]
pub(crate) struct ServingSummary {
    /// What should run: `revision 9 (1.5.0)`.
    pub(crate) release: String,
    pub(crate) available: u32,
    /// Available replicas of other revisions.
    pub(crate) others: u32,
    pub(crate) wanted: u32,
    /// During the attempt, if known.
    pub(crate) failed_requests: Option<u64>,
}

impl ServingSummary {
    /// `revision 9 (1.5.0) serves all traffic, 3/3 ready; 0 failed requests during the attempt`.
    pub(crate) fn text(&self, end: RolloutEnd) -> String {
        let Self { release, available, others, wanted, failed_requests } = self;
        let state = match end {
            RolloutEnd::RolledBack if *available > 0 && *others == 0 => "serves all traffic",
            RolloutEnd::RolledBack => "is active again",
            RolloutEnd::NotRolledBack { .. } => "keeps retrying",
        };
        let others =
            if *others == 0 { String::new() } else { format!(", {others} ready on other revisions") };
        let failed = match failed_requests {
            None => String::new(),
            Some(1) => "; 1 failed request during the attempt".to_owned(),
            Some(many) => format!("; {many} failed requests during the attempt"),
        };
        format!("{release} {state}, {available}/{wanted} ready{others}{failed}")
    }
}

/// The error without its `now`; `release` is the failed revision, such as `revision 10 (1.5.1)`.
pub(crate) fn failed(
    name: &ServiceName,
    failure: &RolloutFailureDetail,
    end: RolloutEnd,
    release: &str,
) -> ErrorDetail {
    if let Some(by) = &failure.aborted_by {
        return ErrorDetail {
            why: vec![format!("revision {} was aborted by {}", failure.revision, by.summary())],
            next: vec![format!("ctl rollout {name} --retry"), format!("ctl history {name}")],
            ..codes::ABORTED.detail(format!("rollout of {name} to {release} was aborted"))
        };
    }
    let (code, outcome) = match end {
        RolloutEnd::RolledBack => (&codes::ROLLED_BACK, "rolled back"),
        RolloutEnd::NotRolledBack { .. } => (&codes::ROLLOUT_FAILED, "not rolled back"),
    };
    ErrorDetail {
        why: failure.observed.clone(),
        log: failure.log.clone(),
        next: next(name, failure, end),
        class: Some(failure_code(failure.reason).id.to_owned()),
        ..code.detail(format!("rollout of {name} to {release} failed and was {outcome}"))
    }
}

/// First a command that shows the cause; then an abort if possible, otherwise what helps against this failure.
fn next(name: &ServiceName, failure: &RolloutFailureDetail, end: RolloutEnd) -> Vec<String> {
    let logs = format!("ctl logs {name} --revision {}", failure.revision);
    let events = format!("ctl events {name}");
    let retry = format!("ctl rollout {name} --retry");
    let (inspect, fix) = match failure.reason {
        FailureReasonName::ImageNotFound => (events, format!("ctl rollout {name} --image TAG")),
        FailureReasonName::PullDenied => ("docker login".to_owned(), retry),
        FailureReasonName::DeadlineExceeded => (format!("ctl why {name}"), events),
        _ if !failure.log.is_empty() => (logs, events),
        _ => (events, retry),
    };
    match end {
        RolloutEnd::NotRolledBack { can_abort: true } => vec![inspect, format!("ctl abort {name}")],
        RolloutEnd::RolledBack | RolloutEnd::NotRolledBack { can_abort: false } => vec![inspect, fix],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serving_summary_counts_replicas_and_failed_requests() {
        let back = RolloutEnd::RolledBack;
        let failed = RolloutEnd::NotRolledBack { can_abort: true };
        for (available, others, failed_requests, end, expected) in [
            (3, 0, Some(0), back, "serves all traffic, 3/3 ready; 0 failed requests during the attempt"),
            (3, 0, Some(1), back, "serves all traffic, 3/3 ready; 1 failed request during the attempt"),
            (
                3,
                1,
                Some(2),
                back,
                "is active again, 3/3 ready, 1 ready on other revisions; 2 failed requests during the attempt",
            ),
            (3, 0, None, back, "serves all traffic, 3/3 ready"),
            (0, 0, None, back, "is active again, 0/3 ready"),
            (1, 2, None, failed, "keeps retrying, 1/3 ready, 2 ready on other revisions"),
        ] {
            let release = "revision 9".to_owned();
            let summary = ServingSummary { release, available, others, wanted: 3, failed_requests };
            assert_eq!(summary.text(end), format!("revision 9 {expected}"));
        }
    }
}
